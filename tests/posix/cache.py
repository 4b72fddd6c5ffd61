#!/usr/bin/env python3
"""The disk cache, write-back and warmup, as a user sees them.

usage: cache.py BIN [CASE...]
"""
import contextlib
import os
import pathlib
import shutil
import sqlite3
import sys
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from volume import Volume, program, rsa_key  # noqa: E402

MIB = 1 << 20
TEXT = b"what nobody shall read "


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def objects(volume):
    return [p for p in volume.bucket.rglob("*") if p.is_file() and "chunks" in p.parts]


def in_cache(volume, folder):
    return [p for p in (volume.work / "cache").rglob("*") if p.is_file() and folder in p.parts and not p.name.endswith(".tmp")]


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def read_fresh(path):
    """Past the kernel's cache."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        return os.pread(fd, 64 * MIB, 0)
    finally:
        os.close(fd)


def wait_for(condition, text, limit=20):
    end = time.time() + limit
    while not condition():
        expect(time.time() < end, "in vain: " + text)
        time.sleep(0.05)


def fill(volume):
    """Files of a few bytes to a few blocks; their contents by name."""
    contents = {f"f{n}": os.urandom(size) for n, size in enumerate([1, 5000, 300_000, 4 * MIB, 9 * MIB + 17])}
    for name, content in contents.items():
        write(volume.point / name, content)
    return contents


def same(volume, contents):
    for name, content in contents.items():
        expect(read_fresh(volume.point / name) == content, f"{name} is read differently")


def cached_reads(volume):
    """A second mount reads without the store."""
    volume.mount()
    contents = fill(volume)
    volume.unmount()
    volume.mount()
    same(volume, contents)
    wait_for(lambda: len(in_cache(volume, "raw")) >= 7, "all blocks in the cache")
    volume.unmount()
    with contextlib.closing(sqlite3.connect(volume.work / "objects.db")) as store, store:
        expect(store.execute("DELETE FROM jfs_blob WHERE CAST(key AS TEXT) LIKE '%chunks/%'").rowcount == 7, "no 7 blocks in the store")
    volume.mount()
    same(volume, contents)
    volume.unmount()


def same_disk(volume):
    """Objects that are files of the cache's disk are cached only where somebody asks for them."""
    volume.mount()
    contents = fill(volume)
    same(volume, contents)
    volume.unmount()
    volume.mount()
    same(volume, contents)
    time.sleep(0.5)
    expect(not in_cache(volume, "raw"), f"{in_cache(volume, 'raw')}")
    volume.run("warmup", volume.point)
    expect(len(in_cache(volume, "raw")) == 7, f"{in_cache(volume, 'raw')}")
    volume.unmount()
    shutil.move(volume.bucket / "test-vol" / "chunks", volume.work / "away")
    volume.mount()
    same(volume, contents)
    volume.unmount()


def fill_and_damage(volume, folder, *options):
    """All blocks are in the cache's `folder`, and each of its files has a wrong bit; answers what was written."""
    volume.mount(*options)
    contents = fill(volume)
    same(volume, contents)
    wait_for(lambda: len(in_cache(volume, folder)) >= 7, "all blocks in the cache")
    volume.unmount()
    for path in in_cache(volume, folder):
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    return contents


def damaged_cache(volume):
    """What is wrong in the cache is read from the store."""
    contents = fill_and_damage(volume, "raw")
    volume.mount()
    same(volume, contents)
    volume.unmount()


def staged_blocks(volume):
    """Nothing is in the store; all is read; a killed mount loses nothing; the next one uploads."""
    volume.mount("--writeback", "--upload-delay", "1h")
    contents = fill(volume)
    expect(not objects(volume), "something was uploaded")
    wait_for(lambda: len(in_cache(volume, "rawstaging")) == 7, "all blocks are staged")
    same(volume, contents)
    (volume.point / "f1").unlink()  # and it is gone from rawstaging
    del contents["f1"]
    wait_for(lambda: len(in_cache(volume, "rawstaging")) == 6, "the deleted file's block goes")
    volume.kill()
    volume.mount("--writeback", "--upload-delay", "1h")
    same(volume, contents)
    expect(not objects(volume), "something was uploaded")
    volume.kill()
    shutil.rmtree(next((volume.work / "cache").iterdir()) / "raw")
    volume.mount()  # without --writeback what is left is uploaded all the same
    wait_for(lambda: not in_cache(volume, "rawstaging"), "all is uploaded")
    same(volume, contents)
    volume.unmount()
    shutil.rmtree(volume.work / "cache")
    volume.mount()
    same(volume, contents)
    volume.unmount()


def flush(volume):
    """umount without --flush leaves blocks for the next mount, with it none."""
    volume.mount("--writeback", "--upload-delay", "1h")
    contents = fill(volume)
    volume.unmount()
    expect(not objects(volume), "something was uploaded")
    volume.mount("--writeback", "--upload-delay", "1h")
    volume.run("umount", "--flush", volume.point)
    expect(not in_cache(volume, "rawstaging"), "something is left")
    expect(len(objects(volume)) == 7, f"{objects(volume)}")
    shutil.rmtree(volume.work / "cache")
    volume.mount()
    same(volume, contents)
    volume.unmount()


