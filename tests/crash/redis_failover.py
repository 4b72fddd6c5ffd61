#!/usr/bin/env python3
"""Writers work on two mounts of one volume while the Redis master below fails over to a replica: it is killed with -9, or
Sentinel is told to promote another. No writer may see an error, everything acknowledged must be there on both mounts, and
no inode number may have been given twice.

Redis replicates asynchronously, so a failover may lose what was acknowledged last, which no client can prevent. Here it
cannot: the master is paused and the replicas catch up before it goes. The writers' requests are in flight at that moment, and
get their answers from the new master.

usage: redis_failover.py BIN [--rounds N] [--writers N] [--seed N] [--juicefs BIN] [--keep]
"""
import argparse
import multiprocessing
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from kill9 import content  # noqa: E402
from volume import Volume, program  # noqa: E402

MASTER = "cidermaster"
PATIENCE = 60       # seconds; a failover takes some five
WRITER_SLOTS = 40   # files per writer


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_until(what, condition):
    end = time.time() + PATIENCE
    while not condition():
        if time.time() > end:
            raise RuntimeError(f"waited in vain: {what}")
        time.sleep(0.05)


class Server:
    """A redis-server or a Sentinel on a port of its own."""

    def __init__(self, folder, name, *options, sentinel=False):
        self.port = free_port()
        self.folder = folder / name
        self.folder.mkdir()
        self.config = self.folder / "redis.conf"
        lines = [f"port {self.port}", "bind 127.0.0.1", f"dir {self.folder}", *options]
        self.config.write_text("\n".join(lines) + "\n")
        self.words = ["redis-server", str(self.config)] + (["--sentinel"] if sentinel else [])
        self.start()

    def start(self):
        self.process = subprocess.Popen(self.words, stdout=subprocess.DEVNULL)
        wait_until("a server starts", lambda: self.ask("PING") == "PONG")

    def ask(self, *words):
        result = subprocess.run(["redis-cli", "-h", "127.0.0.1", "-p", str(self.port), *map(str, words)],
                                capture_output=True, text=True)
        return result.stdout.strip()

    def info(self, field):
        lines = dict(line.split(":", 1) for line in self.ask("INFO", "replication").splitlines() if ":" in line)
        return lines.get(field, "").strip()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


class Group:
    """A master with two replicas, of which one must follow before the master accepts writes, and three Sentinels."""

    def __init__(self, folder):
        options = ["save \"\"", "appendonly yes", "min-replicas-to-write 1", "repl-diskless-sync-delay 0"]
        self.redis = [Server(folder, "redis-0", *options)]
        follow = f"replicaof 127.0.0.1 {self.redis[0].port}"
        self.redis += [Server(folder, f"redis-{n}", *options, follow) for n in (1, 2)]
        watch = [f"sentinel monitor {MASTER} 127.0.0.1 {self.redis[0].port} 2",
                 f"sentinel down-after-milliseconds {MASTER} 1000",
                 f"sentinel failover-timeout {MASTER} 5000"]
        self.sentinels = [Server(folder, f"sentinel-{n}", *watch, sentinel=True) for n in range(3)]
        self.await_order()

    def url(self, db):
        hosts = ",".join(f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels)
        return f"redis://{MASTER},{hosts}/{db}?max-retry-backoff=500ms"

    def master(self):
        port = self.sentinels[0].ask("SENTINEL", "get-master-addr-by-name", MASTER).split()[-1]
        return next(server for server in self.redis if str(server.port) == port)

    def in_order(self):
        """Everybody follows one master, and the Sentinels know them all: it could fail over now."""
        master = self.master()
        states = [sentinel.ask("SENTINEL", "CKQUORUM", MASTER) for sentinel in self.sentinels]
        known = [sentinel.ask("SENTINEL", "MASTER", MASTER).splitlines() for sentinel in self.sentinels]
        return (master.info("role") == "master" and master.info("connected_slaves") == "2"
                and all(s.info("master_link_status") == "up" for s in self.redis if s is not master)
                and all(state.startswith("OK 3") for state in states)
                and all(words[words.index("num-slaves") + 1] == "2" and words[words.index("flags") + 1] == "master"
                        and words[words.index("port") + 1] == str(master.port) for words in known))

    def await_order(self):
        wait_until("the replicas follow the master", self.in_order)

    def pause(self, master):
        """The master serves no more writes, and the replicas have all that it has acknowledged."""
        master.ask("CLIENT", "PAUSE", 1000 * PATIENCE, "WRITE")
        others = [server for server in self.redis if server is not master]
        wait_until("the replicas catch up", lambda: len({master.info("master_repl_offset"),
                                                         *(s.info("slave_repl_offset") for s in others)}) == 1)

    def fail_over(self, kind):
        old = self.master()
        self.pause(old)
        if kind == "kill":
            old.kill()
        else:
            reply = self.sentinels[0].ask("SENTINEL", "FAILOVER", MASTER)
            if reply != "OK":
                raise RuntimeError(f"SENTINEL FAILOVER: {reply}")
        wait_until("another master", lambda: self.master() is not old and self.master().info("role") == "master")
        if kind == "failover":
            # Sentinel would do it too, but for the pause. What is held there is refused now.
            self.follow(old)
            old.ask("CLIENT", "UNPAUSE")
        return old

    def follow(self, server):
        server.ask("REPLICAOF", "127.0.0.1", self.master().port)

    def close(self):
        for server in self.sentinels + self.redis:
            server.process.terminate()
            server.process.wait()


