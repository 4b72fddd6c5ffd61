"""Random calls, each on a mount of its own choice, one after the other: every answer must be that of one POSIX file system."""
import os
import random
import time

from .harness import EXACT, KERNEL_CACHE, case, check_all_goes, check_counters, check_statistics, expect, mounted
from .model import EXCHANGE, NOREPLACE, Model
from .tree import Tree, check_all, check_call

MAX_SIZE = 200_000  # of a file; three blocks and more
MODES = (0o600, 0o640, 0o755, 0o777, 0o4711, 0o700)
STEPS_BETWEEN_LISTINGS = 500

# How often each call is drawn.
EVERYTHING = {"create": 8, "write": 14, "append": 8, "truncate": 6, "read": 12, "mkdir": 8, "rmdir": 8, "unlink": 10, "rename": 14,
              "link": 4, "symlink": 4, "readlink": 2, "chmod": 4, "utime": 4, "setxattr": 8, "removexattr": 2, "xattrs": 2,
              "stat": 14, "listing": 6}
# What must be right whatever the kernel has cached: calls that open a file, make or remove a name, or list a directory. No file
# gets another name here: under the old one the kernel may find it for as long as --entry-cache says.
CLOSE_TO_OPEN = {"create": 5, "write": 20, "append": 15, "replace": 8, "unlink": 5, "read": 40, "list_folder": 5}
# What most of them are tried on.
WANTED = {"create": "new", "write": "file", "append": "file", "truncate": "file", "read": "file", "mkdir": "new", "rmdir": "dir",
          "unlink": "file", "link": "file", "symlink": "new", "readlink": "link", "listing": "dir", "replace": "file"}


class Drawer:
    """Draws calls from a seed. Names are few, so that they meet; most paths exist, or could be made."""

    def __init__(self, chance, weights, folders=("t",), names="abcde", depth=3):
        self.chance = chance
        self.weights = weights
        self.folders = folders
        self.names = list(names)
        self.depth = depth
        self.replaced = 0
        self.least_value = 0

    def path(self, model, wanted=None):
        """`wanted` is a kind of node, or "new" for a name that is free; it comes in most cases."""
        paths = list(model.walk())
        known = [(path, node) for path, node in paths if path.split("/")[-1] in self.names]
        folders = [*self.folders, *(path for path, node in known if node.kind == "dir" and path.count("/") < self.depth)]
        there = {path for path, _ in paths}
        fit = [path for path, node in known if wanted in (node.kind, None)]
        if wanted == "new":
            fit = [path for folder in folders for name in self.names if (path := f"{folder}/{name}") not in there]
        if fit and self.chance.random() < 0.7:
            return self.chance.choice(fit)
        if self.chance.random() < 0.6:
            return f"{self.chance.choice(folders)}/{self.chance.choice(self.names)}"
        return "/".join([self.chance.choice(self.folders), *self.chance.choices(self.names, k=self.chance.randint(1, self.depth))])

    def data(self):
        size = self.chance.choice((1, 100, 4096, 10_000, 70_000))
        return self.chance.randbytes(self.chance.randint(1, size))

    def call(self, model):
        """The next call, for a tree that is as the model is."""
        name = self.chance.choices(list(self.weights), self.weights.values())[0]
        path = self.path(model, WANTED.get(name))
        return getattr(self, name)(path, model) if hasattr(self, name) else (name, path)

    def create(self, path, model):
        return "write", path, os.O_CREAT | os.O_EXCL, 0, self.data(), self.chance.random() < 0.2

    def write(self, path, model):
        flags = self.chance.choice((0, os.O_CREAT, os.O_CREAT | os.O_TRUNC, os.O_TRUNC))
        return "write", path, flags, self.chance.randrange(MAX_SIZE), self.data(), self.chance.random() < 0.2

    def append(self, path, model):
        return "write", path, self.chance.choice((0, os.O_CREAT)) | os.O_APPEND, 0, self.data(), False

    def truncate(self, path, model):
        return "truncate", path, self.chance.choice((0, 1, 4096, self.chance.randrange(MAX_SIZE)))

    def mkdir(self, path, model):
        return "mkdir", path, self.chance.choice((0o700, 0o755, 0o777))

    def rename(self, path, model):
        return "rename", path, self.path(model), self.chance.choice((0, 0, 0, NOREPLACE, EXCHANGE))

    def replace(self, path, model):
        self.replaced += 1
        return "replace", path, f"{self.folders[0]}/new-{self.replaced}", self.data()

    def list_folder(self, path, model):
        return "listing", self.folders[0]

    def link(self, path, model):
        return "link", path, self.path(model, "new")

    def symlink(self, path, model):
        way = "../" * self.chance.randrange(2)
        return "symlink", path, way + "/".join(self.chance.choices(self.names, k=self.chance.randint(1, 2)))

    def chmod(self, path, model):
        return "chmod", path, self.chance.choice(MODES)

    def utime(self, path, model):
        return "utime", path, self.chance.randrange(1, 2 * 10**18)

    def setxattr(self, path, model):
        value = self.chance.randbytes(self.chance.choice((self.least_value, 10, 1000)))
        flags = self.chance.choice((0, 0, os.XATTR_CREATE, os.XATTR_REPLACE))
        return "setxattr", path, "user." + self.chance.choice("xy"), value, flags

    def removexattr(self, path, model):
        return "removexattr", path, "user." + self.chance.choice("xy")


def run_steps(settings, trees, model, drawer, whole_tree):
    drawer.chance.seed(settings.seed)
    drawer.least_value = 1 if settings.engine == "tikv" else 0  # TiKV has no empty values
    check_call(trees[0], model, ("mkdir", "t", 0o755))
    for step in range(1, settings.steps + 1):
        number = drawer.chance.randrange(len(trees))
        try:
            check_call(trees[number], model, drawer.call(model))
            if whole_tree and step % STEPS_BETWEEN_LISTINGS == 0:
                check_all(trees[number], model)
        except AssertionError as error:
            raise AssertionError(f"step {step}, mount {number + 1}: {error}") from None


def check_end(volume, mounts, trees, model):
    for tree in trees:
        check_all(tree, model)
        check_counters(volume, tree, model.usage())
    check_statistics(volume, mounts[-1])
    expect(any(node.kind == "file" and node.data for _, node in model.walk()), "the run left nothing to compare")
    check_all_goes(volume, trees[-1], model)


@case
def exact_without_kernel_caches(settings):
    with mounted(settings, *EXACT) as (volume, mounts):
        trees, model = [Tree(mount.point) for mount in mounts], Model()
        run_steps(settings, trees, model, Drawer(random.Random(), EVERYTHING), whole_tree=True)
        check_end(volume, mounts, trees, model)


@case
def close_to_open(settings):
    """With the default caches."""
    with mounted(settings) as (volume, mounts):
        trees, model = [Tree(mount.point) for mount in mounts], Model()
        drawer = Drawer(random.Random(), CLOSE_TO_OPEN, names="abcdefgh", depth=1)
        run_steps(settings, trees, model, drawer, whole_tree=False)
        time.sleep(KERNEL_CACHE)
        check_end(volume, mounts, trees, model)
