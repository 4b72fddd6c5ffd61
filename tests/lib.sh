# Sourced by the black-box tests. Gives a temporary directory, a volume and a mount point of its own to each run, and
# removes them at the end, however it ends.
#
#   BIN         the client to test (default build/release/ciderfs); any with JuiceFS's command line works
#   ENGINE      of the metadata: sqlite (default), redis, postgres ... (tests/engines.py), with a server of the run's own
#   MOUNTS      how often the volume is mounted at once (default 1)
#   URL_OPTS    more options of the META URL: client-cache=true
#   MOUNT_OPTS  options for every mount, FORMAT_OPTS for format
#   KEEP=1      leave the temporary directory
#
# Sets ROOT (the source tree), W (temporary directory), META (URL), MNT (mount point), POINTS (MNT and the other mount
# points), BUCKET.
set -u

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
BIN=${BIN:-$ROOT/build/release/ciderfs}
BIN=$(command -v "$BIN") || { echo "there is no program $BIN; build it first" >&2; exit 2; }
W=$(mktemp -d "${TMPDIR:-/tmp}/ciderfs-test.XXXXXX")
MNT=$W/mnt
BUCKET=$W/data
VOLUME=test-vol
MOUNTS=${MOUNTS:-1}
POINTS=("$MNT")
for ((i = 2; i <= MOUNTS; i++)); do POINTS+=("$W/mnt$i"); done
mkdir "${POINTS[@]}"

ENGINE=${ENGINE:-sqlite}
"$ROOT/tests/engines.py" "$ENGINE" "$W" &
ENGINE_PID=$!
until [ -e "$W/engine.url" ]; do sleep 0.05; kill -0 $ENGINE_PID || exit 2; done
# The URL of a volume's metadata, by a name and a number of its own: url_of NAME NUMBER.
url_of() {
  local url
  url=$(sed "s|{name}|$1|; s|{n}|$2|" "$W/engine.url")
  [ -z "${URL_OPTS:-}" ] || case $url in *\?*) url+="&$URL_OPTS" ;; *) url+="?$URL_OPTS" ;; esac
  echo "$url"
}
META=$(url_of meta 0)

PASSED=0
FAILED=0

# Whether any of the points is.
mounted() { grep -q " $W/mnt[0-9]* " /proc/self/mounts; }

# The processes that serve the mounts; several for each with a client that has a supervisor.
mount_pids() { pgrep -f "^$BIN mount .*$W/mnt"; }

# shellcheck disable=SC2086
format_volume() { "$BIN" format --storage file --bucket "$BUCKET" --trash-days 0 ${FORMAT_OPTS:-} "$@" "$META" $VOLUME >>"$W/log" 2>&1; }

# What a cache keeps shall not depend on how full the machine's disk is.
# shellcheck disable=SC2086
mount_volume() {
  local point
  for point in "${POINTS[@]}"; do
    "$BIN" mount -d --log "$W/mount.log" --no-syslog --cache-dir "$W/cache" --free-space-ratio 0 ${MOUNT_OPTS:-} "$@" "$META" "$point" >>"$W/log" 2>&1 || return
  done
}

# Unmounts and waits until the process has stored everything and gone.
unmount_volume() {
  local i point
  for i in $(seq 50); do
    for point in "${POINTS[@]}"; do umount "$point" 2>/dev/null || fusermount3 -u "$point" 2>/dev/null; done
    mounted || break
    sleep 0.1
  done
  for i in $(seq 300); do
    [ -z "$(mount_pids)" ] && return 0
    sleep 0.1
  done
  echo "the mount's process did not end" >&2
  return 1
}

# As a crash would: the process is gone, the dead mount is taken away.
crash_mount() {
  local pids point
  pids=$(mount_pids)
  # shellcheck disable=SC2086
  [ -n "$pids" ] && kill -9 $pids
  while [ -n "$(mount_pids)" ]; do sleep 0.02; done
  while mounted; do
    for point in "${POINTS[@]}"; do umount -l "$point" 2>/dev/null; done
    mounted && sleep 0.05
  done
}

remount_volume() { unmount_volume && mount_volume "$@"; }

cleanup() {
  local status=$?
  trap - EXIT
  if mounted; then crash_mount; fi
  if [ -n "$ENGINE_PID" ]; then kill "$ENGINE_PID" && wait "$ENGINE_PID"; fi
  if [ "${KEEP:-}" = 1 ] || { [ $status != 0 ] && [ "${KEEP:-}" != 0 ]; }; then
    echo "left for a look: $W" >&2
  else
    rm -rf "$W"
  fi
  exit $status
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# check NAME COMMAND...: counts a case; shows what the command printed if it fails.
check() {
  local name=$1
  shift
  if "$@" >"$W/case.out" 2>&1; then
    PASSED=$((PASSED + 1))
    echo "ok    $name"
  else
    FAILED=$((FAILED + 1))
    echo "FAIL  $name ($*)"
    sed 's/^/        /' "$W/case.out" | tail -20
  fi
}

# fails_saying TEXT COMMAND...: the command fails, and what it prints holds the text.
fails_saying() {
  local what=$1
  shift
  ! "$@" >"$W/out" 2>&1 && grep -q -- "$what" "$W/out" || { cat "$W/out"; return 1; }
}

# Prints the line that scripts/test.sh adds up; the exit code tells whether all passed.
finish() {
  echo "$(basename "$0"): $PASSED passed, $FAILED failed"
  [ "$FAILED" = 0 ]
}
