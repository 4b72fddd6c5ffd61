#!/usr/bin/env python3
"""Runs clients with JuiceFS's command line through the same creates, renames and unlinks, with 1 and 16 threads in one directory
and with 4 in directories of their own, in turn (A B A B ...), over the metadata engines named, and prints medians and how the last
client compares with the first.

    bench/compare_engines.py --client juicefs=/usr/local/bin/juicefs --client ciderfs=build/release/ciderfs postgres mysql etcd

Each turn starts a server of its own, which flushes what it commits (not with --no-flush: then round trips count, not the disk), formats
a volume and mounts it. An engine may be two, one for each client, like badger:rocksdb; badger is a folder, as rocksdb is. --mdtest makes
the files by the client's command of that name, without a mount: the kernel lets one create at a time into a directory of a mount.
"""
import argparse
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile

from clients import Client, run

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
import engines  # noqa: E402

engines.ENGINES["badger"] = (engines.Engine, "badger://{folder}/{name}.badger")


class Volume:
    """What clients.Client asks about."""
    storage, bucket, format_opts = "file", "", []

    def __init__(self, meta):
        self.meta = meta


def turn(arguments, name, program, engine):
    """Operations a second, by phase and threads."""
    with tempfile.TemporaryDirectory(prefix="ciderfs-compare-", dir=arguments.work) as folder:
        server = engines.start(engine, folder, durable=not arguments.no_flush)
        try:
            client = Client(name, program, arguments.mount_options.get(name, []), pathlib.Path(folder) / "client")
            volume = Volume(server.url())
            client.format(volume)
            if arguments.mdtest:
                return {f"mdtest, {threads}": mdtest(client, volume.meta, threads, arguments.files) for threads in (1, 16)}
            client.mount(volume)
            try:
                return measure(arguments, client)
            finally:
                client.unmount()
        finally:
            server.stop()


def measure(arguments, client):
    rates = {}
    for threads, own in ((1, []), (16, []), (4, ["own"])):
        folder = client.mount_point / f"d{threads}"
        printed = run(arguments.names_bench, folder, threads, arguments.files, *own).stdout
        for line in printed.splitlines():
            phase, rate = line.split()
            rates[", ".join([phase, str(threads), *own])] = float(rate)
    return rates


def mdtest(client, meta, threads, files):
    """Files a second, all in one directory."""
    done = run(client.program, "mdtest", meta, f"/threads{threads}", "--threads", threads, "--depth", 0, "--dirs", 0,
               "--files", files // threads, "--write", 0)
    return float(re.findall(r"\(([0-9.]+) files/s\)", done.stdout + done.stderr)[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engines", nargs="+")
    parser.add_argument("--client", action="append", required=True, help="NAME=PROGRAM")
    parser.add_argument("--options", action="append", default=[], help="NAME=mount options of that client")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--files", type=int, default=4000)
    parser.add_argument("--no-flush", action="store_true", help="servers that leave what they commit to the page cache")
    parser.add_argument("--mdtest", action="store_true", help="create files without a mount")
    parser.add_argument("--names-bench", default="build/release/bench/names_bench")
    parser.add_argument("--work", default=None, help="where volumes and mount points go")
    parser.add_argument("--results", help="a file of JSON lines to add each turn to")
    arguments = parser.parse_args()
    arguments.mount_options = {name: given.split() for name, given in (o.split("=", 1) for o in arguments.options)}
    clients = [c.split("=", 1) for c in arguments.client]
    for given in arguments.engines:
        own = given.split(":") if ":" in given else [given] * len(clients)
        results = {name: [] for name, _ in clients}
        for number in range(arguments.turns):
            for (name, program), engine in zip(clients, own, strict=True):
                rates = turn(arguments, name, program, engine)
                results[name].append(rates)
                if arguments.results:
                    with open(arguments.results, "a", encoding="utf-8") as out:
                        out.write(json.dumps({"engine": engine, "client": name, "turn": number, "rates": rates}) + "\n")
        for what in results[clients[0][0]][0]:
            medians = {name: statistics.median(rates[what] for rates in turns) for name, turns in results.items()}
            shown = "  ".join(f"{name} {rate:8.0f}" for name, rate in medians.items())
            ratio = medians[clients[-1][0]] / medians[clients[0][0]]
            print(f"{given:16} {what:12} {shown}  ratio {ratio:.2f}", flush=True)


if __name__ == "__main__":
    try:
        main()
    except subprocess.CalledProcessError as failed:
        sys.exit(f"{' '.join(failed.cmd)}\n{failed.stdout}{failed.stderr}")
