"""Clients with JuiceFS's command line, as the comparisons run them."""
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")


def run(*command, **options):
    return subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True, **options)


class MemoryWatch(threading.Thread):
    """Samples the resident memory of a mount ten times a second."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.samples, self.ended = client, [], threading.Event()
        self.began = time.monotonic()

    def run(self):
        while not self.ended.wait(0.1):
            kib = self.client.resident()
            if kib:
                self.samples.append((round(time.monotonic() - self.began, 1), kib // 1024))


class Client:
    def __init__(self, name, program, options, folder):
        self.name, self.program, self.options = name, os.path.abspath(program), options
        self.folder = pathlib.Path(folder)
        self.mount_point = self.folder / "mnt"
        self.cache = self.folder / "cache"
        self.mount_point.mkdir(parents=True)

    def format(self, arguments):
        store = ["--bucket", arguments.bucket or self.folder / "data/"]
        if arguments.storage != "file":
            store += ["--access-key", arguments.access_key, "--secret-key", arguments.secret_key]
        run(self.program, "format", "--storage", arguments.storage, *store, "--trash-days", "0", *arguments.format_opts,
            arguments.meta, f"bench-{self.name}-{os.getpid()}-{int(time.time())}")

    def mount(self, arguments, *more):
        run(self.program, "mount", "-d", arguments.meta, self.mount_point, "--cache-dir", self.cache,
            "--log", self.folder / "log", *self.options, *more)
        for _ in range(200):
            if os.path.ismount(self.mount_point):
                return
            time.sleep(0.05)
        sys.exit(f"{self.name}: not mounted")

    def unmount(self):
        pids = self.pids()
        run("umount", self.mount_point)
        for _ in range(1200):
            if not any(os.path.exists(f"/proc/{pid}") for pid in pids):
                return
            time.sleep(0.05)

    def remount(self, arguments, *more, keep_cache=False):
        self.unmount()
        if not keep_cache:
            shutil.rmtree(self.cache, ignore_errors=True)
        run("sh", "-c", "sync; echo 3 > /proc/sys/vm/drop_caches")
        self.mount(arguments, *more)

    def pids(self):
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            try:
                # A client that renames its process leaves one string with blanks.
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").split() if entry.name.isdigit() else []
            except OSError:
                continue
            if len(line) > 2 and line[0].decode() == self.program and str(self.mount_point).encode() in line:
                found.append(int(entry.name))
        return found

    def _sum(self, read):
        total = 0
        for pid in self.pids():
            try:
                total += read(pid)
            except OSError:
                pass
        return total

    def ticks(self):
        def of(pid):
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
            return int(fields[11]) + int(fields[12])
        return self._sum(of)

    def resident(self):
        def of(pid):
            for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    return int(line.split()[1])
            return 0
        return self._sum(of)

    def requests(self, method):
        """How many requests of a kind the mount has made, as its .stats tells."""
        total = 0.0
        for line in (self.mount_point / ".stats").read_text().splitlines():
            name, _, value = line.partition(" ")
            if name.startswith("juicefs_object_request_durations_histogram_seconds") and method in name and "total" in name:
                total += float(value)
        return int(total)
