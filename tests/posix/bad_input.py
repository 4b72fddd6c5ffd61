#!/usr/bin/env python3
"""What is given wrongly, is damaged or is not there: each case must end in a clear message or the right errno, harm nothing that
is stored, and leave the mount serving.

usage: bad_input.py [BIN] [CASE...]      default build/release/ciderfs, all cases; cases that mount something need root
"""
import contextlib
import errno
import os
import pathlib
import random
import shutil
import signal
import sqlite3
import stat
import struct
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
from volume import Volume, program  # noqa: E402

CASES = []
BIN = ""
MIB = 1 << 20
CASE_LIMIT = 120  # seconds, so that a hang is a failure


def case(function):
    CASES.append(function)
    return function


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def refused(volume, *words, says):
    """The command fails with a message of one paragraph that holds each text of `says`."""
    result = volume.run(*words, check=False)
    output = result.stderr + result.stdout
    expect(result.returncode not in (0, 134, 139) and result.returncode > 0, f"{words}: exit code {result.returncode}: {output}")
    for text in says:
        expect(text in output, f"{words}: no \"{text}\" in: {output}")
    expect("terminate called" not in output and "Traceback" not in output, output)


@contextlib.contextmanager
def fails_with(*codes):
    try:
        yield
    except OSError as error:
        expect(error.errno in codes, f"{errno.errorcode[error.errno]} instead of {[errno.errorcode[c] for c in codes]}")
    else:
        raise AssertionError(f"nothing failed; expected {[errno.errorcode[c] for c in codes]}")


@contextlib.contextmanager
def new_volume(*format_options):
    volume = Volume(BIN, "ciderfs-bad.")
    try:
        volume.format(*format_options)
        yield volume
    finally:
        volume.close()


@contextlib.contextmanager
def new_mount(*mount_options, format_options=()):
    with new_volume(*format_options) as volume:
        volume.mount("--io-retries", "2", *mount_options)
        yield volume
        volume.unmount()


@contextlib.contextmanager
def bare():
    volume = Volume(BIN, "ciderfs-bad.")
    try:
        yield volume
    finally:
        volume.close()


@contextlib.contextmanager
def small_disk(path, size):
    path.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", path], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def works(volume):
    """The mount still serves: a file is written, synced, read from the store and removed."""
    path = volume.point / f"still-works-{random.random()}"
    content = os.urandom(300_000)
    write_synced(path, content)
    expect(read_fresh(path) == content, "what was written is read differently")
    path.unlink()


def write_synced(path, content):
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_in_background(path):
    """A process that writes 1 MiB of x and syncs it; exit code 0 once that is done."""
    return subprocess.Popen([sys.executable, "-c", "import os, sys; fd = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY);"
                             "os.write(fd, b'x' * (1 << 20)); os.fsync(fd); os.close(fd)", path], stderr=subprocess.DEVNULL)


