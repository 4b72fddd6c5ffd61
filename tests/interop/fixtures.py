#!/usr/bin/env python3
"""Volumes written by JuiceFS 1.4.1, mounted and compared with what its own mount showed.

usage: fixtures.py CIDERFS     The volumes are in $CIDER_FIXTURES, or in ../shared/fixtures beside the source tree.
Every entry's attributes (times to the nanosecond), content, symlink target, xattrs and ACLs must be as expected.json says.
Volumes that need what this version lacks must be refused with a reason.
"""
import base64
import hashlib
import json
import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from volume import start_redis  # noqa: E402

FIXTURES = Path(os.environ.get("CIDER_FIXTURES", ROOT.parent / "shared" / "fixtures"))
READABLE = ["main-sqlite", "small-bs64k", "main-redis", "small-hashprefix"]
REFUSED = {"small-zstd": "compress", "small-aes": "encrypt", "small-changelog-sqlite": "change log", "small-lz4": "compress",
           "small-chacha": "encrypt", "small-changelog": "change log", "small-shards": "shard"}
# JuiceFS computed these times through 64-bit nanoseconds and stored the overflow; what its client shows of the negative rest is an
# artefact of its decoder (fraction clamped by the kernel). We show the stored instant.
OVERFLOWN = {b"times/y9999": ("atime_ns", "mtime_ns")}
TYPES = {"dir": stat.S_ISDIR, "file": stat.S_ISREG, "symlink": stat.S_ISLNK, "fifo": stat.S_ISFIFO,
         "blockdev": stat.S_ISBLK, "chardev": stat.S_ISCHR, "socket": stat.S_ISSOCK}


def path_of(entry):
    return base64.b64decode(entry["path_b64"]) if "path_b64" in entry else entry["path"].encode()


def target_of(entry):
    if "target_b64" in entry:
        return base64.b64decode(entry["target_b64"])
    return entry["target"].encode() if "target" in entry else None


def check_entry(mount, entry):
    """The differences between one entry and what is expected of it."""
    path = os.path.join(mount, path_of(entry)) if path_of(entry) else mount
    st = os.lstat(path)
    wrong = []

    def expect(what, have, want):
        if have != want:
            wrong.append(f"{what}: {have!r}, expected {want!r}")

    if entry["type"] in TYPES and not TYPES[entry["type"]](st.st_mode):
        wrong.append(f"type: mode {st.st_mode:o}, expected {entry['type']}")
    expect("inode", st.st_ino, entry["inode"])
    expect("mode", stat.S_IMODE(st.st_mode), int(entry["mode"], 8))
    for field in ("uid", "gid", "nlink", "size"):
        if not (path_of(entry) == b".trash" and field in ("size", "nlink")):
            expect(field, getattr(st, "st_" + field), entry[field])
    for field in ("atime_ns", "mtime_ns", "ctime_ns"):
        if field in entry and field not in OVERFLOWN.get(path_of(entry), ()):
            expect(field, getattr(st, "st_" + field), entry[field])
    if "rdev" in entry:
        expect("rdev", st.st_rdev, entry["rdev"])
    if target_of(entry) is not None:
        expect("target", os.readlink(path), target_of(entry))
    if "sha256" in entry:
        with open(path, "rb") as file:
            expect("content", hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest")
                   else hashlib.sha256(file.read()).hexdigest(), entry["sha256"])
    for group in ("xattrs_hex", "acl_xattr_hex"):
        for name, value in entry.get(group, {}).items():
            try:
                expect("xattr " + name, os.getxattr(path, name, follow_symlinks=False).hex(), value)
            except OSError as error:
                wrong.append(f"xattr {name}: {error}")
    return wrong


def tree(mount):
    """All paths below the mount, as bytes; internal files and the trash left out."""
    out = {b""}
    for folder, folders, files in os.walk(mount):
        if folder == mount:
            folders[:] = [f for f in folders if f != b".trash"]
            files = [f for f in files if f not in (b".accesslog", b".config", b".control", b".stats")]
        for name in folders + files:
            out.add(os.path.relpath(os.path.join(folder, name), mount))
    return out


