#!/usr/bin/env python3
"""What is given wrongly, is damaged or is not there: each case must end in a clear message or the right errno, harm nothing that
is stored, and leave the mount serving.

usage: bad_input.py [BIN] [CASE...]      default build/release/ciderfs, all cases; cases that mount something need root
"""
import os
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from bad_input_cases.harness import CASES  # noqa: E402
import bad_input_cases  # noqa: E402,F401  (its modules add themselves to CASES)
from volume import program  # noqa: E402

CASE_LIMIT = 120  # seconds, so that a hang is a failure


def too_late(*_):
    raise TimeoutError(f"not done within {CASE_LIMIT} s")


def main():
    signal.signal(signal.SIGALRM, too_late)
    words = sys.argv[1:]
    os.environ["CIDER_BINARY"] = program(words.pop(0) if words and "/" in words[0] else str(HERE.parent.parent / "build/release/ciderfs"))
    passed = failed = skipped = 0
    for function in CASES:
        if words and function.__name__ not in words:
            continue
        needs_root = "small_disk" in function.__code__.co_names
        if needs_root and os.geteuid() != 0:
            skipped += 1
            print(f"skip  {function.__name__}: needs root")
            continue
        signal.alarm(CASE_LIMIT)
        try:
            function()
            signal.alarm(0)
            passed += 1
            print(f"ok    {function.__name__}", flush=True)
        except Exception as error:  # whatever it was, the other cases run
            signal.alarm(0)
            failed += 1
            print(f"FAIL  {function.__name__}: {type(error).__name__}: {error}", flush=True)
    print(f"bad_input.py: {passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
