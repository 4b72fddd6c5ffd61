"""Threads on all mounts at once, in directories that they share: each owns its files by their names and knows what every call on
them must answer; at the end all that they made must be there, through every mount."""
import random
import threading
import time

from .harness import EXACT, KERNEL_CACHE, case, check_all_goes, check_counters, check_statistics, expect, mounted
from .model import Model
from .random_operations import Drawer
from .tree import Tree, check_all, check_call

FOLDERS = tuple(f"t/d{n}" for n in range(4))
THREADS = 3  # of each mount
CALLS = {"create": 10, "write": 14, "append": 6, "truncate": 3, "read": 8, "mkdir": 8, "rmdir": 4, "unlink": 8, "rename": 14,
         "link": 6, "symlink": 3, "readlink": 1, "chmod": 2, "stat": 6}
READS = ("read", "readlink", "stat")


class Worker(threading.Thread):
    """Makes random calls on its own names until it is told to stop, or one is answered wrongly."""

    def __init__(self, number, trees, home, elsewhere, seed, stop):
        super().__init__(name=f"worker {number} on mount {home + 1}")
        self.model = shared_model()
        self.trees = trees
        self.home = trees[home]
        self.elsewhere = elsewhere
        self.drawer = Drawer(random.Random(seed), CALLS, FOLDERS, [f"w{number}{letter}" for letter in "abcd"], depth=2)
        self.stop = stop
        self.calls = 0
        self.last = None   # the call under way, or that failed
        self.error = None

    def run(self):
        while not self.stop.is_set():
            self.last = self.drawer.call(self.model)
            elsewhere = self.last[0] in READS and self.drawer.chance.random() < self.elsewhere
            tree = self.drawer.chance.choice(self.trees) if elsewhere else self.home
            try:
                check_call(tree, self.model, self.last)
            except Exception as error:  # told by whoever waits for the thread
                self.error = error
                return
            self.calls += 1


def shared_model():
    model = Model()
    for path in ("t", *FOLDERS):
        model.mkdir(path, 0o755)
    return model


def start_workers(settings, trees, stop, elsewhere=0.0):
    """Several for each mount; `elsewhere` is the part of what they read that they read through any mount."""
    for path in ("t", *FOLDERS):
        trees[0].mkdir(path, 0o755)
    workers = [Worker(n, trees, n % len(trees), elsewhere, settings.seed + n, stop) for n in range(THREADS * len(trees))]
    for worker in workers:
        worker.start()
    return workers


def finish(workers, stop):
    stop.set()
    for worker in workers:
        worker.join()


def check_workers(workers):
    errors = [f"{worker.name} after {worker.calls} calls: {worker.error}" for worker in workers if worker.error]
    expect(not errors, "\n".join(errors))
    idle = [worker.name for worker in workers if worker.calls < 20]
    expect(not idle, f"did next to nothing: {idle}")


def merged(workers):
    """What all of them made."""
    def shared(model):  # a file may have come into any, by writing through a symlink
        return [model.root, *(model.existing(path) for path in ("t", *FOLDERS))]

    whole = shared_model()
    for worker in workers:
        for folder, theirs in zip(shared(whole), shared(worker.model)):
            folder.entries.update((name, node) for name, node in theirs.entries.items() if name in worker.drawer.names)
    return whole


def check_trees(volume, mounts, trees, model):
    for tree in trees:
        check_all(tree, model)
        check_counters(volume, tree, model.usage())
    check_statistics(volume, mounts[0])


def work_together(settings, mount_options, elsewhere):
    with mounted(settings, *mount_options) as (volume, mounts):
        trees, stop = [Tree(mount.point) for mount in mounts], threading.Event()
        workers = start_workers(settings, trees, stop, elsewhere)
        time.sleep(settings.seconds)
        finish(workers, stop)
        check_workers(workers)
        time.sleep(KERNEL_CACHE)
        model = merged(workers)
        check_trees(volume, mounts, trees, model)
        check_all_goes(volume, trees[0], model)


@case
def threads_in_shared_directories(settings):
    """With the default caches; each thread keeps to its mount."""
    work_together(settings, [], elsewhere=0)


@case
def threads_that_read_through_other_mounts(settings):
    work_together(settings, EXACT, elsewhere=0.5)
