#!/usr/bin/env python3
"""Runs clients with JuiceFS's command line through the same data loads, in turn (A B A B ...), and appends what they
did to a results file that bench/report/report.py draws.

    bench/compare.py --client juicefs=/usr/local/bin/juicefs --client ciderfs=build/release/ciderfs \\
        --meta redis://127.0.0.1:6379/1 --results out.jsonl --store near [--bucket http://HOST:PORT/BUCKET ...]

Each turn formats a fresh volume (the Redis database is emptied: give one of its own), mounts it, and runs the phases:
seq (sequential write and read), rand (4 KiB reads from the cache), small (100 KiB files). Beside rates it notes
what is counted: processor ticks per GiB, PUT and GET requests of the mount, resident memory over time.
"""
import argparse
import json
import subprocess
import sys
import tempfile

from clients import TICKS, Client, MemoryWatch, run


class Bench:
    def __init__(self, arguments, client, turn):
        self.arguments, self.client, self.turn = arguments, client, turn

    def note(self, what, value, unit):
        record = {"store": self.arguments.store, "client": self.client.name, "turn": self.turn, "what": what,
                  "value": value, "unit": unit}
        with open(self.arguments.results, "a", encoding="utf-8") as out:
            out.write(json.dumps(record) + "\n")
        shown = value if not isinstance(value, list) else f"{max(v for _, v in value)} at most"
        print(f"{self.arguments.store:8} {self.client.name:10} {what:34} {shown} {unit}", flush=True)

    def fio(self, direction, name, *options):
        out = self.client.folder / "fio.json"
        run("fio", "--name=w", f"--directory={self.client.mount_point}", f"--rw={direction}",
            "--output-format=json", f"--output={out}", *options)
        text = out.read_text()
        job = json.loads(text[text.index("{"):])["jobs"][0]["read" if "read" in direction else "write"]
        if name.startswith("4 KiB"):
            self.note(name, round(job["iops"]), "reads/s")
        else:
            self.note(name, round(job["bw"] / 1024, 1), "MiB/s")

    def counted(self, name, gib, action):
        ticks = self.client.ticks()
        action()
        self.note(f"{name}: processor", round((self.client.ticks() - ticks) * 1000 / TICKS / gib), "ms/GiB")

    def seq(self):
        mib = self.arguments.seq_mib
        self.counted("sequential write", mib / 1024,
                     lambda: self.fio("write", "sequential write", "--bs=1M", f"--size={mib}M", "--end_fsync=1"))
        self.client.remount(self.arguments)
        self.counted("sequential read, cold", mib / 1024,
                     lambda: self.fio("read", "sequential read, cold", "--bs=1M", f"--size={mib}M"))
        self.note("sequential read, cold: GETs", self.client.requests("GET"), "")
        self.client.remount(self.arguments, keep_cache=True)
        self.counted("sequential read, disk cache", mib / 1024,
                     lambda: self.fio("read", "sequential read, disk cache", "--bs=1M", f"--size={mib}M"))

    def rand(self):
        mib = self.arguments.seq_mib
        if not (self.client.mount_point / "w.0.0").exists():
            self.fio("write", "sequential write", "--bs=1M", f"--size={mib}M", "--end_fsync=1")
        run(self.client.program, "warmup", self.client.mount_point / "w.0.0")
        common = ["--bs=4k", f"--size={mib}M", "--direct=1", "--io_size=64M"]
        self.fio("randread", "4 KiB reads from the cache, 1 at once", *common, "--ioengine=psync")
        self.fio("randread", "4 KiB reads from the cache, 16 at once", *common, "--ioengine=libaio", "--iodepth=16")

    def small_files(self, folder, action, threads, files, order="in-order"):
        done = run(self.arguments.small_files_bench, self.client.mount_point / folder, action, threads, files, 102400, order)
        return float(done.stdout)

    def small(self):
        few, many = self.arguments.small_few, self.arguments.small_many
        for threads, files in ((1, few), (64, many), (128, many)):
            puts = self.client.requests("PUT")
            rate = self.small_files(f"s{threads}", "write", threads, files)
            self.note(f"100 KiB files written, {threads} threads", rate, "files/s")
            self.note(f"100 KiB files written, {threads} threads: PUTs per file",
                      round((self.client.requests("PUT") - puts) / files, 3), "")
        for threads, folder, files, order in ((1, "s64", few, "in-order"), (16, "s128", many, "random")):
            self.client.remount(self.arguments)
            rate = self.small_files(folder, "read", threads, files, order)
            self.note(f"100 KiB files read cold, {threads} threads, {order}", rate, "files/s")
            self.note(f"100 KiB files read cold, {threads} threads: GETs per file",
                      round(self.client.requests("GET") / files, 3), "")

    def writeback(self):
        self.client.remount(self.arguments, "--writeback")
        few, many = self.arguments.small_few, self.arguments.small_many
        for threads, files in ((1, few), (16, many)):
            rate = self.small_files(f"wb{threads}", "write", threads, files)
            self.note(f"100 KiB files written, {threads} thread{'s' * (threads > 1)}, --writeback", rate, "files/s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--client", action="append", required=True, help="NAME=PROGRAM")
    parser.add_argument("--options", action="append", default=[], help="NAME=mount options of that client")
    parser.add_argument("--meta", required=True)
    parser.add_argument("--store", default="near", help="what the results call the store")
    parser.add_argument("--storage", default="file")
    parser.add_argument("--bucket", default="")
    parser.add_argument("--access-key", default="")
    parser.add_argument("--secret-key", default="")
    parser.add_argument("--format-opts", default="", type=str.split)
    parser.add_argument("--phases", default="seq,rand,small,writeback")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--seq-mib", type=int, default=1024)
    parser.add_argument("--small-few", type=int, default=300)
    parser.add_argument("--small-many", type=int, default=4000)
    parser.add_argument("--small-files-bench", default="build/release/bench/small_files_bench")
    parser.add_argument("--work", default=None, help="where volumes and mount points go")
    parser.add_argument("--results", required=True)
    arguments = parser.parse_args()
    phases = arguments.phases.split(",")
    if "writeback" in phases[:-1]:
        parser.error("--phases: writeback comes last, since it leaves data that only the cache folder has")
    options = dict(o.split("=", 1) for o in arguments.options)
    for turn in range(arguments.turns):
        for name, program in (c.split("=", 1) for c in arguments.client):
            with tempfile.TemporaryDirectory(prefix="ciderfs-compare-", dir=arguments.work) as folder:
                client = Client(name, program, options.get(name, "").split(), folder)
                if arguments.meta.startswith("redis"):
                    run("redis-cli", "-u", arguments.meta, "flushdb")
                client.format(arguments)
                client.mount(arguments)
                watch = MemoryWatch(client)
                watch.start()
                try:
                    bench = Bench(arguments, client, turn)
                    for phase in phases:
                        getattr(bench, phase)()
                    watch.ended.set()
                    bench.note("resident memory", watch.samples, "MiB")
                finally:
                    watch.ended.set()
                    client.unmount()


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        sys.exit(f"{' '.join(failed.cmd)}\n{failed.stdout}{failed.stderr}")
