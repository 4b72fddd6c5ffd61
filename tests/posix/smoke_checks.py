#!/usr/bin/env python3
"""The cases of smoke.sh that a shell can't do: smoke_checks.py MOUNTPOINT CASE."""
import ctypes
import errno
import fcntl
import mmap
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = sys.argv[1]
PUNCH_HOLE, KEEP_SIZE, ZERO_RANGE = 2, 1, 16
libc = ctypes.CDLL(None, use_errno=True)
libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def path(name):
    return os.path.join(ROOT, name)


def write(name, data):
    with open(path(name), "wb") as file:
        file.write(data)


def read(name):
    with open(path(name), "rb") as file:
        return file.read()


def do_fallocate(fd, mode, offset, length):
    if libc.fallocate(fd, mode, offset, length) != 0:
        raise OSError(ctypes.get_errno(), "fallocate")


def expect(code, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == code, error
        return
    raise AssertionError(f"{call} succeeded instead of {errno.errorcode[code]}")


def in_child(code):
    """Runs Python code in another process; its output."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def special_files():
    os.mkfifo(path("fifo"), 0o640)
    assert stat.S_ISFIFO(os.lstat(path("fifo")).st_mode)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path("sock"))
        assert stat.S_ISSOCK(os.lstat(path("sock")).st_mode)
    os.symlink("x" * 4000, path("link"))
    assert os.readlink(path("link")) == "x" * 4000


def fallocate():
    write("fa", b"x" * 1000)
    with open(path("fa"), "r+b") as file:
        do_fallocate(file.fileno(), 0, 0, 100_000)
        assert os.fstat(file.fileno()).st_size == 100_000
        do_fallocate(file.fileno(), KEEP_SIZE, 0, 200_000)
        assert os.fstat(file.fileno()).st_size == 100_000
    assert read("fa") == b"x" * 1000 + bytes(99_000)


def punch_hole():
    data = os.urandom(300_000)
    write("ph", data)
    with open(path("ph"), "r+b") as file:
        do_fallocate(file.fileno(), PUNCH_HOLE | KEEP_SIZE, 50_000, 100_000)
        do_fallocate(file.fileno(), ZERO_RANGE, 200_000, 10)
    want = data[:50_000] + bytes(100_000) + data[150_000:200_000] + bytes(10) + data[200_010:]
    assert read("ph") == want


def truncate():
    write("tr", b"a" * 10_000)
    os.truncate(path("tr"), 5000)
    os.truncate(path("tr"), 8000)
    assert read("tr") == b"a" * 5000 + bytes(3000)


def append():
    fds = [os.open(path("ap"), os.O_WRONLY | os.O_CREAT | os.O_APPEND) for _ in range(2)]
    for i in range(100):
        os.write(fds[i % 2], b"%04d" % i)
    for fd in fds:
        os.close(fd)
    assert read("ap") == b"".join(b"%04d" % i for i in range(100))


def rename_over():
    write("ro1", b"new")
    write("ro2", b"old")
    with open(path("ro2"), "rb") as old:
        os.rename(path("ro1"), path("ro2"))
        assert old.read() == b"old"
    assert read("ro2") == b"new"
    assert not os.path.exists(path("ro1"))


def unlinked_while_open():
    with open(path("ul"), "w+b") as file:
        file.write(b"z" * 5_000_000)
        file.flush()
        os.unlink(path("ul"))
        file.write(b"more")
        file.flush()
        file.seek(0)
        assert file.read() == b"z" * 5_000_000 + b"more"
        assert os.fstat(file.fileno()).st_nlink == 0
    assert not os.path.exists(path("ul"))


def flock():
    write("fl", b"")
    with open(path("fl")) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        other = f"""
import fcntl
f = open({path('fl')!r})
try:
    fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB); print("taken")
except BlockingIOError:
    print("refused")
"""
        assert in_child(other) == "refused"
        fcntl.flock(file, fcntl.LOCK_UN)
        assert in_child(other) == "taken"


def fcntl_locks():
    write("fc", b"x" * 100)
    with open(path("fc"), "r+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX, 10, 20)
        other = f"""
import fcntl, struct
f = open({path('fc')!r}, "r+")
def attempt(length, start):
    try:
        fcntl.lockf(f, fcntl.LOCK_EX | fcntl.LOCK_NB, length, start); return "taken"
    except (BlockingIOError, PermissionError):
        return "refused"
kind, whence, start, length, pid = struct.unpack("hhqqi", fcntl.fcntl(f, fcntl.F_GETLK, struct.pack("hhqqi", fcntl.F_WRLCK, 0, 0, 0, 0))[:28])
print(attempt(5, 25), attempt(5, 30), kind == fcntl.F_WRLCK, start, length)
"""
        assert in_child(other) == "refused taken True 20 10", in_child(other)
        waiter = subprocess.Popen([sys.executable, "-c", f"""
