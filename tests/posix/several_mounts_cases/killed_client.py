"""One client of three is killed with -9 in the middle of work: the others notice nothing, and what it held is let go when its
session has ended."""
import contextlib
import fcntl
import os
import signal
import threading
import time

from .agent import Agent
from .harness import BLOCK, KERNEL_CACHE, blocks, case, expect, mounted, wait_for
from .shared_directories import check_trees, check_workers, finish, merged, start_workers
from .tree import Tree, answer, difference, same, short

HEARTBEAT = 1  # seconds; a session ends after five without one
HELD = 300_000  # bytes of the file that the killed client holds open and unlinked


def outcomes(model, call):
    """The states that a call may leave when it is cut off: before it, after it; a file opened, yet not written."""
    yield model
    if call[0] == "write":
        opened = model.copy()
        answer(opened, ("opened", call[1], call[2]))
        yield opened
    done = model.copy()
    answer(done, call)
    yield done


def found_state(tree, model, call):
    """Which of them it is, as a model."""
    paths = [word for word in call[1:3] if isinstance(word, str)]
    # More links or another size show at any name of the inode.
    paths += [path for path, _ in model.walk() if path.split("/")[-1][:1] == "w"]
    wrong = []
    for state in outcomes(model, call):
        pairs = ((f"{ask} {path}", answer(tree, (ask, path)), answer(state, (ask, path))) for path in paths for ask in ("stat", "read"))
        different = next((f"{ask}: {difference(told, right)}" for ask, told, right in pairs if not same(told, right)), None)
        if not different:
            return state
        wrong.append(different)
    raise AssertionError(f"after the kill in {short(call)}: " + "; or ".join(wrong))


@case
def one_client_of_three_is_killed(settings):
    with mounted(settings, "--heartbeat", f"{HEARTBEAT}s", count=3) as (volume, mounts):
        trees, stop = [Tree(mount.point) for mount in mounts], threading.Event()
        trees[0].write("locked", os.O_CREAT | os.O_EXCL, 0, b"here", False)
        with contextlib.ExitStack() as stack:
            others = [stack.enter_context(Agent(tree.at("locked"))) for tree in trees[:2]]
            holder = stack.enter_context(Agent(trees[2].at("locked")))
            holder.do("flock", fcntl.LOCK_EX)
            holder.do("lock", fcntl.F_WRLCK, 0, 100)
            before = blocks(volume)
            holder.do("hold_unlinked", trees[2].at("held"), HELD)
            held = blocks(volume) - before
            expect(len(held) > HELD // BLOCK, "the file that is held open has no blocks")
            workers = start_workers(settings, trees, stop)
            others[0].begin("flock", fcntl.LOCK_EX)
            others[1].begin("wait_lock", fcntl.F_WRLCK, 50, 100)
            time.sleep(settings.seconds / 2)
            expect(all(other.waits() for other in others), "the locks of a living client were given away")
            kill_process(mounts[2], [worker for worker in workers if worker.home is trees[2]])
            for other in others:
                other.answer()
            finish(workers, stop)
        check_after_kill(volume, mounts[:2], trees, workers)
        wait_for(lambda: not held & blocks(volume), "for the blocks of the killed client's unlinked file to go")


def kill_process(mount, workers):
    """The dead mount is taken away when all have seen that it is dead."""
    for pid in mount.pids():
        os.kill(pid, signal.SIGKILL)
    for worker in workers:
        worker.join()
    mount.kill()


def check_after_kill(volume, mounts, trees, workers):
    living = [worker for worker in workers if worker.home is not trees[2]]
    check_workers(living)
    time.sleep(KERNEL_CACHE)
    for worker in set(workers) - set(living):
        expect(worker.calls > 20 and isinstance(worker.error, OSError), f"{worker.name}, on the killed mount: {worker.error}")
        worker.model = found_state(trees[0], worker.model, worker.last)
    model = merged(workers)
    model.write("locked", os.O_CREAT | os.O_EXCL, 0, b"here", False)
    wait_for(lambda: trees[0].usage() == model.usage(), "for the killed client's unlinked file to go")
    check_trees(volume, mounts, trees[:2], model)
