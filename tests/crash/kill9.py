#!/usr/bin/env python3
"""Writers work on a mount that is killed with -9 in the middle. What fsync or close had acknowledged must be there after the
next mount, byte for byte; what was not may be there or not, but never as rubbish.

A writer appends a line to its manifest, on another disk, only after the file system has acknowledged. The content of a file
is made from its name and version, so that the manifest only needs these.

With --writeback blocks are staged on the cache's disk, and with --upload-delay none is uploaded before the kill. With
--encrypt-cache the volume is encrypted, and so are the staged blocks of most mounts.

usage: kill9.py BIN [--rounds N] [--writers N] [--seconds S] [--seed N] [--keep] [--writeback [--upload-delay T]] [--encrypt-cache]
"""
import argparse
import hashlib
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import engines  # noqa: E402
from volume import Volume, program, rsa_key  # noqa: E402

WRITER_SLOTS = 40   # files per writer


def content(name, version, size):
    """The bytes of a file: any prefix of a version is recognised too."""
    block = hashlib.sha256(f"{name}:{version}".encode()).digest()
    return (block * (size // len(block) + 1))[:size]


def replace_file(root, name, version, size, sync):
    """A new file under a temporary name, then renamed into place, as editors and databases do."""
    temporary = root / f".{name}.tmp"
    with open(temporary, "wb") as file:
        file.write(content(name, version, size))
        file.flush()
        if sync:
            os.fsync(file.fileno())
    os.rename(temporary, root / name)
    if sync:
        directory = os.open(root, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)


def write(root, manifest, number, seed):
    """One writer, until the mount dies under it."""
    chance = random.Random(seed)
    home = root / f"writer-{number}"
    home.mkdir(exist_ok=True)
    version = seed * 1_000_000
    with open(manifest, "a", buffering=1) as log:
        while True:
            version += 1
            name = f"f{chance.randrange(WRITER_SLOTS)}"
            size = chance.choice([0, 1, 100, 4096, 70_000, 1_000_000, 5_000_000])
            action = chance.random()
            # "begin" first: a crash in the middle may leave either state.
            log.write(f"begin {name} {version} {size if action < 0.9 else -1}\n")
            try:
                if action < 0.9:
                    replace_file(home, name, version, size, sync=action < 0.7)
                else:
                    (home / name).unlink(missing_ok=True)
            except OSError:
                return
            log.write(f"done {name} {version} {size if action < 0.9 else -1}\n")


def read_manifest(path):
    """For each name the states that are allowed: the last one done, and those begun after it."""
    allowed = {}
    for line in open(path):
        kind, name, version, size = line.split()
        state = (int(version), int(size))
        if kind == "done":
            allowed[name] = [state]
        else:
            allowed.setdefault(name, [(0, -1)]).append(state)
    return allowed


def is_state(path, name, state):
    version, size = state
    if size < 0:
        return not path.exists()
    return path.exists() and path.stat().st_size == size and path.read_bytes() == content(name, version, size)


def verify(root, manifest, number):
    problems = []
    home = root / f"writer-{number}"
    for name, states in read_manifest(manifest).items():
        if not any(is_state(home / name, name, state) for state in states):
            found = f"{(home / name).stat().st_size} bytes" if (home / name).exists() else "nothing"
            problems.append(f"writer-{number}/{name}: found {found}, which is none of (version, size) {states}")
    return problems


def mount(volume, args, seed):
    """Some mounts go without --encrypt-cache, and find what those with it have left."""
    encrypt = args.encrypt_cache and random.Random(seed).random() < 0.7
    volume.mount(*args.mount_options, *(["--encrypt-cache"] if encrypt else []))


def one_round(volume, args, seed):
    root = volume.point
    manifests = [volume.work / f"manifest-{n}" for n in range(args.writers)]
    children = []
    for number, manifest in enumerate(manifests):
        child = os.fork()
        if child == 0:
            try:
                write(root, manifest, number, seed + number)
            finally:
                os._exit(0)
        children.append(child)
    time.sleep(random.Random(seed).uniform(0.2, 1.0) * args.seconds)
    volume.kill()
    for child in children:
        os.waitpid(child, 0)
    mount(volume, args, seed)
    problems = [p for number, manifest in enumerate(manifests) for p in verify(root, manifest, number)]
    # The state that was found is the one to go on from.
    for number, manifest in enumerate(manifests):
        home = root / f"writer-{number}"
        kept = {}
        for name, states in read_manifest(manifest).items():
            kept[name] = next((s for s in reversed(states) if is_state(home / name, name, s)), (0, -1))
        manifest.write_text("".join(f"done {name} {version} {size}\n" for name, (version, size) in kept.items()))
    return problems


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("binary")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--writers", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=2.0, help="longest time until the kill")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--keep", action="store_true", help="leave the temporary directory")
    parser.add_argument("--engine", choices=engines.ENGINES, default="sqlite")
    parser.add_argument("--writeback", action="store_true")
    parser.add_argument("--upload-delay", default="0s", help="with --writeback")
    parser.add_argument("--encrypt-cache", action="store_true")
    args = parser.parse_args()
    args.mount_options = ["--writeback", "--upload-delay", args.upload_delay] if args.writeback else []
    volume = Volume(program(args.binary), "ciderfs-crash.", args.engine)
    volume.format(*(["--encrypt-rsa-key", rsa_key(volume.work / "key.pem")] if args.encrypt_cache else []))
    failed = 0
    try:
        mount(volume, args, args.seed - 1)
        for number in range(args.rounds):
            seed = args.seed + 100 * number
            problems = one_round(volume, args, seed)
            failed += bool(problems)
            lines = sum(1 for m in volume.work.glob("manifest-*") for _ in open(m))
            print(f"round {number + 1} (seed {seed}): {lines} names checked, {len(problems)} problems", flush=True)
            for problem in problems:
                print("  " + problem)
    finally:
        volume.close(keep=args.keep or failed > 0)
    print(f"kill9.py: {args.rounds - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
