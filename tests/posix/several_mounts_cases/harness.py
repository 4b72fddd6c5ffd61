"""What the cases of several_mounts.py share: a volume mounted several times, expectations, what must hold at the end."""
import contextlib
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent.parent))
from volume import Volume  # noqa: E402

CASES = []
BLOCK = 64 << 10  # bytes, of the volume's blocks
EXACT = ["--attr-cache", "0", "--entry-cache", "0", "--dir-entry-cache", "0"]
KERNEL_CACHE = 1.0  # seconds for which the kernel may answer from its cache by default
COUNT_EACH_SECOND = ("etcd:", "mysql:", "postgres:", "tikv:")
COUNTED_WITHIN = 5.0  # seconds


def case(function):
    CASES.append(function)
    return function


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def wait_for(condition, text, limit=60):
    end = time.time() + limit
    while not condition():
        expect(time.time() < end, "in vain: " + text)
        time.sleep(0.05)


@contextlib.contextmanager
def mounted(settings, *options, count=None):
    """A volume of small blocks, mounted as often as the settings say."""
    volume = Volume(settings.binary, "ciderfs-mounts.", settings.engine)
    good = False
    try:
        volume.format("--block-size", f"{BLOCK >> 10}K")
        yield volume, volume.mount_times(count or settings.mounts, "--enable-xattr", *options)
        for mount in volume.mounts:
            mount.unmount()
        good = True
    finally:
        volume.close(keep=settings.keep and not good)


def blocks(volume):
    return {path for path in volume.bucket.rglob("chunks/**/*") if path.is_file()}


def check_counters(volume, tree, expected):
    """What df says against what is there, once the other clients have counted theirs."""
    end = time.monotonic() + (COUNTED_WITHIN if volume.url.startswith(COUNT_EACH_SECOND) else 0)
    while tree.usage() != expected and time.monotonic() < end:
        time.sleep(0.1)
    expect(tree.usage() == expected, f"{tree.point}: df says {tree.usage()} inodes and bytes instead of {expected}")


def check_statistics(volume, mount):
    """The statistics of the directories say what counting says."""
    counted = [volume.run("summary", "--depth", "9", "--entries", "100", "--csv", *strict, mount.point).stdout
               for strict in ([], ["--strict"])]
    expect(counted[0] == counted[1], f"the directories' statistics differ from what is there:\n{counted[0]}{counted[1]}")


def check_all_goes(volume, tree, model):
    """With the last name the last inode and the last block go too."""
    for path, node in reversed(list(model.walk())):
        (tree.rmdir if node.kind == "dir" else tree.unlink)(path)
    check_counters(volume, tree, (0, 0))
    wait_for(lambda: not blocks(volume), "for blocks that no file has any more to be deleted")
