#!/usr/bin/env python3
"""A mount is killed with -9 after it has stored packs of small files, and before their metadata is committed.

The metadata engine stands still (Redis is stopped, SQLite's database is locked) when small files are written. Once their objects
are in the bucket the mount is killed, at a random moment, and the engine goes on; Redis is killed as well in every other round, so
that it never reads a commit that was sent to it. Then

- what fsync had acknowledged is there, byte for byte; a file of the others is whole or empty,
- `gc` finds the objects that no file has, and `gc --delete` removes them and no others.

usage: pack_commit.py BIN [--engine sqlite|redis] [--rounds N] [--files N] [--seed N] [--keep]
"""
import argparse
import concurrent.futures
import contextlib
import os
import pathlib
import random
import signal
import sqlite3
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from volume import Volume, program  # noqa: E402

LIMIT = 30  # seconds until the objects are there
PACKED = 40_000  # bytes of the largest file


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


def size(path):
    """That an object's name ends with; other names are of those that are being written."""
    number = path.name.split("_")[-1]
    return int(number) if number.isdigit() else 0


@contextlib.contextmanager
def standing_still(volume, lose_commands):
    """The metadata engine answers nothing inside. With `lose_commands` a server forgets what it was sent."""
    if not hasattr(volume.engine, "process"):
        with contextlib.closing(sqlite3.connect(volume.database, timeout=LIMIT, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            yield
        return
    server = volume.engine.process
    server.send_signal(signal.SIGSTOP)
    os.waitpid(server.pid, os.WUNTRACED)  # till none of its threads runs any more
    try:
        yield
        if lose_commands:
            volume.engine.kill()
    finally:
        server.send_signal(signal.SIGCONT)
    if lose_commands:
        volume.engine.restart()


class Test:
    def __init__(self, volume, args):
        self.volume, self.args = volume, args
        self.chunks = volume.bucket / "test-vol" / "chunks"
        self.acknowledged = {}

    def objects(self):
        return {path for path in self.chunks.rglob("*") if path.is_file()}

    def new_files(self, rng, prefix):
        return {f"{prefix}{n:03d}": rng.randbytes(rng.randint(1, PACKED)) for n in range(self.args.files)}

    def write_synced(self, files):
        def write(item):
            with open(self.volume.point / item[0], "wb") as file:
                file.write(item[1])
                file.flush()
                os.fsync(file.fileno())
        with concurrent.futures.ThreadPoolExecutor(self.args.files) as pool:
            list(pool.map(write, files.items()))
        self.acknowledged.update(files)

    def store_without_commit(self, files, rng, lose_commands):
        """Answers the objects that are there when the mount has been killed and were not before."""
        # A program that is started while they are open would close the files first.
        pids = self.volume.pids()
        opened = {name: os.open(self.volume.point / name, os.O_CREAT | os.O_WRONLY) for name in files}
        for name, data in files.items():
            os.write(opened[name], data)
        before = self.objects()

        def close(fd):
            with contextlib.suppress(OSError):
                os.fsync(fd)
            with contextlib.suppress(OSError):
                os.close(fd)
        with concurrent.futures.ThreadPoolExecutor(len(files)) as pool:
            with standing_still(self.volume, lose_commands):
                closing = [pool.submit(close, fd) for fd in opened.values()]
                end = time.time() + LIMIT
                while not any(size(path) > PACKED for path in self.objects() - before):
                    expect(time.time() < end, "no pack was stored")
                    time.sleep(0.01)
                time.sleep(rng.uniform(0, 0.5))
                expect(not any(future.done() for future in closing), "a file was closed without its commit")
                for pid in pids:
                    os.kill(pid, signal.SIGKILL)
        self.volume.kill()
        return self.objects() - before

    def check(self, pending):
        for name, data in self.acknowledged.items():
            expect((self.volume.point / name).read_bytes() == data, f"{name}, which was synced, has changed")
        for name, data in pending.items():
            found = (self.volume.point / name).read_bytes()
            expect(found in (b"", data), f"{name} has {len(found)} bytes, which are not its own")
            self.acknowledged[name] = found

    def gc(self, *options):
        """What it found leaked."""
        text = self.volume.run("gc", self.volume.url, *options).stdout
        return int(next(line for line in text.splitlines() if line.startswith("| leaked objects")).split("|")[2])

    def round(self, number, seed):
        rng = random.Random(seed)
        lose_commands = self.args.engine == "sqlite" or number % 2 == 0
        self.volume.mount("--cache-size", "0")
        self.write_synced(self.new_files(rng, f"synced-{number}-"))
        pending = self.new_files(rng, f"pending-{number}-")
        stored = self.store_without_commit(pending, rng, lose_commands)
        self.volume.mount("--cache-size", "0")
        self.check(pending)
        self.volume.unmount()
        time.sleep(1.1)  # an object's age is told in whole seconds
        before = self.objects()
        leaked = self.gc()
        expect(leaked > 0 or not lose_commands, "gc finds nothing leaked")
        expect(self.objects() == before, "gc without --delete has deleted something")
        self.gc("--delete")
        left = self.objects()
        expect(len(before - left) == leaked, f"{leaked} objects were leaked, {len(before - left)} were deleted")
        expect(before - left <= stored, "objects of other files were deleted")
        expect(self.gc() == 0, "gc --delete leaves leaked objects")
        self.volume.mount("--cache-size", "0")
        self.check({})
        self.volume.unmount()
        return len(stored), leaked


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--engine", choices=("sqlite", "redis"), default="sqlite")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--files", type=int, default=40, help="of each kind and round, written by as many threads")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--keep", action="store_true", help="leave the temporary directory")
    args = parser.parse_args()
    os.environ["JFS_GC_SKIPPEDTIME"] = "0"
    volume = Volume(program(args.binary), "ciderfs-packs.", args.engine)
    volume.format()
    test = Test(volume, args)
    passed = 0
    try:
        for number in range(args.rounds):
            stored, leaked = test.round(number, args.seed + number)
            print(f"round {number + 1} (seed {args.seed + number}): {stored} objects without commit, {leaked} leaked", flush=True)
            passed += 1
    except AssertionError as error:
        # What follows would stand on a volume that is wrong already.
        print(f"round {passed + 1} (seed {args.seed + passed}): {error}", flush=True)
    finally:
        volume.close(keep=args.keep)
    print(f"pack_commit.py: {passed} passed, {int(passed < args.rounds)} failed")
    return 0 if passed == args.rounds else 1


if __name__ == "__main__":
    sys.exit(main())