def warmup(volume):
    volume.mount()
    (volume.point / "dir").mkdir()
    contents = fill(volume)
    write(volume.point / "dir" / "g", os.urandom(MIB))
    volume.unmount()
    shutil.rmtree(volume.work / "cache")
    volume.mount()
    total = sum(map(len, contents.values())) + MIB
    none = volume.run("warmup", "--check", volume.point).stdout
    expect("6 files checked" in none and "(0.0%) cached" in none, none)
    done = volume.run("warmup", volume.point / "f4", volume.point / "dir").stdout
    expect("2 files" in done, done)
    expect(len(in_cache(volume, "raw")) == 4, f"{in_cache(volume, 'raw')}")
    (volume.work / "list").write_text(f"{volume.point}/f0\n\n{volume.point}/f1\n")
    volume.run("warmup", "-f", volume.work / "list")
    expect(len(in_cache(volume, "raw")) == 6, f"{in_cache(volume, 'raw')}")
    volume.run("warmup", "-b", volume.point)
    wait_for(lambda: sum(p.stat().st_size for p in in_cache(volume, "raw")) > total, "all is cached")
    every = volume.run("warmup", "--check", volume.point).stdout
    expect("(100.0%) cached" in every and str(volume.work / "cache") in every, every)
    volume.run("warmup", "--evict", volume.point / "f4")
    expect("(0.0%) cached" in volume.run("warmup", "--check", volume.point / "f4").stdout, "f4 is still there")
    missing = volume.run("warmup", volume.point / "none", check=False)
    expect(missing.returncode == 1 and "none" in missing.stderr, missing.stderr)
    volume.unmount()


def shows_text(volume):
    return any(TEXT in p.read_bytes() for p in (volume.work / "cache").rglob("*") if p.is_file())


def encrypted_blocks(volume):
    """Nothing is plain on the cache's disk; a killed mount loses nothing; mounts of both kinds upload what either has staged."""
    later = ["--writeback", "--upload-delay", "1h"]
    volume.mount(*later, "--encrypt-cache")
    contents = fill(volume)
    contents["text"] = TEXT * 10_000
    write(volume.point / "text", contents["text"])
    expect(not objects(volume), "something was uploaded")
    expect(len(in_cache(volume, "sealedstaging")) == 8, f"{in_cache(volume, 'sealedstaging')}")
    same(volume, contents)
    expect(not in_cache(volume, "raw") and not in_cache(volume, "rawstaging") and not shows_text(volume), "something is plain")
    volume.kill()

    volume.mount(*later)  # without the option what is there is read, and what is written is plain
    same(volume, contents)
    contents["plain"] = TEXT * 20_000
    write(volume.point / "plain", contents["plain"])
    expect(not objects(volume), "something was uploaded")
    wait_for(lambda: len(in_cache(volume, "rawstaging")) == 1, "the new file is staged")
    expect(shows_text(volume), "the new file is not plain")
    volume.kill()

    volume.mount("--encrypt-cache")
    wait_for(lambda: not in_cache(volume, "sealedstaging") and not in_cache(volume, "rawstaging"), "all is uploaded")
    same(volume, contents)
    volume.unmount()
    volume.mount(*later, "--encrypt-cache")
    contents["last"] = TEXT * 30_000
    write(volume.point / "last", contents["last"])
    volume.kill()
    volume.mount()
    wait_for(lambda: not in_cache(volume, "sealedstaging"), "the last file is uploaded")
    volume.unmount()
    shutil.rmtree(volume.work / "cache")
    volume.mount()
    same(volume, contents)
    volume.unmount()


def encrypted_and_damaged(volume):
    """What is wrong in the encrypted cache is read from the store, and cached again."""
    contents = fill_and_damage(volume, "sealed", "--encrypt-cache")
    volume.mount("--encrypt-cache")
    same(volume, contents)
    volume.unmount()
    expect("is damaged and removed" in volume.log.read_text(), "the damage was not seen")
    # What was read ahead in part while its block was taken for cached is cached by the next mount that reads it.
    volume.mount("--encrypt-cache")
    same(volume, contents)
    wait_for(lambda: len(in_cache(volume, "sealed")) >= 7, "all blocks in the cache again")
    volume.unmount()
    shutil.move(volume.bucket / "test-vol" / "chunks", volume.work / "away")
    volume.mount("--encrypt-cache")
    same(volume, contents)
    volume.unmount()


def format_for(case, volume):
    if case in (encrypted_blocks, encrypted_and_damaged):
        volume.format("--encrypt-rsa-key", rsa_key(volume.work / "key.pem"))
    elif case in (cached_reads, damaged_cache):  # files of the same disk would not be cached
        volume.run("format", "--storage", "sqlite3", "--bucket", volume.work / "objects.db", "--trash-days", "0", volume.url, "test-vol")
    else:
        volume.format()


CASES = [cached_reads, same_disk, damaged_cache, staged_blocks, flush, warmup, encrypted_blocks, encrypted_and_damaged]


def main():
    binary = program(sys.argv[1])
    names = sys.argv[2:]
    failed = 0
    for case in [c for c in CASES if not names or c.__name__ in names]:
        volume = Volume(binary, "ciderfs-cache.")
        try:
            format_for(case, volume)
            case(volume)
            print(f"ok   {case.__name__}", flush=True)
        except Exception:
            failed += 1
            print(f"FAIL {case.__name__}", flush=True)
            traceback.print_exc()
            print(volume.log.read_text() if volume.log.exists() else "")
        finally:
            volume.close()
    print(f"cache.py: {(len(names) or len(CASES)) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