class Volume:
    """A copy of a fixture in a temporary directory."""

    def __init__(self, binary, name):
        self.binary, self.name = binary, name
        self.work = Path(tempfile.mkdtemp(prefix="ciderfs-fixture."))
        self.server = None
        if (FIXTURES / name / "commands.resp").exists():
            self.url = self.load_redis(FIXTURES / name / "commands.resp")
        else:
            shutil.copy(FIXTURES / name / "meta.db", self.work / "meta.db")
            os.chmod(self.work / "meta.db", 0o600)
            self.url = f"sqlite3://{self.work}/meta.db"
        if (FIXTURES / name / "objects").exists():
            shutil.copytree(FIXTURES / name / "objects", self.work / "data")
        else:
            (self.work / "data").mkdir()
        (self.work / "mnt").mkdir()

    def load_redis(self, commands):
        self.server, path = start_redis(self.work)
        loaded = subprocess.run(["redis-cli", "-s", path, "--pipe"], stdin=open(commands, "rb"), capture_output=True, text=True)
        if "errors: 0," not in loaded.stdout:
            raise RuntimeError(f"redis-cli --pipe: {loaded.stdout} {loaded.stderr}")
        return f"unix://{path}"

    def mount(self):
        return subprocess.run([self.binary, "mount", "-d", "--read-only", "--no-bgjob", "--enable-xattr", "--no-syslog",
                               "--cache-dir", self.work / "cache", "--log",
                               self.work / "log", "--bucket", f"{self.work}/data/", self.url, self.work / "mnt"],
                              capture_output=True, text=True, timeout=60)

    def remove(self):
        subprocess.run(["umount", "-l", self.work / "mnt"], capture_output=True)
        if self.server:
            self.server.terminate()
            self.server.wait()
        shutil.rmtree(self.work)


def compare(binary, name):
    expected = json.loads((FIXTURES / name / "expected.json").read_text())
    volume = Volume(binary, name)
    try:
        mounted = volume.mount()
        if mounted.returncode != 0:
            return [f"mount: {mounted.stderr}"]
        mount = os.fsencode(volume.work / "mnt")
        wrong = []
        for entry in expected["entries"] + expected["trash_entries"]:
            try:
                wrong += [f"{path_of(entry)!r}: {w}" for w in check_entry(mount, entry)]
            except OSError as error:
                wrong.append(f"{path_of(entry)!r}: {error}")
        missing = tree(mount) ^ {path_of(e) for e in expected["entries"]}
        wrong += [f"{path!r} is in only one of the listings" for path in sorted(missing)]
        return wrong
    finally:
        volume.remove()


def refused(binary, name, reason):
    volume = Volume(binary, name)
    try:
        mounted = volume.mount()
        if mounted.returncode == 0:
            return ["mounted, although this version lacks what it needs"]
        return [] if reason in mounted.stderr.lower() else [f"the refusal doesn't name '{reason}': {mounted.stderr}"]
    finally:
        volume.remove()


def main():
    binary = sys.argv[1]
    if not FIXTURES.is_dir():
        print(f"NOTICE: no volumes at {FIXTURES}; set CIDER_FIXTURES to compare with volumes that JuiceFS wrote")
        print("fixtures.py: 0 passed, 0 failed")
        return 0
    cases = [(name, lambda n=name: compare(binary, n)) for name in READABLE]
    cases += [(name + " is refused", lambda n=name, r=reason: refused(binary, n, r)) for name, reason in REFUSED.items()]
    failed = 0
    for name, case in cases:
        wrong = case()
        print(("FAIL  " if wrong else "ok    ") + name)
        for line in wrong[:20]:
            print("        " + line)
        failed += bool(wrong)
    print(f"fixtures.py: {len(cases) - failed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
