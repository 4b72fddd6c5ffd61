#!/bin/bash
# From a fresh Debian 12 to a mounted volume: installs packages, builds, formats a volume on SQLite and a local directory,
# mounts it, copies a tree into it and compares. Run again, it goes on with what is there.
# usage: quickstart.sh [DIRECTORY]     default ~/ciderfs-demo
set -eu
cd "$(dirname "$0")/.."

DIR=$(realpath -m "${1:-$HOME/ciderfs-demo}")
META=sqlite3://$DIR/meta.db
MNT=$DIR/mnt
BIN=$PWD/build/release/ciderfs
TREE=${TREE:-/usr/share/doc}

step() { printf '\n== %s\n' "$*"; }
there() { printf '%s\n' "   already there: $*"; }

step "Packages"
scripts/install-packages.sh build

step "Build ($BIN)"
[ -x "$BIN" ] && there "$BIN (brought up to date)"
cmake --preset release >/dev/null
cmake --build --preset release --target ciderfs

step "Volume ($META)"
mkdir -p "$DIR" "$MNT"
if [ -e "$DIR/meta.db" ]; then
  there "the volume"
else
  "$BIN" --quiet format --bucket "$DIR/data" "$META" demo
fi

step "Mount ($MNT)"
if mountpoint -q "$MNT"; then
  there "the mount"
else
  "$BIN" mount -d --log "$DIR/ciderfs.log" "$META" "$MNT"
fi

step "Copy $TREE into it and compare"
copy=$MNT/$(basename "$TREE")
if [ -e "$copy" ]; then there "$copy"; else cp -r --preserve=mode,timestamps,links "$TREE" "$copy"; fi
diff -r --no-dereference "$TREE" "$copy"
echo "   equal: $(find "$copy" -type f | wc -l) files, $(du -sh "$copy" | cut -f1)"

step "Status"
"$BIN" status "$META"

cat <<T

Go on with it:    ls $MNT    and    $BIN help
Unmount it:       $BIN umount $MNT    (and to mount it again: $BIN mount -d $META $MNT)
T