import fcntl
f = open({path('fc')!r}, "r+")
print("waiting", flush=True)
fcntl.lockf(f, fcntl.LOCK_EX, 10, 20)
print("got it", flush=True)
"""], stdout=subprocess.PIPE, text=True)
        assert waiter.stdout.readline().strip() == "waiting"
        fcntl.lockf(file, fcntl.LOCK_UN, 10, 20)
        assert waiter.communicate(timeout=30)[0].strip() == "got it"


def ofd_locks():
    """They belong to the open file, so two of one process exclude each other, and closing a third leaves them."""
    def lock(fd, kind, command=37):  # F_OFD_SETLK
        fcntl.fcntl(fd, command, struct.pack("hhqqi4x", kind, 0, 0, 10, 0))

    write("ofd", b"0123456789")
    first, second = os.open(path("ofd"), os.O_RDWR), os.open(path("ofd"), os.O_RDWR)
    lock(first, fcntl.F_WRLCK)
    expect(errno.EAGAIN, lock, second, fcntl.F_WRLCK)
    os.close(os.open(path("ofd"), os.O_RDWR))
    expect(errno.EAGAIN, lock, second, fcntl.F_RDLCK)
    held = struct.unpack("hhqqi4x", fcntl.fcntl(second, 36, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)))
    assert held[0] == fcntl.F_WRLCK and held[3] == 10, held
    waiter = threading.Thread(target=lock, args=(second, fcntl.F_WRLCK, 38))  # F_OFD_SETLKW
    waiter.start()
    os.close(first)
    waiter.join()
    os.close(second)


def nlink_of_unlinked():
    write("gone", b"x")
    with open(path("gone"), "r+b") as file:
        os.unlink(path("gone"))
        assert os.fstat(file.fileno()).st_nlink == 0
        os.fchmod(file.fileno(), 0o600)
        assert os.fstat(file.fileno()).st_nlink == 0


def full_store():
    """The store's disk is full: told to who writes, harms nobody else, and goes by when there is room."""
    def fill():
        with open(path("too-large"), "wb") as file:
            for _ in range(80):
                file.write(b"f" * (1 << 20))

    def store(name, data):
        with open(path(name), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    data = os.urandom(8 << 20)
    store("kept", data)
    expect(errno.ENOSPC, fill)
    assert read("kept") == data
    os.mkdir(path("still-works"))
    expect(errno.ENOSPC, store, "one-more", data)
    os.unlink(path("too-large"))
    os.unlink(path("one-more"))
    for attempt in range(60):
        try:
            store("later", data)
            break
        except OSError as error:
            assert error.errno == errno.ENOSPC, error
            os.unlink(path("later"))
            time.sleep(0.5)
    assert read("later") == data


def xattr():
    write("xa", b"")
    os.setxattr(path("xa"), "user.one", b"1")
    os.setxattr(path("xa"), "user.two", b"2" * 4000)
    assert sorted(os.listxattr(path("xa"))) == ["user.one", "user.two"]
    expect(errno.EEXIST, os.setxattr, path("xa"), "user.one", b"", os.XATTR_CREATE)
    expect(errno.ENODATA, os.setxattr, path("xa"), "user.none", b"", os.XATTR_REPLACE)
    os.removexattr(path("xa"), "user.one")
    expect(errno.ENODATA, os.getxattr, path("xa"), "user.one")


def xattr_stays():
    assert os.getxattr(path("xa"), "user.two") == b"2" * 4000


def sparse():
    with open(path("sp"), "wb") as file:
        file.seek(200 << 20)
        file.write(b"end")
    with open(path("sp"), "rb") as file:
        assert file.read(4096) == bytes(4096)
        file.seek((200 << 20) - 1)
        assert file.read() == b"\0end"


def mmap_():
    write("mm", bytes(1 << 20))
    with open(path("mm"), "r+b") as file, mmap.mmap(file.fileno(), 0) as view:
        view[500_000:500_005] = b"hello"
        view.flush()
    assert read("mm")[500_000:500_005] == b"hello"


def directory_of_many():
    os.mkdir(path("many"))
    for i in range(3000):
        os.close(os.open(path(f"many/file-{i:05}"), os.O_CREAT | os.O_WRONLY))
    names = os.listdir(path("many"))
    assert len(names) == len(set(names)) == 3000
    expect(errno.ENOTEMPTY, os.rmdir, path("many"))


def long_names():
    write("n" * 255, b"ok")
    assert read("n" * 255) == b"ok"
    expect(errno.ENAMETOOLONG, open, path("n" * 256), "w")
    expect(errno.ENAMETOOLONG, os.mkdir, path("n" * 256))


def tmpfile():
    with tempfile.TemporaryFile(dir=ROOT) as file:
        file.write(b"data" * 1000)
        file.seek(0)
        assert len(file.read()) == 4000


def o_excl():
    os.close(os.open(path("ex"), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    expect(errno.EEXIST, os.open, path("ex"), os.O_CREAT | os.O_EXCL | os.O_WRONLY)


def readdir_while_removing():
    """Names that stay are listed once each, though others go meanwhile."""
    os.mkdir(path("rr"))
    for i in range(2000):
        os.close(os.open(path(f"rr/{i:04}"), os.O_CREAT | os.O_WRONLY))
    seen = []
    with os.scandir(path("rr")) as listing:
        for entry in listing:
            seen.append(entry.name)
            if len(seen) == 100:
                for i in range(1, 2000, 2):
                    os.unlink(path(f"rr/{i:04}"))
    assert len(seen) == len(set(seen)), "repeated"
    assert {f"{i:04}" for i in range(0, 2000, 2)} <= set(seen), "lost"


def write_synced():
    with open(path("synced"), "wb") as file:
        file.write(b"s" * 6_000_000)
        file.flush()
        os.fsync(file.fileno())
    write("closed", b"c" * 100_000)


def read_synced():
    assert read("synced") == b"s" * 6_000_000
    assert read("closed") == b"c" * 100_000


def read_only():
    expect(errno.EROFS, open, path("new"), "w")
    expect(errno.EROFS, os.mkdir, path("new"))
    expect(errno.EROFS, os.unlink, path("synced"))


CASES = [special_files, fallocate, punch_hole, truncate, append, rename_over, unlinked_while_open, flock, fcntl_locks,
         ofd_locks, nlink_of_unlinked, full_store, xattr,
         xattr_stays, sparse, mmap_, directory_of_many, long_names, tmpfile, o_excl, readdir_while_removing, write_synced,
         read_synced, read_only]
next(case for case in CASES if case.__name__.rstrip("_") == sys.argv[2])()
