#!/usr/bin/env python3
"""The disk of the cache loses its power while files are written back: what it holds at that moment is all that is left.

The cache folder is on a file system of its own, in an image. In the middle of the writing the mount is stopped, the image is copied, and
the copy takes its place: whatever the kernel had not written to it is lost. The next mount has all that fsync had acknowledged, byte for
byte, though nothing was uploaded. Needs root and loop devices.

usage: power_loss.py BIN [--rounds N] [--writers N] [--seconds S] [--seed N] [--keep]
"""
import argparse
import concurrent.futures
import os
import pathlib
import random
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from volume import Volume, program  # noqa: E402

LARGEST = 1_000_000  # bytes of a file: more than what goes to the journal
SIZE = "3G"  # of the image, which is sparse


def run(*words):
    subprocess.run([str(w) for w in words], check=True, capture_output=True)


def content(name):
    rng = random.Random(name)
    size = rng.randrange(1, LARGEST) if rng.random() < 0.1 else rng.randrange(1, 120_000)
    return rng.randbytes(size)


class Disk:
    """A file system in an image, mounted at `point`."""

    def __init__(self, work, point):
        self.image, self.copy, self.point = work / "disk.img", work / "copy.img", point
        point.mkdir()
        run("truncate", "-s", SIZE, self.image)
        run("mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0,lazy_journal_init=0", self.image)
        self.mount()

    def mount(self):
        run("mount", "-o", "loop,commit=300", self.image, self.point)  # commits are those that somebody asks for

    def take(self):
        """In this process: a new one would close the files of the mount, and wait for it."""
        with open(self.image, "rb") as image, open(self.copy, "wb") as copy:
            size = os.fstat(image.fileno()).st_size
            copy.truncate(size)
            at = 0
            while at < size:
                try:
                    at = os.lseek(image.fileno(), at, os.SEEK_DATA)
                except OSError:  # a hole until the end
                    return
                end = os.lseek(image.fileno(), at, os.SEEK_HOLE)
                while at < end:
                    at += os.pwrite(copy.fileno(), os.pread(image.fileno(), min(1 << 20, end - at), at), at)

    def replace(self):
        self.unmount()
        self.copy.replace(self.image)
        self.mount()

    def unmount(self):
        run("umount", self.point)


class Test:
    def __init__(self, volume, args):
        self.volume, self.args = volume, args
        self.disk = Disk(volume.work, volume.work / "cache")
        self.acknowledged = set()

    def mount(self):
        self.volume.mount("--writeback", "--upload-delay", "1h")

    def write(self, prefix, until):
        """Files until the mount is gone; names are noted when fsync has answered."""
        number = 0
        while time.monotonic() < until:
            name = f"{prefix}-{number}"
            number += 1
            try:
                with open(self.volume.point / name, "wb") as file:
                    file.write(content(name))
                    file.flush()
                    os.fsync(file.fileno())
            except OSError:
                return
            self.acknowledged.add(name)

    def lose_power(self):
        pids = self.volume.pids()
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(0.3)  # what it had asked of the kernel is done
        self.disk.take()
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.volume.kill()
        self.disk.replace()

    def check(self):
        for name in self.acknowledged:
            try:
                found = (self.volume.point / name).read_bytes()
            except OSError as error:
                raise AssertionError(f"{name}: {error}") from error
            if found != content(name):
                raise AssertionError(f"{name} is not what was written")

    def round(self, number, seed):
        rng = random.Random(seed)
        self.mount()
        with concurrent.futures.ThreadPoolExecutor(self.args.writers) as pool:
            until = time.monotonic() + 60
            writers = [pool.submit(self.write, f"f-{number}-{w}", until) for w in range(self.args.writers)]
            time.sleep(rng.uniform(0.3, 1) * self.args.seconds)
            self.lose_power()
            for writer in writers:
                writer.result()
        self.mount()
        self.check()
        self.volume.unmount()
        return len(self.acknowledged)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=3, help="of writing, at most")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--keep", action="store_true", help="leave the temporary directory")
    args = parser.parse_args()
    if os.geteuid() != 0 or not os.path.exists("/dev/loop-control"):
        print("power_loss.py: skipped, it needs root and loop devices")
        print("power_loss.py: 0 passed, 0 failed")
        return 0
    volume = Volume(program(args.binary), "ciderfs-power.")
    passed = 0
    test = None
    try:
        volume.format()
        test = Test(volume, args)
        for number in range(args.rounds):
            files = test.round(number, args.seed + number)
            print(f"round {number + 1} (seed {args.seed + number}): {files} files checked", flush=True)
            passed += 1
    except AssertionError as error:
        print(f"round {passed + 1} (seed {args.seed + passed}): {error}", flush=True)
    finally:
        volume.kill()
        if test:
            test.disk.unmount()
        volume.close(keep=args.keep)
    print(f"power_loss.py: {passed} passed, {int(passed < args.rounds)} failed")
    return 0 if passed == args.rounds else 1


if __name__ == "__main__":
    sys.exit(main())
