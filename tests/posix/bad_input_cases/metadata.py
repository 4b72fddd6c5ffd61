"""Metadata that does not decode."""
import contextlib
import errno
import os
import sqlite3
import struct
import subprocess

from .harness import (
    MIB, binary, case, execute, expect, fails_with, new_mount, new_volume, read_fresh, works, write_synced,
)


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
        result = subprocess.run([binary(), "info", "-r", volume.point / "d"], capture_output=True, timeout=60)
        expect(result.returncode in (0, 1), f"info: {result.returncode}")


@case
def damaged_sessions():
    with new_volume() as volume:
        execute(volume, "INSERT INTO jfs_session2 (sid, expire, info) VALUES (4242, 0, ?)", b"{not json")
        execute(volume, "INSERT INTO jfs_session2 (sid, expire, info) VALUES (4243, 99999999999, ?)", b"\xff\x00")
        volume.run("status", volume.url)
        volume.mount()
        works(volume)
