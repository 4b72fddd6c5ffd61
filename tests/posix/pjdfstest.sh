#!/bin/bash
# The POSIX conformance suite pjdfstest on a mount, as root. Fails if any case fails; lists what was skipped and why.
# usage: [BIN=client] [PJDFSTEST=program] pjdfstest.sh [PATTERN...]
# pjdfstest comes from crates.io: `cargo install --locked --root build/tools pjdfstest@0.2.2` (scripts/test.sh does it).
. "$(dirname "$0")/../lib.sh"

[ "$(id -u)" = 0 ] || { echo "pjdfstest.sh: needs root, for other users, devices and remounts" >&2; exit 2; }
PJDFSTEST=${PJDFSTEST:-$ROOT/build/tools/bin/pjdfstest}
[ -x "$PJDFSTEST" ] || { echo "pjdfstest.sh: there is no $PJDFSTEST" >&2; exit 2; }

# Two users and groups that Debian always has stand for "somebody else".
cat >"$W/pjdfstest.toml" <<'T'
[features]
posix_fallocate = {}
rename_ctime = {}
utime_now = {}
utimensat = {}

[settings]
naptime = 0.01
allow_remount = false

[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
T

# Why a case does not apply to CiderFS on Linux, by what pjdfstest says is missing.
reason() {
  case $1 in
    *chflags* | *Chflags* | *"file flags"* | *"file_flags"*) echo "chflags(2) is a system call of FreeBSD" ;;
    *nfsv4*) echo "NFSv4 ACLs are FreeBSD's; Linux has POSIX ACLs" ;;
    *birthtime*) echo "the volume format stores no time of birth" ;;
    *remount*) echo "remounts by the device's path, which a FUSE mount has not; read-only mounts are tested by smoke.sh" ;;
    *) echo "$1" ;;
  esac
}

format_volume || { cat "$W/log"; exit 1; }
# Devices, set-user-id files and extended attributes are part of the suite. Kernel caches must not hide what the client says.
mount_volume --enable-xattr -o suid,dev || { cat "$W/log"; exit 1; }
mkdir "$MNT/suite" "$W/other-fs"
chmod 755 "$W"
mount -t tmpfs -o size=16m tmpfs "$W/other-fs"
trap 'umount "$W/other-fs"; cleanup' EXIT

NO_COLOR=1 "$PJDFSTEST" -c "$W/pjdfstest.toml" -s "$W/other-fs" -p "$MNT/suite" "$@" >"$W/result" 2>&1
status=$?

echo "Skipped, with the reason:"
awk '/ skipped *$/ { name = $1; next } /^\t/ && name != "" { sub(/^\t/, ""); print name "\t" $0; name = "" } !/^\t/ { name = "" }' "$W/result" |
  while IFS=$'\t' read -r name why; do printf '%s\t%s\n' "$(reason "$why")" "$name"; done |
  sort | awk -F'\t' '$1 != last { print "  " $1 ":"; last = $1 } { print "    " $2 }'
grep -A3 'FAILED *$' "$W/result" | sed 's/^/  /'
summary=$(grep 'Summary' "$W/result" | tail -1)
echo "$summary"
[ -n "$summary" ] || { tail -20 "$W/result"; status=1; }
number() { echo "$summary" | grep -oE "[0-9]+ $1" | cut -d' ' -f1; }
PASSED=$(number passed)
FAILED=$(number failed)
PASSED=${PASSED:-0} FAILED=${FAILED:-0}
[ $status = 0 ] || [ "$FAILED" != 0 ] || FAILED=1
unmount_volume || FAILED=$((FAILED + 1))
finish
