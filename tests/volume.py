"""A volume and a mount of its own in a temporary directory, for the black-box tests in Python."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import engines


def program(name):
    """The absolute path of a client; any with JuiceFS's command line works."""
    return shutil.which(name) or sys.exit(f"there is no program {name}; build it first")


def make_key(path, *words):
    subprocess.run(["openssl", "genpkey", "-out", path, *words], check=True, capture_output=True)
    return path


def rsa_key(path, secret=None):
    """Makes a key for --encrypt-rsa-key of `format`."""
    locked = ["-aes-256-cbc", "-pass", f"pass:{secret}"] if secret else []
    return make_key(path, "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", *locked)


class Mount:
    """One mount of a volume, on the folder `name` of its work folder, with a log of its own. The environment's MOUNT_OPTS come
    last among its options."""

    def __init__(self, volume, name="mnt"):
        self.volume = volume
        self.point = volume.work / name
        self.log = volume.work / f"{name.replace('mnt', 'mount')}.log"
        self.point.mkdir()

    def start(self, *options):
        # What a cache keeps shall not depend on how full the machine's disk is.
        return self.volume.run("mount", "-d", "--log", self.log, "--no-syslog", "--cache-dir", self.volume.work / "cache",
                               "--free-space-ratio", "0", *options, *os.environ.get("MOUNT_OPTS", "").split(), self.volume.url, self.point)

    def pids(self):
        found = subprocess.run(["pgrep", "-f", f"^{self.volume.binary} mount .*{self.point}$"], capture_output=True, text=True)
        return [int(pid) for pid in found.stdout.split()]

    def mounted(self):
        return f" {self.point} " in pathlib.Path("/proc/self/mounts").read_text()

    def unmount(self, limit=30):
        """As a user does; returns when the process has stored everything and gone."""
        end = time.time() + limit
        while self.mounted() or self.pids():
            if self.mounted():
                subprocess.run(["umount", self.point], capture_output=True)
            if time.time() > end:
                raise RuntimeError("the mount does not end")
            time.sleep(0.02)

    def kill(self):
        """As a crash does: the process is gone, the dead mount is taken away."""
        for pid in self.pids():
            os.kill(pid, signal.SIGKILL)
        while self.pids():
            time.sleep(0.02)
        while self.mounted():
            subprocess.run(["umount", "-l", self.point], capture_output=True)


class Volume:
    """`work` holds data/ (the bucket), cache/, mnt/, mount.log and metadata in files; close() ends all mounts and removes all
    of it, the engine's server too, which is the volume's own. What is said of "the" mount is the first of `mounts`."""

    def __init__(self, binary, prefix="ciderfs-test.", engine="sqlite"):
        self.binary = binary
        self.work = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
        self.bucket = self.work / "data"
        self.engine = engines.start(engine, self.work)
        self.url = self.engine.url()
        self.database = self.work / "meta.db"  # of SQLite
        self.mounts = [Mount(self)]
        self.point = self.mounts[0].point
        self.log = self.mounts[0].log

    def run(self, *words, check=True):
        result = subprocess.run([self.binary, *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if check and result.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, words))}: {result.stderr}")
        return result

    def format(self, *options, name="test-vol"):
        return self.run("format", "--storage", "file", "--bucket", self.bucket, "--trash-days", "0", *options, self.url, name)

    def mount(self, *options):
        return self.mounts[0].start(*options)

    def mount_times(self, count, *options):
        """Mounts the volume `count` times at once; returns the mounts."""
        self.mounts += [Mount(self, f"mnt{n + 1}") for n in range(len(self.mounts), count)]
        for mount in self.mounts[:count]:
            mount.start(*options)
        return self.mounts[:count]

    def pids(self):
        return self.mounts[0].pids()

    def mounted(self):
        return self.mounts[0].mounted()

    def unmount(self, limit=30):
        self.mounts[0].unmount(limit)

    def kill(self):
        self.mounts[0].kill()

    def close(self, keep=False):
        for mount in self.mounts:
            mount.kill()
        self.engine.stop()
        if keep:
            print(f"left for a look: {self.work}")
        else:
            shutil.rmtree(self.work)
