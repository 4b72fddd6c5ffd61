#!/usr/bin/env python3
"""Volumes written by JuiceFS 1.4.1, mounted and compared with what its own mount showed.

usage: fixtures.py CIDERFS     The volumes are in $CIDER_FIXTURES, or in ../shared/fixtures beside the source tree.
Every entry's attributes (times to the nanosecond), content, symlink target, xattrs and ACLs must be as expected.json says.
Volumes that need what this version lacks must be refused with a reason.
"""
import base64
import errno
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
import engines  # noqa: E402

FIXTURES = Path(os.environ.get("CIDER_FIXTURES", ROOT.parent / "shared" / "fixtures"))
READABLE = ["main-sqlite", "small-bs64k", "main-redis", "small-hashprefix", "small-zstd", "small-lz4", "small-aes",
            "small-chacha", "small-lz4-aes", "small-shards"]
REFUSED = {"small-changelog-sqlite": "change log", "small-changelog": "change log"}
ENCRYPTED = ["small-aes", "small-chacha", "small-lz4-aes"]
PASSPHRASE = "ciderfs-test-only"  # of test-keys
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
        self.engine = None
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
        self.engine = engines.start("redis", self.work)
        socket = self.engine.home / "redis.sock"
        loaded = subprocess.run(["redis-cli", "-s", socket, "--pipe"], stdin=open(commands, "rb"), capture_output=True, text=True)
        if "errors: 0," not in loaded.stdout:
            raise RuntimeError(f"redis-cli --pipe: {loaded.stdout} {loaded.stderr}")
        return self.engine.url()

    def mount(self, passphrase=PASSPHRASE):
        env = {key: value for key, value in os.environ.items() if key != "JFS_RSA_PASSPHRASE"}
        if passphrase is not None:
            env["JFS_RSA_PASSPHRASE"] = passphrase
        return subprocess.run([self.binary, "mount", "-d", "--read-only", "--no-bgjob", "--enable-xattr", "--no-syslog",
                               "--cache-dir", self.work / "cache", "--log", self.work / "log", "--bucket",
                               f"{self.work}/data/{'shard%d/' if self.name == 'small-shards' else ''}", self.url, self.work / "mnt"],
                              capture_output=True, text=True, timeout=60, env=env)

    def remove(self):
        subprocess.run(["umount", "-l", self.work / "mnt"], capture_output=True)
        if self.engine:
            self.engine.stop()
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


def locked(binary, name):
    """Without its passphrase, or with a wrong one, an encrypted volume is refused when it is mounted."""
    volume = Volume(binary, name)
    try:
        wrong = []
        for passphrase in (None, "", "wrong"):
            mounted = volume.mount(passphrase)
            if mounted.returncode == 0:
                return [f"mounted with the passphrase {passphrase!r}"]
            if "JFS_RSA_PASSPHRASE" not in mounted.stderr:
                wrong.append(f"with the passphrase {passphrase!r} the refusal doesn't name JFS_RSA_PASSPHRASE: {mounted.stderr}")
        return wrong
    finally:
        volume.remove()


def altered(binary, name):
    """Each object has one bit flipped, or its end cut off: reads fail with EIO, and the log names the object."""
    volume = Volume(binary, name)
    try:
        objects = sorted(path for path in (volume.work / "data").rglob("*_*_*") if path.is_file())
        for number, path in enumerate(objects):
            content = bytearray(path.read_bytes())
            if number % 2:
                content[len(content) // 2] ^= 1 << number % 8
            else:
                content = content[:-1]
            os.chmod(path, 0o644)
            path.write_bytes(content)
        mounted = volume.mount()
        if mounted.returncode != 0:
            return [f"mount: {mounted.stderr}"]
        wrong = []
        for file in ("hello.txt", "dir/text100k.txt", "dir/sub/text7001.txt"):
            try:
                (volume.work / "mnt" / file).read_bytes()
                wrong.append(f"{file} is read, although its object was altered")
            except OSError as error:
                if error.errno != errno.EIO:
                    wrong.append(f"{file}: {error}, expected EIO")
        if "is damaged" not in (volume.work / "log").read_text() or "chunks/0/0/" not in (volume.work / "log").read_text():
            wrong.append("the log does not name the objects that are damaged")
        return wrong
    finally:
        volume.remove()


def foreign_mark(binary, name):
    """Data that another key has encrypted is refused at once."""
    volume = Volume(binary, name)
    try:
        mark = next((volume.work / "data").rglob("juicefs_uuid"))
        os.chmod(mark, 0o644)
        mark.write_bytes(mark.read_bytes()[:3] + bytes(256) + mark.read_bytes()[259:])
        mounted = volume.mount()
        if mounted.returncode == 0:
            return ["mounted, although its key does not open the mark"]
        return [] if "another RSA key" in mounted.stderr else [f"the refusal doesn't tell why: {mounted.stderr}"]
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
    cases += [(name + " is locked without its passphrase", lambda n=name: locked(binary, n)) for name in ENCRYPTED]
    cases += [(name + ", altered, answers EIO", lambda n=name: altered(binary, n)) for name in ENCRYPTED]
    cases += [(name + " with a mark of another key is refused", lambda n=name: foreign_mark(binary, n)) for name in ENCRYPTED[:1]]
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
