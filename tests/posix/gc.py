#!/usr/bin/env python3
"""`ciderfs gc` on volumes with leaked objects, wrong counts and packs that are mostly unused: it takes what nobody has, and no more.

usage: gc.py CIDERFS [--engine sqlite|redis] [--juicefs JUICEFS] [--seed N]
With --juicefs, its gc and fsck must find nothing wrong after ours, and ours nothing after what it has written.
"""
import argparse
import concurrent.futures
import os
import random
import sqlite3
import subprocess
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from volume import Volume, program  # noqa: E402


def expect(condition, what):
    if not condition:
        raise AssertionError(what)


class Test:
    def __init__(self, args):
        self.args = args
        self.rng = random.Random(args.seed)
        self.volume = Volume(program(args.ciderfs), "ciderfs-gc.", args.engine)
        self.chunks = self.volume.bucket / "test-vol" / "chunks"
        self.model = {}
        self.passed = 0

    # --- what the volume is

    def objects(self):
        return {path for path in self.chunks.rglob("*") if path.is_file()}

    def stored(self):
        return sum(path.stat().st_size for path in self.objects())

    def put(self, slice_id, size, age):
        path = self.chunks / str(slice_id // 1000000) / str(slice_id // 1000) / f"{slice_id}_0_{size}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x" * size)
        os.utime(path, (time.time() - age,) * 2)
        return path

    def mount(self, *options):
        self.volume.mount("--cache-size", "0", *options)

    def write_together(self, count):
        new = {f"f{len(self.model) + n:04d}": self.rng.randbytes(self.rng.randint(1000, 40000)) for n in range(count)}
        with concurrent.futures.ThreadPoolExecutor(64) as pool:
            list(pool.map(lambda item: (self.volume.point / item[0]).write_bytes(item[1]), new.items()))
        self.model.update(new)

    def remove_most(self):
        for name in self.rng.sample(sorted(self.model), int(len(self.model) * 0.7)):
            (self.volume.point / name).unlink()
            del self.model[name]

    def check_files(self):
        self.mount()
        found = {path.name: path.read_bytes() for path in self.volume.point.iterdir() if not path.name.startswith(".")}
        self.volume.unmount()
        expect(found == self.model, "files have changed")

    def gc(self, *options, skipped=None):
        environment = dict(os.environ)
        environment.pop("JFS_GC_SKIPPEDTIME", None)
        if skipped is not None:
            time.sleep(1.1)  # records' times are whole seconds
            environment["JFS_GC_SKIPPEDTIME"] = str(skipped)
        done = subprocess.run([self.volume.binary, "gc", self.volume.url, *options], capture_output=True, text=True, env=environment)
        expect(done.returncode == 0, f"gc {options}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    # --- counts, past all clients

    def counts(self):
        if self.args.engine == "redis":
            lines = self.volume.engine.cli("HGETALL", "sliceRef").split()
            return {int(field[1:].split("_")[0]): int(value) + 1 for field, value in zip(lines[::2], lines[1::2])}
        with sqlite3.connect(self.volume.database) as db:
            return dict(db.execute("SELECT chunkid, refs FROM jfs_chunk_ref"))

    def add_to_count(self, slice_id, delta):
        if self.args.engine == "redis":
            field = next(field for field in self.volume.engine.cli("HKEYS", "sliceRef").split() if field.startswith(f"k{slice_id}_"))
            self.volume.engine.cli("HINCRBY", "sliceRef", field, str(delta))
            return
        with sqlite3.connect(self.volume.database) as db:
            db.execute("UPDATE jfs_chunk_ref SET refs = refs + ? WHERE chunkid = ?", (delta, slice_id))

    # --- the cases

    def leaked_objects(self):
        old, young = self.put(900000, 10, 7200), self.put(900001, 10, 60)
        known = next(int(path.name.split("_")[0]) for path in self.objects() - {old, young})
        wrong = self.put(known, 7, 7200)  # no such block has the slice
        before = self.objects()
        text = self.gc()
        leaked = next(line for line in text.splitlines() if line.startswith("| leaked objects"))
        expect(leaked.split("|")[2].strip() == "2", text)
        expect(self.objects() == before, "gc without --delete has deleted something")
        self.gc("--delete")
        expect(self.objects() == before - {old, wrong}, "gc --delete has not deleted just the leaked objects")
        self.gc("--delete", skipped=0)
        expect(young not in self.objects(), "JFS_GC_SKIPPEDTIME=0 is not heard of")

    def wrong_counts(self):
        right = self.counts()
        small, large = sorted(right, key=right.get)[-2:]
        expect(right[small] > 2, f"no packs were made: {right}")
        self.add_to_count(small, -2)
        self.add_to_count(large, 3)
        expect("1 too small, 1 too large" in self.gc(), "the counts are not told")
        self.gc("--delete")
        expect(self.counts() == {**right, large: right[large] + 3}, "a small count is not corrected at once, or a large one is")
        self.gc("--delete")
        expect(self.counts()[large] == right[large] + 3, "a large count was corrected at once")
        expect("1 that were too large" in self.gc("--delete", skipped=0), "a large count is not corrected")
        expect(self.counts() == right, "the counts are not right")
        expect(not (self.chunks.parent / "ciderfs_large_counts").exists(), "there is still a note of large counts")

    def sparse_packs(self):
        before = self.stored()
        needed = sum(map(len, self.model.values()))
        self.gc("--compact")
        expect(self.stored() == before, "young packs were rewritten")
        text = self.gc("--compact", skipped=0)
        expect("moved 0 parts" not in text, text)
        self.check_files()
        expect(self.stored() >= before, "old packs went at once")
        self.gc("--delete")
        expect(self.stored() >= before, "old packs went before their hour")
        self.gc("--delete", skipped=0)
        expect(self.stored() < before and self.stored() < 2.1 * needed, f"{self.stored()} bytes for {needed}")

    def many_records(self):
        self.mount()
        path = self.volume.point / "log"
        self.model["log"] = b""
        for _ in range(20):
            more = self.rng.randbytes(3000)
            with open(path, "ab") as file:
                file.write(more)
                file.flush()
                os.fsync(file.fileno())
            self.model["log"] += more
        self.volume.unmount()
        expect("compacted 1 chunks of 20 slices" in self.gc("--compact"), "a chunk is not compacted")
        expect("compacted 0 chunks" in self.gc("--compact"), "a chunk is compacted twice")
        self.check_files()

    def files_of_the_peer(self):
        if not self.args.juicefs:
            return
        point = self.volume.point
        subprocess.run([self.args.juicefs, "mount", "-d", "--no-usage-report", "--log", self.volume.work / "juicefs.log", "--cache-dir",
                        self.volume.work / "juicefs-cache", "--backup-meta", "0", self.volume.url, point], check=True, capture_output=True)
        for name in sorted(self.model)[:5]:
            for _ in range(4):
                more = self.rng.randbytes(2000)
                with open(point / name, "ab") as file:
                    file.write(more)
                self.model[name] += more
            with open(point / name, "rb") as source, open(point / f"{name}-copy", "wb") as target:
                os.copy_file_range(source.fileno(), target.fileno(), len(self.model[name]))
            self.model[f"{name}-copy"] = self.model[name]
        gone = sorted(self.model)[6]
        (point / gone).unlink()
        del self.model[gone]
        subprocess.run(["umount", point], check=True)
        while subprocess.run(["pgrep", "-f", f"mount .*{point}$"], capture_output=True).returncode == 0:
            time.sleep(0.05)
        text = self.gc(skipped=0)
        leaked = next(line for line in text.splitlines() if line.startswith("| leaked objects"))
        expect(leaked.split("|")[2].strip() == "0", text)
        text = self.gc("--delete", "--compact", skipped=0)
        expect("corrected 0 counts that were too small and 0 that were too large" in text, text)

    def peer(self):
        """What the other client says."""
        if not self.args.juicefs:
            return
        environment = {**os.environ, "JFS_GC_SKIPPEDTIME": "0"}
        for words in (["fsck"], ["gc"]):
            done = subprocess.run([self.args.juicefs, *words, self.volume.url], capture_output=True, text=True, env=environment)
            text = done.stdout + done.stderr
            expect(done.returncode == 0, text)
            if words == ["gc"]:
                expect(" 0 leaked" in text, text)

    def run(self):
        self.volume.format()
        self.mount("--upload-limit", "40")  # so that files wait for each other, and share packs
        self.write_together(600)
        self.remove_most()
        self.volume.unmount()
        for case in (self.leaked_objects, self.wrong_counts, self.sparse_packs, self.many_records,
                     self.files_of_the_peer):
            case()
            self.check_files()
            self.peer()
            self.passed += 1
            print(f"ok   {case.__name__}", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("ciderfs")
    parser.add_argument("--engine", choices=["sqlite", "redis"], default=os.environ.get("ENGINE", "sqlite"))
    parser.add_argument("--juicefs")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    test = Test(args)
    failed = 0
    try:
        test.run()
    except Exception:  # what comes behind goes by the same volume
        failed = 1
        traceback.print_exc()
    finally:
        test.volume.close()
    print(f"gc.py: {test.passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
