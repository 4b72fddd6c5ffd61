#!/bin/bash
# Lines of /etc/fstab as mount(8) carries them out through mount.ciderfs, in a mount namespace of its own. Needs root.
# usage: [BIN=client] fstab.sh
if [ "${IN_NAMESPACE:-}" != 1 ]; then
  IN_NAMESPACE=1 exec unshare --mount --propagation private "$0" "$@"
fi
. "$(dirname "$0")/../lib.sh"

FSTAB=$W/fstab
# The helper stands where mount(8) looks for it, and the program where mount.fuse does, in this namespace alone.
# A copy, as other users may not get to the checkout.
mkdir "$W/sbin"
cp "$BIN" "$W/sbin/ciderfs"
BIN=$W/sbin/ciderfs
ln -s "$BIN" "$W/sbin/mount.ciderfs"
mknod -m 666 "$W/fuse" c 10 229 && mount --bind "$W/fuse" /dev/fuse  # for users, whatever the machine's own is
mount -t overlay -o "lowerdir=$W/sbin:/usr/sbin" overlay /usr/sbin

line() { echo "$META $MNT ciderfs $1 0 0" >"$FSTAB"; }
# shellcheck disable=SC2317
mount_pids() { pgrep -f "(mount.ciderfs|^$BIN mount) .*$MNT"; }
by_fstab() { mount -T "$FSTAB" "$MNT"; }
has_option() { grep " $MNT " /proc/self/mounts | cut -d' ' -f4 | tr , '\n' | grep -qx "$1"; }
config() { python3 -c "import json, sys; c = json.load(open('$MNT/.config')); sys.exit(0 if $1 else str(c))"; }

check "format" format_volume
line "_netdev,noauto,nofail,x-systemd.automount,x-systemd.requires=network-online.target,comment=x,buffer-size=64M,max-uploads=5,lazytime,attr-cache=3,noatime,nosuid,log=$W/mount.log"
check "mount by fstab" by_fstab
check "type and source" grep -q "^CiderFS:$VOLUME $MNT fuse.ciderfs " /proc/self/mounts
check "kernel's options count" has_option noatime
check "nosuid counts" has_option nosuid
check "lazytime counts" has_option lazytime
check "ciderfs's options count" config "c['Chunk']['BufferSize'] == 64 << 20 and c['AttrTimeout'] == 3_000_000_000"
check "it can be written" sh -c "echo hello >'$MNT/file' && cat '$MNT/file'"
check "a remount says what to do" fails_saying "unmount it" mount -T "$FSTAB" -o remount,ro "$MNT"
check "a remount without a line in fstab too" fails_saying "unmount it" mount -o remount,ro "$MNT"
check "unmount" unmount_volume
check "noauto is left alone by mount -a" sh -c "mount -a -T '$FSTAB' && ! grep -q ' $MNT ' /proc/self/mounts"
line "ro,suid,dev,log=$W/mount.log"
check "mount -a" mount -a -T "$FSTAB"
check "ro counts" sh -c "grep -q hello '$MNT/file' && ! touch '$MNT/other' 2>/dev/null"
check "suid counts" sh -c "! grep ' $MNT ' /proc/self/mounts | grep -q nosuid"
check "unmount what was read-only" unmount_volume
line "no_such_word"
check "an unknown word is named" fails_saying no_such_word by_fstab
line "fast-statfs"
check "an option that isn't supported is named" fails_saying fast-statfs by_fstab
echo "sqlite3://$W/none.db $MNT ciderfs defaults 0 0" >"$FSTAB"
check "a missing volume is named" fails_saying none.db by_fstab
line "defaults,log=$W/mount.log"
check "a fake mount does nothing" sh -c "mount -f -T '$FSTAB' '$MNT'; ! grep -q ' $MNT ' /proc/self/mounts"

# A user, through fusermount3.
as_user() { setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$W/home" "$@"; }
mkdir "$W/home" && chmod 755 "$W" && chown -R 65534:65534 "$W/home" "$MNT"
META=sqlite3://$W/home/meta.db
user_mount() { as_user "$BIN" mount -d --log "$W/home/log" --no-syslog "$@" "$META" "$MNT"; }
check "a user formats" as_user "$BIN" --quiet format --bucket "$W/home/data" "$META" user-vol
check "a user mounts" user_mount -o relatime,lazytime,nodiratime
check "and writes" as_user sh -c "echo hello >'$MNT/file' && grep -q hello '$MNT/file'"
check "root is kept out" sh -c "! cat '$MNT/file' 2>/dev/null"
check "and unmounts" as_user "$BIN" umount "$MNT"
replaces_dead_mount() {
  # shellcheck disable=SC2046
  user_mount && kill -9 $(mount_pids) || return 1
  while [ -n "$(mount_pids)" ]; do sleep 0.02; done
  user_mount && as_user grep -q hello "$MNT/file" && as_user "$BIN" umount --flush "$MNT" && ! mounted
}
check "a user's mount that died is replaced" replaces_dead_mount
if ! grep -q '^user_allow_other' /etc/fuse.conf 2>/dev/null; then
  check "allow_other needs user_allow_other" fails_saying user_allow_other user_mount -o allow_other
fi
finish
