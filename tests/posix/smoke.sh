#!/bin/bash
# What every user does with a file system, and what it must still say after a remount and after a crash.
# usage: [BIN=client] smoke.sh
. "$(dirname "$0")/../lib.sh"

TREE=${TREE:-/usr/share/doc}
HELP=$(cd "$(dirname "$0")" && pwd)/smoke_checks.py

same_tree() { diff -r --no-dereference "$W/tree" "$MNT/tree"; }
same_stat() {
  diff <(cd "$W/tree" && find . -printf '%P %M %U %G %s %T@ %l\n' | grep -v '^ ' | sed 's/^\(\S* d\S* \S* \S*\) [0-9]*/\1/' | sort) \
       <(cd "$MNT/tree" && find . -printf '%P %M %U %G %s %T@ %l\n' | grep -v '^ ' | sed 's/^\(\S* d\S* \S* \S*\) [0-9]*/\1/' | sort)
}
python_check() { python3 "$HELP" "$MNT" "$@"; }

# A sample of a real tree, not larger than a test should copy.
sample_tree() {
  mkdir -p "$W/tree"
  (cd "$TREE" && find . \( -type f -o -type l \) | sort | head -n 2000 | tar -cf - -T -) | tar -xf - -C "$W/tree"
  ln -s ../nowhere "$W/tree/dangling"
  head -c 9000000 /dev/urandom >"$W/tree/random.bin"
  ln "$W/tree/random.bin" "$W/tree/random.link"
}

sample_tree
check "format" format_volume
check "mount" mount_volume --enable-xattr
check "is mounted" mountpoint -q "$MNT"
check "the log tells of the mount" grep -q "Mounted $VOLUME on $MNT" "$W/mount.log"
check "copy a tree" cp -a "$W/tree" "$MNT/"
check "same contents" same_tree
check "same attributes" same_stat
check "hard links stay linked" test "$(stat -c %i "$MNT/tree/random.bin")" = "$(stat -c %i "$MNT/tree/random.link")"
check "links are counted" test "$(stat -c %h "$MNT/tree/random.bin")" = 2
for name in special_files fallocate punch_hole truncate append rename_over unlinked_while_open flock fcntl_locks ofd_locks \
            nlink_of_unlinked xattr sparse mmap directory_of_many long_names tmpfile o_excl readdir_while_removing; do
  check "$name" python_check "$name"
done
check "unmount" unmount_volume
check "and of its end" grep -q "Unmounted $VOLUME from $MNT" "$W/mount.log"
check "mount again" mount_volume --enable-xattr
check "same contents after a remount" same_tree
check "same attributes after a remount" same_stat
check "xattrs after a remount" python_check xattr_stays
check "write and fsync" python_check write_synced
crash_mount
check "mount after kill -9" mount_volume --enable-xattr
check "what was synced is there" python_check read_synced
check "same contents after kill -9" same_tree
check "rmr of the root is refused" fails_saying "root of a mount" "$BIN" rmr "$MNT/"
check "and removed nothing" test -e "$MNT/tree"
check "remove all" rm -r "$MNT/tree"
check "it is gone" test ! -e "$MNT/tree"
check "unmount before options" unmount_volume
check "mount with a umask" mount_volume --umask 077 -o suid,dev --subdir /below/here
touch "$MNT/private"
check "the umask counts" test "$(stat -c %a "$MNT/private")" = 600
check "suid as mount option" test "$(grep " $MNT " /proc/self/mounts | grep -c nosuid)" = 0
check "operations are in .accesslog" timeout 10 sh -c "(sleep 0.5; touch '$MNT/noted') & grep -q -m1 noted '$MNT/.accesslog'"
check "unmount the directory" unmount_volume
check "mount read-only" mount_volume --read-only
check "the directory was below" test -e "$MNT/below/here/private"
check "writing is refused" python_check read_only
check "info on a read-only mount" sh -c "'$BIN' info '$MNT/below' | grep -q 'path: /below'"
check "summary on a read-only mount" "$BIN" summary "$MNT"
check "rmr on a read-only mount says why not" fails_saying "Read-only" "$BIN" rmr "$MNT/below"
check "nosuid and nodev by default" grep -q " $MNT [^ ]* [^ ]*nosuid,nodev" /proc/self/mounts
check "unmount at the end" unmount_volume
if [ "$(id -u)" = 0 ]; then
  META=$(url_of small 1)
  BUCKET=$W/small
  mkdir "$BUCKET"
  mount -t tmpfs -o size=32M ciderfs-test "$BUCKET"
  check "format on a small disk" format_volume
  check "mount it" mount_volume
  check "a full disk" python_check full_store
  check "unmount the full one without loss" unmount_volume
  umount "$BUCKET"
  META=$(url_of trash 2)
  BUCKET=$W/trash
  check "format with a trash" format_volume --trash-days 1
  check "mount with a trash" mount_volume
  check "an unlinked file in the trash has no links" python_check nlink_of_unlinked
  check "unmount with a trash" unmount_volume
fi
finish
