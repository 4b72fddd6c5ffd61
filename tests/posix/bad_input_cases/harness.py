"""What the cases of bad_input.py share: volumes, mounts, expectations."""
import contextlib
import errno
import os
import pathlib
import random
import sqlite3
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
from volume import Volume  # noqa: E402

CASES = []
MIB = 1 << 20


def binary():
    """The program under test, which bad_input.py names."""
    return os.environ["CIDER_BINARY"]


def case(function):
    CASES.append(function)
    return function


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def refused(volume, *words, says, code=None):
    """The command fails with a message of one paragraph that holds each text of `says`, and with the exit code if one is given."""
    result = volume.run(*words, check=False)
    output = result.stderr + result.stdout
    expect(result.returncode not in (0, 134, 139) and result.returncode > 0, f"{words}: exit code {result.returncode}: {output}")
    expect(code in (None, result.returncode), f"{words}: exit code {result.returncode} instead of {code}: {output}")
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
    volume = Volume(binary(), "ciderfs-bad.")
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
    volume = Volume(binary(), "ciderfs-bad.")
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


def wait_for(condition, text, limit=20):
    end = time.time() + limit
    while not condition():
        expect(time.time() < end, "in vain: " + text)
        time.sleep(0.1)