def write(root, number, seed, manifest, done, stop):
    """One writer, until it is told to stop; the manifest ends with an error where it saw one."""
    chance = random.Random(seed)
    home = root / f"writer-{number}"
    version = seed * 1_000_000
    with open(manifest, "a", buffering=1) as log:
        try:
            home.mkdir(exist_ok=True)
            while not stop.is_set():
                version += 1
                name = f"f{chance.randrange(WRITER_SLOTS)}"
                size = chance.choice([-1, 0, 100, 4096, 70_000])
                if size < 0:
                    (home / name).unlink(missing_ok=True)
                elif chance.random() < 0.5:
                    (home / name).write_bytes(content(name, version, size))
                else:
                    temporary = root / "shared" / f"{number}-{version}"
                    temporary.write_bytes(content(name, version, size))
                    os.rename(temporary, home / name)
                log.write(f"{name} {version} {size}\n")
                with done.get_lock():
                    done.value += 1
        except OSError as error:
            log.write(f"error {error.errno} {error}\n")


def check(root, manifests):
    """What is wrong with the files below a mount, by the writers' manifests."""
    problems = []
    inodes = {}
    for number, manifest in enumerate(manifests):
        home = root / f"writer-{number}"
        last = {}
        for line in open(manifest):
            name, version, size = line.split(maxsplit=2)
            if name == "error":
                problems.append(f"writer-{number}: {size.strip()}")
            else:
                last[name] = (int(version), int(size))
        want = {name for name, (_, size) in last.items() if size >= 0}
        found = set(os.listdir(home))
        if found != want and not any(problem.startswith(f"writer-{number}: ") for problem in problems):
            problems.append(f"writer-{number}: too many names {sorted(found - want)}, missing {sorted(want - found)}")
        for name in found & want:
            try:
                inodes.setdefault((home / name).stat().st_ino, []).append(home / name)
                if (home / name).read_bytes() != content(name, *last[name]):
                    problems.append(f"writer-{number}/{name} is not version {last[name]}")
            except OSError as error:
                problems.append(f"writer-{number}/{name}: {error}")
    left = os.listdir(root / "shared")
    if left and not problems:
        problems.append(f"shared: {left} should have been renamed")
    return problems + [f"inode {ino} is {paths}" for ino, paths in inodes.items() if len(paths) > 1]


def one_round(volumes, group, kind, args, seed):
    manifests = [volumes[0].work / f"manifest-{n}" for n in range(args.writers)]
    stop = multiprocessing.Event()
    counts = [multiprocessing.Value("Q", 0) for _ in manifests]
    writers = []
    for number, manifest in enumerate(manifests):
        root = volumes[number % len(volumes)].point
        writers.append(multiprocessing.Process(target=write, args=(root, number, seed + number, manifest, counts[number], stop)))
        writers[-1].start()

    def go_on(operations):
        goals = [count.value + operations for count in counts]
        wait_until("the writers go on", lambda: all(count.value >= goal or not writer.is_alive()
                                                    for count, goal, writer in zip(counts, goals, writers)))

    try:
        go_on(50)
        old = group.fail_over(kind)
        go_on(50)
    finally:
        stop.set()
        for writer in writers:
            writer.join()
    if kind == "kill":
        old.start()
        group.follow(old)
    group.await_order()
    problems = [f"{volume.point}: {problem}" for volume in volumes for problem in check(volume.point, manifests)]
    return problems, sum(count.value for count in counts)


def fsck(juicefs, volume):
    """Metadata and objects fit together, as JuiceFS sees it."""
    result = subprocess.run([juicefs, "fsck", volume.url], capture_output=True, text=True)
    return [] if result.returncode == 0 else [f"fsck: {result.stderr[-2000:]}"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=2, help="every second one is a kill")
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--juicefs", help="a JuiceFS client, for its fsck")
    parser.add_argument("--keep", action="store_true", help="leave the temporary directory")
    args = parser.parse_args()
    volumes = [Volume(program(args.binary), "ciderfs-failover.") for _ in range(2)]
    group = None
    failed = 0
    passed = 0
    try:
        group = Group(volumes[0].work)
        for volume in volumes:
            volume.url = group.url(1)
            volume.bucket = volumes[0].bucket
        volumes[0].format()
        for volume in volumes:
            volume.mount("--heartbeat", "2s")
        (volumes[0].point / "shared").mkdir()
        for number in range(args.rounds):
            kind = "kill" if number % 2 == 0 else "failover"
            seed = args.seed + 100 * number
            problems, operations = one_round(volumes, group, kind, args, seed)
            print(f"round {number + 1} ({kind}, seed {seed}): {operations} operations, {len(problems)} problems", flush=True)
            for problem in problems:
                print("  " + problem)
            failed += bool(problems)
            passed += not problems
        for volume in volumes:
            volume.unmount()
        if args.juicefs:
            problems = fsck(args.juicefs, volumes[0])
            for problem in problems:
                print("  " + problem)
            failed += bool(problems)
            passed += not problems
    finally:
        for volume in volumes:
            volume.kill()
        if group:
            group.close()
        for volume in reversed(volumes):
            volume.close(keep=args.keep or failed > 0)
    print(f"redis_failover.py: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
