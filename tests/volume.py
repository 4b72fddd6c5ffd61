"""A volume and a mount of its own in a temporary directory, for the black-box tests in Python."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time


def program(name):
    """The absolute path of a client; any with JuiceFS's command line works."""
    return shutil.which(name) or sys.exit(f"there is no program {name}; build it first")


def start_redis(folder):
    """A redis-server of its own that keeps its files in `folder`: the process and its unix socket."""
    socket = folder / "redis.sock"
    server = subprocess.Popen(["redis-server", "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", "",
                               "--appendonly", "yes"], stdout=subprocess.DEVNULL)
    while not socket.exists():
        if server.poll() is not None:
            raise RuntimeError("redis-server does not start")
        time.sleep(0.02)
    return server, socket


class Volume:
    """`work` holds meta.db, data/ (the bucket), mnt/ and mount.log; close() ends the mount and removes all of it.

    With the engine redis the metadata is in a redis-server of its own, which close() ends too."""

    def __init__(self, binary, prefix="ciderfs-test.", engine="sqlite"):
        self.binary = binary
        self.work = pathlib.Path(tempfile.mkdtemp(prefix=prefix))
        self.point = self.work / "mnt"
        self.bucket = self.work / "data"
        self.database = self.work / "meta.db"
        self.url = f"sqlite3://{self.database}"
        self.log = self.work / "mount.log"
        self.point.mkdir()
        self.server = None
        if engine == "redis":
            self.server, socket = start_redis(self.work)
            self.url = f"unix://{socket}?db=1"

    def run(self, *words, check=True):
        result = subprocess.run([self.binary, *map(str, words)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if check and result.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, words))}: {result.stderr}")
        return result

    def format(self, *options, name="test-vol"):
        return self.run("format", "--storage", "file", "--bucket", self.bucket, "--trash-days", "0", *options, self.url, name)

    def mount(self, *options):
        return self.run("mount", "-d", "--log", self.log, "--no-syslog", *options, self.url, self.point)

    def pids(self):
        found = subprocess.run(["pgrep", "-f", f"^{self.binary} mount .*{self.point}"], capture_output=True, text=True)
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

    def close(self, keep=False):
        self.kill()
        if self.server:
            self.server.terminate()
            self.server.wait()
        if keep:
            print(f"left for a look: {self.work}")
        else:
            shutil.rmtree(self.work)
