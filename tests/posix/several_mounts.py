#!/usr/bin/env python3
"""One volume mounted several times: random calls against a model, threads in shared directories, locks, a client that is killed.

usage: several_mounts.py [--mounts N] [--engine NAME] [--seed N] [--steps N] [--seconds N] [BIN] [CASE...]
       default build/release/ciderfs, all cases; ENGINE in the environment names the engine too, MOUNT_OPTS more options
"""
import argparse
import os
import pathlib
import signal
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from several_mounts_cases.harness import CASES  # noqa: E402
import several_mounts_cases  # noqa: E402,F401  (its modules add themselves to CASES)
import engines  # noqa: E402
from volume import program  # noqa: E402


def too_late(*_):
    raise TimeoutError("the case does not end")


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", metavar="BIN CASE...")
    parser.add_argument("--mounts", type=int, default=2)
    parser.add_argument("--engine", choices=sorted(engines.ENGINES.keys() - engines.SINGLE_PROCESS), default=os.environ.get("ENGINE", "sqlite"))
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--steps", type=int, default=1500, help="random calls of a case")
    parser.add_argument("--seconds", type=float, default=3, help="how long threads work")
    parser.add_argument("--limit", type=int, default=300, help="seconds after which a case counts as hanging")
    parser.add_argument("--keep", action="store_true", help="leave the temporary directory of a case that failed")
    settings = parser.parse_args()
    words = settings.words
    settings.binary = program(words.pop(0) if words and "/" in words[0] else str(HERE.parent.parent / "build/release/ciderfs"))
    unknown = set(words) - {function.__name__ for function in CASES}
    if unknown or settings.mounts < 2:
        parser.error(f"there is no case {', '.join(unknown)}" if unknown else "--mounts must be 2 or more")
    return settings


def main():
    settings = parse()
    signal.signal(signal.SIGALRM, too_late)
    os.umask(0)
    print(f"{settings.mounts} mounts, engine {settings.engine}, seed {settings.seed}", flush=True)
    passed = failed = 0
    for function in CASES:
        if settings.words and function.__name__ not in settings.words:
            continue
        begin = time.time()
        signal.alarm(settings.limit)
        try:
            function(settings)
            passed += 1
            print(f"ok    {function.__name__} ({time.time() - begin:.1f} s)", flush=True)
        except Exception as error:  # whatever it was, the other cases run
            failed += 1
            print(f"FAIL  {function.__name__} (seed {settings.seed}): {type(error).__name__}: {error}", flush=True)
        finally:
            signal.alarm(0)
    print(f"several_mounts.py: {passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
