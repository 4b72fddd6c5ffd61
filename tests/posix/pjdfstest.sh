#!/bin/bash
# The POSIX conformance suite pjdfstest on a mount, as root. Fails if any case fails; lists what was skipped and why.
# With several mounts, one suite on each, at the same time, in a folder of its own; each counts.
# usage: [BIN=client] [PJDFSTEST=program] [MOUNTS=N] pjdfstest.sh [PATTERN...]
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
    *LINK_MAX*) echo "the volume format knows no limit of links that a test could reach (2^32)" ;;
    *) echo "$1" ;;
  esac
}

# The cases of read-only file systems remount with mount(8), which would call mount.fuse; the kernel does it without (-i).
mkdir "$W/bin"
printf '#!/bin/sh\nexec %s -i "$@"\n' "$(command -v mount)" >"$W/bin/mount"
chmod +x "$W/bin/mount"

format_volume || { cat "$W/log"; exit 1; }
# Devices, set-user-id files and extended attributes are part of the suite. Kernel caches must not hide what the client says.
OPTIONS="--enable-xattr -o suid,dev"
mount_volume $OPTIONS || { cat "$W/log"; exit 1; }
chmod 755 "$W"
trap 'status=$?; umount "$W"/other-fs*; (exit $status); cleanup' EXIT
for number in "${!POINTS[@]}"; do
  mkdir "$MNT/suite$number" "$W/other-fs$number"
  mount -t tmpfs -o size=16m tmpfs "$W/other-fs$number"
done

# suites RESULT PATTERN...: one on each mount; what it prints goes to the file RESULT, followed by the mount's number.
suites() {
  local result=$1 number pids=() status=0
  shift
  for number in "${!POINTS[@]}"; do
    NO_COLOR=1 PATH=$W/bin:$PATH "$PJDFSTEST" -c "$W/pjdfstest.toml" -s "$W/other-fs$number" -p "${POINTS[$number]}/suite$number" "$@" \
      >"$W/$result$number" 2>&1 &
    pids+=($!)
  done
  for number in "${pids[@]}"; do wait "$number" || status=1; done
  return $status
}

# The kernel remounts read-only only while it remembers no file that was removed, so those cases have a mount of their own.
status=0
suites result "$@" || status=1
remount_volume $OPTIONS || { cat "$W/log"; exit 1; }
sed -i 's/^allow_remount = false/allow_remount = true/' "$W/pjdfstest.toml"
suites erofs "${@:-erofs}" || status=1

echo "Skipped, with the reason:"
# A case that one of the two runs passed is not listed.
awk '/ ok *$/ { ran[$1] } / skipped *$/ { name = $1; next } /^\t/ && name != "" { sub(/^\t/, ""); why[name] = $0 } { name = "" }
     END { for (name in why) if (!(name in ran)) print name "\t" why[name] }' "$W"/result* "$W"/erofs* |
  while IFS=$'\t' read -r name why; do printf '%s\t%s\n' "$(reason "$why")" "$name"; done |
  sort | awk -F'\t' '$1 != last { print "  " $1 ":"; last = $1 } { print "    " $2 }'
grep -h -A3 'FAILED *$' "$W"/result* "$W"/erofs* | sed 's/^/  /'
grep -h Summary "$W"/result* "$W"/erofs*
# cases WORD NUMBER: how many of a mount ended so, in one of its two runs.
cases() { grep -hE " $1 *\$" "$W/result$2" "$W/erofs$2" | awk '{ print $1 }' | sort -u | wc -l; }
for number in "${!POINTS[@]}"; do
  [ "$(grep -h -c Summary "$W/result$number" "$W/erofs$number" | paste -sd' ')" = "1 1" ] || { tail -20 "$W/result$number" "$W/erofs$number"; status=1; }
  PASSED=$((PASSED + $(cases ok "$number")))
  FAILED=$((FAILED + $(cases FAILED "$number")))
done
[ $status = 0 ] || [ "$FAILED" != 0 ] || FAILED=1
unmount_volume || FAILED=$((FAILED + 1))
finish
