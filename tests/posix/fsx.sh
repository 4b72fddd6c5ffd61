#!/bin/bash
# fsx: random reads, writes, truncates, mappings, punched holes and copies on one file, compared byte for byte with a model.
# With several mounts, one fsx on each, at the same time.
# usage: [BIN=client] [FSX=program] [MOUNTS=N] fsx.sh [OPERATIONS] [SEED]
# fsx comes from crates.io: `cargo install --locked --root build/tools fsx@0.3.2` (scripts/test.sh does it).
. "$(dirname "$0")/../lib.sh"

FSX=${FSX:-$ROOT/build/tools/bin/fsx}
[ -x "$FSX" ] || { echo "fsx.sh: there is no $FSX" >&2; exit 2; }
OPERATIONS=${1:-10000}
SEED=${2:-$((RANDOM * 32768 + RANDOM))}

# Small files meet every edge often; the large one crosses chunks of 64 MiB.
config() {
  cat <<T
flen = $1
[opsize]
max = $2
[weights]
truncate = 10
fsync = 2
fdatasync = 2
posix_fallocate = 5
punch_hole = 5
sendfile = 2
copy_file_range = 5
T
}
config 262144 65536 >"$W/small.toml"
config $((140 << 20)) $((1 << 20)) >"$W/large.toml"

# fsx_everywhere NAME OPERATIONS: one on each mount, with seeds of their own; what those print that fail.
fsx_everywhere() {
  local point number=0 pids=() status=0
  for point in "${POINTS[@]}"; do
    "$FSX" -f "$W/$1.toml" -N "$2" -S $((SEED + number)) -P "$W" "$point/$1-$number" >"$W/$1-$number.out" 2>&1 &
    pids+=($!)
    number=$((number + 1))
  done
  for number in "${!pids[@]}"; do
    wait "${pids[$number]}" || { status=1; cat "$W/$1-$number.out"; }
  done
  return $status
}

format_volume || { cat "$W/log"; exit 1; }
mount_volume || { cat "$W/log"; exit 1; }
echo "seed $SEED"
check "$OPERATIONS operations on a small file" fsx_everywhere small "$OPERATIONS"
check "$((OPERATIONS / 50)) operations on a file of three chunks" fsx_everywhere large "$((OPERATIONS / 50))"
check "unmount" unmount_volume
finish