def read_fresh(path):
    """Past the kernel's cache."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        out = b""
        while piece := os.read(fd, MIB):
            out += piece
        return out
    finally:
        os.close(fd)


def blocks_of(volume):
    return sorted(p for p in volume.bucket.rglob("*") if p.is_file())


def visible(volume):
    return sorted(name for name in os.listdir(volume.point) if not name.startswith("."))


def execute(volume, sql, *values):
    with contextlib.closing(sqlite3.connect(volume.database, timeout=10)) as db:
        cursor = db.execute(sql, values)
        db.commit()
        return cursor.fetchall()


def remount(volume):
    volume.unmount()
    volume.mount("--io-retries", "2")


# --- what a command is given

@case
def missing_database():
    with bare() as volume:
        for command in (["status", volume.url], ["mount", "-d", "--log", volume.log, volume.url, volume.point],
                        ["config", volume.url], ["destroy", volume.url, "00000000-0000-0000-0000-000000000000"]):
            refused(volume, *command, says=[str(volume.database)])
        expect(not volume.database.exists(), "a database was made")
        refused(volume, "format", f"sqlite3://{volume.work}/no/such/folder/x.db", "vol", says=["no/such/folder"])


@case
def foreign_database():
    with bare() as volume:
        execute(volume, "CREATE TABLE customers (id INTEGER)")
        before = volume.database.read_bytes()
        for command in (["status", volume.url], ["mount", "-d", "--log", volume.log, volume.url, volume.point]):
            refused(volume, *command, says=[str(volume.database), "holds no volume"])
        expect(volume.database.read_bytes() == before, "the database was changed")


@case
def no_database_at_all():
    with bare() as volume:
        volume.database.write_bytes(b"Dear diary,\n" * 1000)
        for command in (["status", volume.url], ["mount", "-d", "--log", volume.log, volume.url, volume.point],
                        ["format", "--bucket", volume.bucket, volume.url, "vol"]):
            refused(volume, *command, says=["not a database"])
        expect(volume.database.read_bytes() == b"Dear diary,\n" * 1000, "the file was changed")


@case
def damaged_database():
    with new_volume() as volume:
        size = volume.database.stat().st_size
        with open(volume.database, "r+b") as file:
            file.seek(100)
            file.write(os.urandom(size - 100))
        for command in (["status", volume.url], ["mount", "-d", "--log", volume.log, volume.url, volume.point]):
            refused(volume, *command, says=["malformed"])


@case
def newer_format():
    with new_volume() as volume:
        setting = execute(volume, "SELECT value FROM jfs_setting WHERE name = 'format'")[0][0]
        for change, says in (((b'"MetaVersion": 1', b'"MetaVersion": 9'), ["9"]),
                             ((b'"MinClientVersion": "', b'"MinClientVersion": "9'), ["none below 9"])):
            text = setting if isinstance(setting, bytes) else setting.encode()
            expect(change[0] in text, f"no {change[0]} in {text}")
            newer = text.replace(*change)
            execute(volume, "UPDATE jfs_setting SET value = ? WHERE name = 'format'", newer.decode())
            for command in (["status", volume.url], ["mount", "-d", "--log", volume.log, volume.url, volume.point],
                            ["config", volume.url, "--trash-days", "3"],
                            ["format", "--bucket", volume.bucket, volume.url, "test-vol"]):
                refused(volume, *command, says=says)
            now = execute(volume, "SELECT value FROM jfs_setting WHERE name = 'format'")[0][0]
            expect((now if isinstance(now, bytes) else now.encode()) == newer, "the setting was changed")


@case
def setting_that_does_not_decode():
    with new_volume() as volume:
        for text in ("", "{", "[]", '{"Name": 7}', "\x00\xff" * 50):
            execute(volume, "UPDATE jfs_setting SET value = ? WHERE name = 'format'", text)
            for command in (["status", volume.url], ["mount", "-d", "--log", volume.log, volume.url, volume.point]):
                refused(volume, *command, says=["setting"])


@case
def volume_names():
    with bare() as volume:
        for name in ("", "ab", "Upper", "with space", "dot.ted", "slash/ed", "..", "-dash", "dash-", "x" * 64, "ä" * 5, "new\nline"):
            refused(volume, "format", "--bucket", volume.bucket, volume.url, "--", name, says=["name"])
            expect(not volume.database.exists() and not volume.bucket.exists(), f"format with the name {name!r} left something")


@case
def block_sizes():
    with bare() as volume:
        for size in ("0", "1", "32K", "17M", "1G", "-4M", "4X", "", "1e3", "99999999999999999999"):
            refused(volume, "format", "--block-size", size, "--bucket", volume.bucket, volume.url, "vol", says=["block-size"])
            expect(not volume.database.exists(), f"format with the block size {size} left a database")


@case
def urls():
    with bare() as volume:
        for url in ("", "meta.txt", "://", "sqlite3://", "redis://127.0.0.1/1", "http://127.0.0.1/", "sqlite3:///\n", "memory"):
            refused(volume, "status", url, says=[])
            refused(volume, "mount", "-d", "--log", volume.log, url, volume.point, says=[])
        refused(volume, "status", "redis://127.0.0.1/1", says=["redis", "sqlite3"])
        refused(volume, "format", "--storage", "s3", "--bucket", "http://b.invalid", volume.url, "vol", says=["s3", "file"])
        expect(not volume.database.exists(), "a database was made")


@case
def options():
    with new_volume() as volume:
        for words, says in ((["--no-such-option"], "no-such-option"), (["--buffer-size", "much"], "buffer-size"),
                            (["--buffer-size", "1"], "buffer-size"), (["--attr-cache", "-1"], "attr-cache"),
                            (["--umask", "99"], "umask"), (["-o", "no_such_word"], "no_such_word"),
                            (["--cache-dir", "/tmp/x"], "cache-dir"), (["--heartbeat", "0"], "heartbeat"),
                            (["--subdir", "../.."], "subdir")):
            refused(volume, "mount", "-d", "--log", volume.log, *words, volume.url, volume.point, says=[says])
        expect(not volume.mounted(), "something is mounted")


# --- mount points

@case
def mount_points():
    with new_volume() as volume:
        log = ["--log", volume.log]
        refused(volume, "mount", "-d", *log, volume.url, volume.work / "absent", says=["absent", "no such directory"])
        (volume.work / "file").write_text("x")
        refused(volume, "mount", "-d", *log, volume.url, volume.work / "file", says=["not a directory"])
        (volume.point / "something").write_text("x")
        refused(volume, "mount", "-d", *log, volume.url, volume.point, says=["not empty", "nonempty"])
        volume.mount("-o", "nonempty")
        volume.unmount()
        (volume.point / "something").unlink()
        volume.mount()
        refused(volume, "mount", "-d", *log, volume.url, volume.point, says=["mounted there already"])
        works(volume)
        for pid in volume.pids():
            os.kill(pid, 9)
        while volume.pids():
            time.sleep(0.02)
        refused(volume, "mount", "-d", *log, volume.url, volume.point, says=["dead mount", "umount"])
        refused(volume, "umount", volume.work / "absent", says=["absent"])


@case
def log_file_that_cannot_be_written():
    with new_volume() as volume:
        refused(volume, "mount", "-d", "--log", "/proc/no/log", volume.url, volume.point, says=["/proc/no/log", "--log"])
        expect(not volume.mounted(), "mounted without a log")


# --- the store

@case
def store_gone_and_back():
    with new_mount() as volume:
        content = os.urandom(5 * MIB)
        write_synced(volume.point / "kept", content)
        remount(volume)
        away = volume.work / "away"
        volume.bucket.rename(away)
        with fails_with(errno.EIO, errno.ENOENT):
            read_fresh(volume.point / "kept")
        waiting = write_in_background(volume.point / "late")  # data waits for the store to come back ...
        impatient = write_in_background(volume.point / "impatient")
        time.sleep(1)
        expect(waiting.poll() is None and impatient.poll() is None, "fsync says that data is stored")
        impatient.kill()  # ... and who waits can be killed
        impatient.wait(timeout=10)
        expect((volume.point / "kept").stat().st_size == len(content), "metadata is gone too")
        expect(not volume.bucket.exists(), "the bucket's directory was made anew")
        away.rename(volume.bucket)
        expect(waiting.wait(timeout=30) == 0, "fsync failed although the store came back")
        expect(read_fresh(volume.point / "kept") == content, "the file changed")
        remount(volume)
        expect(read_fresh(volume.point / "late") == b"x" * MIB, "what was synced is not there")
        works(volume)
        volume.unmount()
        volume.bucket.rename(away)
        refused(volume, "mount", "-d", "--check-storage", "--log", volume.log, "--bucket", "/proc/no/bucket", volume.url,
                volume.point, says=["/proc/no/bucket"])
        away.rename(volume.bucket)
        volume.mount()
        expect(read_fresh(volume.point / "kept") == content, "the file changed")


@case
def store_unmounted_while_in_use():
    with bare() as volume:
        with small_disk(volume.bucket, "64m"):
            volume.format()
            volume.mount("--io-retries", "2")
            write_synced(volume.point / "kept", b"k" * MIB)
            subprocess.run(["umount", volume.bucket], check=True)  # it can be: nothing in it is held open
            try:
                with fails_with(errno.EIO, errno.ENOENT):
                    read_fresh(volume.point / "kept")
                expect(list(volume.bucket.iterdir()) == [], "something was written below the mount point of the store")
                expect((volume.point / "kept").stat().st_size == MIB, "metadata is gone too")
            finally:
                subprocess.run(["mount", "-t", "tmpfs", "tmpfs", volume.bucket], check=True)
            works(volume)
            volume.unmount()


@case
def read_only_store():
    with bare() as volume:
        with small_disk(volume.bucket, "64m"):
            volume.format()
            volume.mount("--io-retries", "2")
            write_synced(volume.point / "kept", b"k" * MIB)
            subprocess.run(["mount", "-o", "remount,ro", volume.bucket], check=True)
            with fails_with(errno.EIO, errno.EROFS):
                write_synced(volume.point / "lost", b"x" * MIB)
            expect(read_fresh(volume.point / "kept") == b"k" * MIB, "what is there can't be read")
            refused(volume, "format", "--bucket", volume.bucket, f"sqlite3://{volume.work}/other.db", "other", says=[str(volume.bucket)])
            expect(not (volume.work / "other.db").exists(), "a volume without a store was left")
            subprocess.run(["mount", "-o", "remount,rw", volume.bucket], check=True)
            works(volume)
            volume.unmount()


@case
def full_store():
    with bare() as volume:
        with small_disk(volume.bucket, "24m"):
            volume.format()
            volume.mount("--io-retries", "2")
            kept = os.urandom(8 * MIB)
            write_synced(volume.point / "kept", kept)
            with fails_with(errno.ENOSPC, errno.EIO):
                write_synced(volume.point / "large", os.urandom(30 * MIB))
            expect(read_fresh(volume.point / "kept") == kept, "another file changed")
            (volume.point / "large").unlink()
            wait_for(lambda: shutil.disk_usage(volume.bucket).free > 12 * MIB, "the space of the failed write comes back")
            works(volume)
            remount(volume)
            expect(read_fresh(volume.point / "kept") == kept, "another file changed after a remount")
            volume.unmount()


@case
def full_database():
    with bare() as volume:
        disk = volume.work / "small"
        with small_disk(disk, "4m"):
            volume.database = disk / "meta.db"
            volume.url = f"sqlite3://{volume.database}"
            volume.format()
            volume.mount()
            made = 0
            with fails_with(errno.ENOSPC, errno.EIO):
                for made in range(100_000):
                    os.close(os.open(volume.point / f"{made:0200}", os.O_CREAT | os.O_WRONLY))
            expect(made > 100, f"only {made} files fit")
            names = visible(volume)
            expect(len(names) == made, f"{len(names)} names of {made} that were made")
            with open(disk / "ballast", "wb", buffering=0) as ballast:  # the last bytes too
                with contextlib.suppress(OSError):
                    while True:
                        ballast.write(b"x" * 4096)
            for name in names[:50]:
                (volume.point / name).stat()
            (disk / "ballast").unlink()
            subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
            works(volume)
            remount(volume)
            expect(len(visible(volume)) == made, "names are lost after a remount")
            volume.unmount()


@case
def one_full_disk_for_both():
    with bare() as volume:
        disk = volume.work / "small"
        with small_disk(disk, "24m"):
            volume.database, volume.bucket = disk / "meta.db", disk / "data"
            volume.url = f"sqlite3://{volume.database}"
            volume.format()
            volume.mount("--io-retries", "2")
            kept = {}
            with fails_with(errno.ENOSPC, errno.EIO):
                for number in range(1000):
                    content = os.urandom(random.Random(number).choice([100, 70_000, MIB]))
                    write_synced(volume.point / f"f{number}", content)
                    kept[f"f{number}"] = content
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
            for name, content in kept.items():
                expect(read_fresh(volume.point / name) == content, f"{name}, which was synced, changed")
            works(volume)
            remount(volume)
            for name, content in kept.items():
                expect(read_fresh(volume.point / name) == content, f"{name}, which was synced, changed after a remount")
            volume.unmount()


def wait_for(condition, text, limit=20):
    end = time.time() + limit
    while not condition():
        expect(time.time() < end, "in vain: " + text)
        time.sleep(0.1)


# --- stored data that is damaged

@contextlib.contextmanager
def one_damaged_block(size=6 * MIB):
    """A file of two blocks and another; the path of the first block of the file."""
    with new_mount() as volume:
        content = os.urandom(size)
        write_synced(volume.point / "hurt", content)
        first = [b for b in blocks_of(volume) if b.name.split("_")[1] == "0"]
        expect(len(first) == 1, f"blocks: {blocks_of(volume)}")
        write_synced(volume.point / "other", b"other" * 100_000)
        volume.unmount()
        yield volume, first[0], content
        expect(read_fresh(volume.point / "other") == b"other" * 100_000, "another file is hurt")
        works(volume)
        (volume.point / "hurt").unlink()


@case
def block_of_other_bytes():
    """The format has no checksums in the `file` store: the bytes come as they are stored, and no more than those are hurt."""
    with one_damaged_block() as (volume, block, content):
        data = bytearray(block.read_bytes())
        data[1000:2000] = bytes(1000)
        block.write_bytes(data)
        volume.mount("--io-retries", "2")
        got = read_fresh(volume.point / "hurt")
        expect(got[:1000] == content[:1000] and got[2000:] == content[2000:] and len(got) == len(content), "more is hurt")


@case
def truncated_block():
    with one_damaged_block() as (volume, block, content):
        os.truncate(block, 100_000)
        volume.mount("--io-retries", "2")
        with fails_with(errno.EIO):
            read_fresh(volume.point / "hurt")
        fd = os.open(volume.point / "hurt", os.O_RDONLY)
        expect(os.pread(fd, 1000, 5 * MIB) == content[5 * MIB:5 * MIB + 1000], "the other block can't be read")
        os.close(fd)


@case
def empty_block():
    with one_damaged_block() as (volume, block, _):
        os.truncate(block, 0)
        volume.mount("--io-retries", "2")
        with fails_with(errno.EIO):
            read_fresh(volume.point / "hurt")


@case
def missing_block():
    with one_damaged_block() as (volume, block, content):
        block.unlink()
        volume.mount("--io-retries", "2")
        with fails_with(errno.EIO):
            read_fresh(volume.point / "hurt")
        fd = os.open(volume.point / "hurt", os.O_RDWR)  # a part may be written anew, and read
        os.pwrite(fd, b"n" * 8192, 0)
        os.fsync(fd)
        expect(os.pread(fd, 4096, 0) == b"n" * 4096, "what was written over it can't be read")
        os.close(fd)


@case
def directory_in_place_of_a_block():
    with one_damaged_block() as (volume, block, _):
        block.unlink()
        block.mkdir()
        volume.mount("--io-retries", "2")
        with fails_with(errno.EIO, errno.EISDIR):
            read_fresh(volume.point / "hurt")
        block.rmdir()


# --- metadata that does not decode

@contextlib.contextmanager
def edited_metadata():
    with new_mount() as volume:
        (volume.point / "d").mkdir()
        write_synced(volume.point / "d" / "hurt", b"h" * MIB)
        write_synced(volume.point / "other", b"other" * 1000)
        ino = (volume.point / "d" / "hurt").stat().st_ino
        volume.unmount()
        yield volume, ino
        expect(read_fresh(volume.point / "other") == b"other" * 1000, "another file is hurt")
        os.listdir(volume.point)
        works(volume)


@case
def inode_records():
    with edited_metadata() as (volume, ino):
        for column, value in (("type", 77), ("type", None), ("length", -5), ("nlink", -1), ("mode", 1 << 40),
                              ("type", "text"), ("parent", None), ("rdev", -1), ("atime", "never"), ("flags", 999)):
            before = execute(volume, f"SELECT {column} FROM jfs_node WHERE inode = ?", ino)[0][0]
            try:
                execute(volume, f"UPDATE jfs_node SET {column} = ? WHERE inode = ?", value, ino)
            except sqlite3.IntegrityError:
                continue
            volume.mount("--io-retries", "2")
            for act in (lambda: (volume.point / "d" / "hurt").stat(), lambda: read_fresh(volume.point / "d" / "hurt"),
                        lambda: os.listdir(volume.point / "d"), lambda: list(os.scandir(volume.point / "d")),
                        lambda: os.chmod(volume.point / "d" / "hurt", 0o600)):
                try:
                    act()
                except OSError as error:
                    expect(error.errno in (errno.EIO, errno.EINVAL, errno.ENOENT, errno.EACCES, errno.EPERM),
                           f"{column} = {value}: {error}")
            works(volume)
            volume.unmount()
            execute(volume, f"UPDATE jfs_node SET {column} = ?, mode = 420 WHERE inode = ?", before, ino)
        volume.mount("--io-retries", "2")
        expect(read_fresh(volume.point / "d" / "hurt") == b"h" * MIB, "mended, the file is another")


@case
def name_without_inode():
    with edited_metadata() as (volume, ino):
        execute(volume, "DELETE FROM jfs_node WHERE inode = ?", ino)
        volume.mount("--io-retries", "2")
        with fails_with(errno.ENOENT, errno.EIO):
            (volume.point / "d" / "hurt").stat()
        os.listdir(volume.point / "d")
        with fails_with(errno.EEXIST, errno.EIO, errno.ENOENT):
            os.close(os.open(volume.point / "d" / "hurt", os.O_CREAT | os.O_EXCL))
        with contextlib.suppress(OSError):  # taking the name away may work
            (volume.point / "d" / "hurt").unlink()


@case
def slice_records():
    whole = struct.Struct(">IQIII")
    with edited_metadata() as (volume, ino):
        before = execute(volume, "SELECT slices FROM jfs_chunk WHERE inode = ? AND indx = 0", ino)[0][0]
        pos, number, size, off, length = whole.unpack(before[:24])
        for blob in (before[:-1], before + b"x", b"", b"x" * 24, before[:23], os.urandom(24 * 50),
                     whole.pack(pos, number, size, off, 1 << 31), whole.pack(1 << 31, number, size, off, length),
                     whole.pack(pos, number, 10, off, length), whole.pack(pos, number + 1000, size, off, length),
                     whole.pack(pos, 1 << 63, 0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF)):
            execute(volume, "UPDATE jfs_chunk SET slices = ? WHERE inode = ? AND indx = 0", blob, ino)
            volume.mount("--io-retries", "2")
            path = volume.point / "d" / "hurt"
            try:
                expect(len(read_fresh(path)) == MIB, "read to another length")
            except OSError as error:
                expect(error.errno == errno.EIO, f"{blob[:24].hex()}: {error}")
            volume.run("info", path, check=False)
            volume.run("info", "--raw", path, check=False)
            expect(path.stat().st_size == MIB, "the length changed")
            works(volume)
            volume.unmount()
            now = execute(volume, "SELECT slices FROM jfs_chunk WHERE inode = ? AND indx = 0", ino)[0][0]
            expect(now == blob, "reading changed the record")
        execute(volume, "UPDATE jfs_chunk SET slices = ? WHERE inode = ? AND indx = 0", before, ino)
        volume.mount("--io-retries", "2")
        expect(read_fresh(volume.point / "d" / "hurt") == b"h" * MIB, "mended, the file is another")


@case
def directory_that_holds_itself():
    with edited_metadata() as (volume, ino):
        d = execute(volume, "SELECT inode FROM jfs_edge WHERE name = ?", b"d")[0][0]
        execute(volume, "INSERT INTO jfs_edge (parent, name, inode, type) VALUES (?, ?, ?, 2)", d, b"loop", d)
        volume.mount("--io-retries", "2")
        os.listdir(volume.point / "d")
        with contextlib.suppress(OSError):
            (volume.point / "d" / "loop").stat()
        result = subprocess.run([BIN, "info", "-r", volume.point / "d"], capture_output=True, timeout=60)
        expect(result.returncode in (0, 1), f"info: {result.returncode}")


@case
def damaged_sessions():
    with new_volume() as volume:
        execute(volume, "INSERT INTO jfs_session2 (sid, expire, info) VALUES (4242, 0, ?)", b"{not json")
        execute(volume, "INSERT INTO jfs_session2 (sid, expire, info) VALUES (4243, 99999999999, ?)", b"\xff\x00")
        volume.run("status", volume.url)
        volume.mount()
        works(volume)


# --- names and requests

@case
def long_names():
    with new_mount() as volume:
        point, longest, over = volume.point, "n" * 255, "n" * 256
        (point / longest).write_text("x")
        actions = [lambda p: open(p, "w"), os.mkdir, os.mkfifo, lambda p: os.symlink("x", p), lambda p: os.link(point / longest, p),
                   lambda p: os.rename(point / longest, p), os.unlink, os.rmdir, os.stat, os.listdir]
        for act in actions:
            with fails_with(errno.ENAMETOOLONG):
                act(point / over)
        umlauts = "ä" * 127 + "x"
        (point / umlauts).write_text("y")
        with fails_with(errno.ENAMETOOLONG):
            (point / ("ä" * 128)).write_text("y")
        with fails_with(errno.ENAMETOOLONG):
            os.symlink("t" * 4096, point / "link")
        os.symlink("t" * 4095, point / "link")
        expect(os.readlink(point / "link") == "t" * 4095, "a long target")
        raw = os.path.join(os.fsencode(point), b"\xff\xfe\n\t\\\"%s\x01")
        with open(raw, "w") as file:
            file.write("z")
        expect(sorted(os.listdir(os.fsencode(point)))[-1] == b"\xff\xfe\n\t\\\"%s\x01", "a name that is no UTF-8")
        volume.run("info", point)
        volume.run("summary", point)
        expect(volume.run("rmr", raw.decode(errors="surrogateescape")).returncode == 0, "rmr of a name that is no UTF-8")


def ask_control(volume, messages, limit=2.0):
    """Writes to .control and reads until an answer or the limit; nothing of it may hang."""
    fd = os.open(volume.point / ".control", os.O_RDWR)
    try:
        for message in messages:
            try:
                os.write(fd, message)
            except OSError as error:
                expect(error.errno in (errno.EINVAL, errno.EIO, errno.EBUSY), f"write to .control: {error}")
        end = time.time() + limit
        while time.time() < end:
            if answer := os.read(fd, 4096):
                return answer
            time.sleep(0.01)
        return b""
    finally:
        os.close(fd)


@case
def control_messages():
    with new_mount() as volume:
        (volume.point / "d").mkdir()
        write_synced(volume.point / "d" / "kept", b"kept")
        chance = random.Random(1)
        commands = [0, 1, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 0xFFFFFFFF]
        # Of every length; too short for its own size; of a size that lies.
        for length in [*range(0, 40), 100, 1000, 4096, 70_000, 2 * MIB]:
            ask_control(volume, [chance.randbytes(length)], limit=0.01)
        for command in commands:
            for length in (0, 1, 7, 8, 9, 20, 300):
                body = chance.randbytes(length)
                # The parent is no inode that exists, so that nothing can be removed by chance.
                body = struct.pack(">Q", 1 << 50)[:length] + body[8:]
                for claimed in (length, length + 1, max(0, length - 1), 0, 0xFFFFFFFF, 1 << 20):
                    ask_control(volume, [struct.pack(">II", command, claimed) + body], limit=0.01)
        # A name that is longer than the message; in pieces; with bytes behind its end; twice.
        rmr = struct.pack(">QB", 1, 200) + b"d"
        expect(ask_control(volume, [struct.pack(">II", 1002, len(rmr)) + rmr]) not in (b"", b"\0"), "a name cut short was removed")
        info = struct.pack(">II", 1005, 8) + struct.pack(">Q", 1)
        expect(ask_control(volume, [bytes([b]) for b in info]) != b"", "no answer to a message in pieces")
        ask_control(volume, [info + b"tail"])
        ask_control(volume, [info] * 20)
        for other in (".stats", ".config", ".accesslog"):
            with fails_with(errno.EACCES, errno.EPERM, errno.EINVAL):
                with open(volume.point / other, "wb", buffering=0) as file:
                    file.write(b"garbage")
        expect(visible(volume) == ["d"], "names changed")
        expect(read_fresh(volume.point / "d" / "kept") == b"kept", "a file changed")
        expect("files" in volume.run("info", volume.point).stdout, "info no longer answers")
        works(volume)


@case
def internal_names_are_protected():
    with new_mount() as volume:
        for name in (".stats", ".control", ".config", ".accesslog"):
            with fails_with(errno.EPERM, errno.EACCES):
                (volume.point / name).unlink()
            with fails_with(errno.EEXIST, errno.EPERM, errno.EACCES):
                (volume.point / name).mkdir()
            (volume.point / "x").write_text("x")
            with fails_with(errno.EPERM, errno.EACCES, errno.EEXIST):
                os.rename(volume.point / "x", volume.point / name)
            with fails_with(errno.EPERM, errno.EACCES):
                os.rename(volume.point / name, volume.point / "y")
        expect(stat.S_ISREG((volume.point / ".stats").stat().st_mode), ".stats is gone")


def too_late(*_):
    raise TimeoutError(f"not done within {CASE_LIMIT} s")


def main():
    global BIN
    signal.signal(signal.SIGALRM, too_late)
    words = sys.argv[1:]
    BIN = program(words.pop(0) if words and "/" in words[0] else str(HERE.parent.parent / "build/release/ciderfs"))
    passed = failed = skipped = 0
    for function in CASES:
        if words and function.__name__ not in words:
            continue
        needs_root = "small_disk" in function.__code__.co_names
        if needs_root and os.geteuid() != 0:
            skipped += 1
            print(f"skip  {function.__name__}: needs root")
            continue
        signal.alarm(CASE_LIMIT)
        try:
            function()
            signal.alarm(0)
            passed += 1
            print(f"ok    {function.__name__}", flush=True)
        except Exception as error:  # whatever it was, the other cases run
            signal.alarm(0)
            failed += 1
            print(f"FAIL  {function.__name__}: {type(error).__name__}: {error}", flush=True)
    print(f"bad_input.py: {passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
