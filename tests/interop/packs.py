#!/usr/bin/env python3
"""Small files that CiderFS packs, in the hands of JuiceFS: read, appended to, cut, copied, cloned, compacted and deleted by both.

usage: packs.py CIDERFS JUICEFS [--engine NAME] [--files N] [--threads N] [--block-size KiB] [--seed N]
After each round both clients must show the same bytes, `juicefs fsck` must find every object, and `juicefs gc` none too many.
"""
import argparse
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
import engines  # noqa: E402
from volume import program  # noqa: E402


class Volume:
    def __init__(self, args, work):
        self.args, self.work = args, work
        self.engine = engines.start(args.engine, work)
        self.url = self.engine.url()
        self.bucket = work / "data"
        self.point = work / "mnt"
        self.point.mkdir()
        self.juicefs("format", "--storage", "file", "--bucket", f"{self.bucket}/", "--trash-days", "0", "--block-size",
                     str(args.block_size), self.url, "packs")

    def run(self, *command, **environment):
        done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                              env={**os.environ, **environment})
        if done.returncode != 0:
            raise RuntimeError(f"{command[1]} failed: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def juicefs(self, *command):
        return self.run(self.args.juicefs, *command, JFS_GC_SKIPPEDTIME="0")

    def mount(self, binary, *options):
        log = self.work / "mount.log"
        extra = ["--cache-dir", self.work / "cache", "--backup-meta", "0"] if binary == self.args.juicefs else []
        self.run(binary, "mount", "-d", "--no-usage-report", "--log", log, *extra, *options, self.url, self.point)

    def unmount(self):
        subprocess.run(["umount", self.point], check=True)
        pattern = f"mount .*{self.point}$"
        while subprocess.run(["pgrep", "-f", pattern], capture_output=True).returncode == 0:
            time.sleep(0.05)

    def objects(self):
        return sum(len(files) for _, _, files in os.walk(self.bucket / "packs" / "chunks"))

    def close(self):
        subprocess.run(["umount", "-l", self.point], capture_output=True)
        self.engine.stop()


class Files:
    """The files as they must be."""

    def __init__(self, volume, rng):
        self.volume, self.rng = volume, rng
        self.model = {}
        self.made = 0

    def path(self, name):
        return self.volume.point / name

    def names(self, share):
        return self.rng.sample(sorted(self.model), int(len(self.model) * share))

    def write_together(self, count, threads, largest):
        new = {}
        for _ in range(count):
            new[f"f{self.made:05d}"] = self.rng.randbytes(self.rng.randint(1, largest))
            self.made += 1
        with concurrent.futures.ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda item: self.path(item[0]).write_bytes(item[1]), new.items()))
        self.model.update(new)

    def mutate(self):
        for name in self.names(0.2):
            for _ in range(6):
                more = self.rng.randbytes(self.rng.randint(1, 5000))
                with open(self.path(name), "ab") as file:
                    file.write(more)
                self.model[name] += more
        for name in self.names(0.1):
            length = self.rng.randint(0, len(self.model[name]) + 1000)
            os.truncate(self.path(name), length)
            self.model[name] = self.model[name][:length].ljust(length, b"\0")
        for name in self.names(0.1):
            old = self.model[name]
            at, data = self.rng.randint(0, len(old)), self.rng.randbytes(3000)
            with open(self.path(name), "r+b") as file:
                file.seek(at)
                file.write(data)
            self.model[name] = old[:at] + data + old[at + len(data):]
        for name in self.names(0.1):
            copy = name + "-copy"
            with open(self.path(name), "rb") as source, open(self.path(copy), "wb") as target:
                at = self.rng.randint(0, len(self.model[name]))
                if at < len(self.model[name]):
                    os.copy_file_range(source.fileno(), target.fileno(), len(self.model[name]), at)
            self.model[copy] = self.model[name][at:]
        for name in self.names(0.05):
            other = self.rng.choice(sorted(self.model))
            if other != name:
                os.rename(self.path(name), self.path(other))
                self.model[other] = self.model.pop(name)
        self.remove(self.names(0.2))

    def clone(self):
        for name in self.names(0.1):
            clone = f"clone{self.made:05d}"  # a clone's name must be new
            self.made += 1
            self.volume.juicefs("clone", self.path(name), self.path(clone))
            self.model[clone] = self.model[name]

    def remove(self, names):
        for name in names:
            os.unlink(self.path(name))
            del self.model[name]

    def check(self, who):
        there = sorted(name for name in os.listdir(self.volume.point) if not name.startswith("."))
        if there != sorted(self.model):
            raise RuntimeError(f"{who} shows other names: {set(there) ^ set(self.model)}")
        for name, data in self.model.items():
            if self.path(name).read_bytes() != data:
                raise RuntimeError(f"{who} shows other bytes of {name}")


def check_objects(volume, clean=True):
    """What JuiceFS's own tools say of the volume, which nobody uses at the moment."""
    found = volume.juicefs("fsck", volume.url)
    if re.search(r"broken|lost|can't find|ERROR", found):
        raise RuntimeError(f"fsck: {found}")
    gc = volume.juicefs("gc", volume.url)
    leaked = re.search(r"(\d+) leaked", gc)
    if clean and (not leaked or int(leaked.group(1)) != 0):
        raise RuntimeError(f"gc: {gc}")
    return re.search(r"scanned.*", gc).group(0)


def run(args, volume):
    rng = random.Random(args.seed)
    files = Files(volume, rng)
    largest = min(150_000, args.block_size * 1024 // 5)
    for round_ in range(args.rounds):
        volume.mount(args.ciderfs)
        objects = volume.objects()
        files.write_together(args.files, args.threads, largest)
        made = volume.objects() - objects
        print(f"round {round_}: {args.files} files in {made} objects", flush=True)
        if made >= args.files:
            raise RuntimeError("nothing was packed")
        files.check("ciderfs, which wrote them,")
        volume.unmount()
        print("  " + check_objects(volume), flush=True)
        volume.mount(args.juicefs)
        files.check("juicefs")
        files.mutate()
        files.clone()
        volume.juicefs("compact", volume.point)
        files.check("juicefs after its changes")
        volume.unmount()
        volume.mount(args.ciderfs)
        files.check("ciderfs after JuiceFS's changes")
        files.mutate()
        files.check("ciderfs after its changes")
        volume.unmount()
        volume.juicefs("gc", "--compact", volume.url)
        volume.juicefs("gc", "--delete", volume.url)
        print("  " + check_objects(volume), flush=True)
    for who, left in ((args.juicefs, 10), (args.ciderfs, 3), (args.juicefs, 0)):
        volume.mount(who)
        files.remove(rng.sample(sorted(files.model), len(files.model) - left))
        files.check("who removed the others")
        volume.unmount()
        volume.juicefs("gc", "--delete", volume.url)
        print(f"{left} files left: {check_objects(volume)}", flush=True)
    if volume.objects() != 0:
        raise RuntimeError(f"{volume.objects()} objects are left over")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ciderfs", type=program)
    parser.add_argument("juicefs", type=program)
    parser.add_argument("--engine", choices=engines.ENGINES, default="sqlite")
    parser.add_argument("--files", type=int, default=300)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--block-size", type=int, default=4096, help="KiB")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    work = Path(tempfile.mkdtemp(prefix="ciderfs-packs."))
    volume = Volume(args, work)
    try:
        run(args, volume)
    finally:
        volume.close()
        shutil.rmtree(work, ignore_errors=True)
    print("packs: ok")


if __name__ == "__main__":
    main()
