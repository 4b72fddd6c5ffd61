"""Storages by name, address and keys: what is wrong is said at once, without the secret, and nothing is left behind."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import time

from .harness import bare, binary, case, expect, new_volume, read_fresh, refused, works, write_synced

PASSWORD = "very-secret-word"
AT_ONCE = 20  # seconds, far from the minutes that retries would take


def free_port():
    with contextlib.closing(socket.socket()) as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Redis:
    """A redis-server with a password on a port of its own."""

    def __init__(self, folder):
        self.folder, self.port, self.process = folder, free_port(), None
        self.bucket = f"redis://127.0.0.1:{self.port}/3"
        self.start()

    def start(self):
        self.process = subprocess.Popen(["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
                                         "--appendonly", "yes", "--requirepass", PASSWORD], stdout=subprocess.DEVNULL)
        for _ in range(500):
            with contextlib.closing(socket.socket()) as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise RuntimeError("redis-server does not start")

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
        self.process = None


@contextlib.contextmanager
def redis_store():
    with bare() as volume:
        redis = Redis(volume.work)
        try:
            yield volume, redis
        finally:
            redis.stop()


def at_once(function, *arguments, **named):
    began = time.time()
    function(*arguments, **named)
    expect(time.time() - began < AT_ONCE, f"{arguments}: not told at once")


def format_words(volume, storage, bucket, *more):
    return ["format", "--storage", storage, "--bucket", bucket, *more, volume.url, "vol"]


@case
def storage_that_is_not_there():
    with bare() as volume:
        for storage, says in (("s4", ["\"s4\"", "not known", "file", "redis"]), ("gs", ["\"gs\"", "not supported yet", "file"]),
                              ("hdfs", ["not supported yet"]), ("", ["not known"])):
            refused(volume, *format_words(volume, storage, "somewhere"), says=says, code=2)
        expect(not volume.database.exists(), "a database was made")
    with new_volume() as volume:
        for words in (["config", volume.url, "--storage", "ceph"], ["mount", "-d", "--storage", "ceph", volume.url, volume.point]):
            refused(volume, *words, says=["ceph", "not supported yet"], code=2)


@case
def bucket_that_is_no_address():
    with bare() as volume:
        for storage, bucket, says in (
                ("redis", "/var/data", ["redis://"]), ("redis", "rediss://h/1?tls-ca=x", ["tls-ca"]), ("redis", "redis://a,b:1/1", ["Sentinel"]),
                ("redis", f"redis://:{PASSWORD}@h/x", ["\"x\""]), ("sftp", "host", ["HOST:[PORT:]PATH/"]),
                ("sftp", "host:path", ["end in /"]), ("sqlite3", "/", ["file"])):
            refused(volume, *format_words(volume, storage, bucket), says=says)
            output = volume.run(*format_words(volume, storage, bucket), check=False).stderr
            expect(PASSWORD not in output, f"the password is shown: {output}")
        refused(volume, *format_words(volume, "file", volume.bucket, "--shards", "4"), says=["%d"])
        refused(volume, *format_words(volume, "file", f"{volume.bucket}%d", "--shards", "257"), says=["256"], code=2)
        refused(volume, *format_words(volume, "file", volume.bucket, "--tag", "nothing"), says=["KEY=VALUE"], code=2)
        refused(volume, "mount", "--upload-limit", "much", volume.url, volume.point, says=["upload-limit", "much"], code=2)
        expect(not volume.database.exists(), "a database was made")


@case
def store_with_wrong_keys():
    with redis_store() as (volume, redis):
        for more in ((), ("--secret-key", "not-" + PASSWORD)):
            at_once(refused, volume, *format_words(volume, "redis", redis.bucket, *more), says=[redis.bucket])
            expect(PASSWORD not in volume.run(*format_words(volume, "redis", redis.bucket, *more), check=False).stderr, "a secret is shown")
        expect(not volume.database.exists(), "a volume was made")
        volume.format("--storage", "redis", "--bucket", redis.bucket, "--secret-key", PASSWORD)
        volume.mount()
        works(volume)
        volume.unmount()
        at_once(refused, volume, "config", volume.url, "--secret-key", "not-" + PASSWORD, says=[redis.bucket])
        volume.run("config", volume.url, "--secret-key", "not-" + PASSWORD, "--force")
        at_once(refused, volume, "mount", "-d", "--log", volume.log, volume.url, volume.point, says=[redis.bucket])


def minio_program():
    """In build/tools, where scripts/test.sh puts it, or in PATH."""
    for above in pathlib.Path(binary()).resolve().parents:
        if (above / "tools/bin/minio").exists():
            return above / "tools/bin/minio"
    return shutil.which("minio")


@case
def s3_with_wrong_keys_or_bucket():
    program = minio_program()
    if not program:
        print("      (there is no minio: nothing was tried)")
        return
    with bare() as volume:
        port = free_port()
        origin = f"http://127.0.0.1:{port}"
        environment = dict(os.environ, MINIO_ROOT_USER="test-user", MINIO_ROOT_PASSWORD=PASSWORD, MINIO_BROWSER="off")
        server = subprocess.Popen([program, "server", "--quiet", "--address", f"127.0.0.1:{port}", volume.work / "minio"], env=environment,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            good = ("--access-key", "test-user", "--secret-key", PASSWORD)
            made = volume.run(*format_words(volume, "minio", f"{origin}/there", *good), check=False)
            end = time.time() + 60
            while made.returncode != 0 and time.time() < end:  # it takes a moment to start
                time.sleep(0.2)
                made = volume.run(*format_words(volume, "minio", f"{origin}/there", *good), check=False)
            expect(made.returncode == 0, made.stderr)
            volume.mount()
            works(volume)
            volume.unmount()
            for wrong in (("--access-key", "nobody", "--secret-key", PASSWORD), ("--access-key", "test-user", "--secret-key", "not-" + PASSWORD)):
                words = ["format", "--storage", "minio", "--bucket", f"{origin}/other", *wrong, f"sqlite3://{volume.work}/other.db", "other"]
                at_once(refused, volume, *words, says=["127.0.0.1"])
                expect(PASSWORD not in volume.run(*words, check=False).stderr, "a secret is shown")
            expect(not (volume.work / "other.db").exists(), "a volume was made")
            at_once(refused, volume, "mount", "-d", "--log", volume.log, "--bucket", f"{origin}/none", volume.url, volume.point, says=["none"])
        finally:
            server.kill()
            server.wait()


@case
def store_that_is_unreachable():
    with bare() as volume:
        for storage, bucket in (("redis", f"redis://127.0.0.1:{free_port()}/0"), ("sftp", f"127.0.0.1:{free_port()}:/x/"),
                                ("redis", "redis://no-such-host.invalid/0"), ("sftp", "no-such-host.invalid:/x/")):
            at_once(refused, volume, *format_words(volume, storage, bucket), says=[bucket.removeprefix("redis://").split(":")[0].split("/")[0]])
        expect(not volume.database.exists(), "a volume was made")
    with redis_store() as (volume, redis):
        volume.format("--storage", "redis", "--bucket", redis.bucket, "--secret-key", PASSWORD)
        redis.stop()
        for more in ((), ("--check-storage",), ("--read-only",)):
            at_once(refused, volume, "mount", "-d", "--log", volume.log, *more, volume.url, volume.point, says=[redis.bucket])
        with contextlib.closing(socket.socket()) as silent:  # takes the connection and says nothing
            silent.bind(("127.0.0.1", redis.port))
            silent.listen()
            began = time.time()
            refused(volume, "mount", "-d", "--log", volume.log, volume.url, volume.point, says=[redis.bucket])
            expect(time.time() - began < 60, "the mount hung")
        redis.start()
        volume.mount()
        works(volume)
        volume.unmount()


@case
def secrets_stay_secret():
    with redis_store() as (volume, redis):
        environment = {"ACCESS_KEY": "default", "SECRET_KEY": PASSWORD}
        os.environ.update(environment)
        try:
            said = volume.format("--storage", "redis", "--bucket", redis.bucket)
        finally:
            for name in environment:
                del os.environ[name]
        volume.mount()
        works(volume)
        shown = said.stdout + said.stderr + volume.log.read_text()
        for words in (["config"], ["status"]):
            shown += volume.run(*words, volume.url).stdout
        shown += (volume.point / ".config").read_text()
        for pid in volume.pids():
            shown += pathlib.Path(f"/proc/{pid}/cmdline").read_text()
        expect('"AccessKey": "default"' in shown and "removed" in shown, f"the setting is not shown: {shown}")
        expect(PASSWORD not in shown, "the secret key is shown")
        expect(PASSWORD.encode() not in volume.database.read_bytes(), "the secret key is stored as it is")
        changed = volume.run("config", volume.url, "--secret-key", PASSWORD, "--session-token", "token-" + PASSWORD)
        expect("secret-key: updated" in changed.stdout and PASSWORD not in changed.stdout, changed.stdout)
        volume.unmount()


@case
def keys_and_limits_change_while_mounted():
    with redis_store() as (volume, redis):
        volume.format("--storage", "redis", "--bucket", redis.bucket, "--secret-key", PASSWORD)
        volume.mount("--heartbeat", "1s")
        write_synced(volume.point / "kept", b"k" * 300_000)
        cli = ["redis-cli", "-p", str(redis.port), "--no-auth-warning", "-a", PASSWORD]
        subprocess.run([*cli, "config", "set", "requirepass", "another"], check=True, stdout=subprocess.DEVNULL)
        volume.run("config", volume.url, "--secret-key", "another", "--upload-limit", "500", "--download-limit", "1.5G")
        for _ in range(100):
            if "storage has changed" in volume.log.read_text():
                break
            time.sleep(0.1)
        subprocess.run([*cli[:-1], "another", "client", "kill", "type", "normal"], check=True, stdout=subprocess.DEVNULL)
        works(volume)
        expect(read_fresh(volume.point / "kept") == b"k" * 300_000, "the file changed")
        shown = volume.run("config", volume.url).stdout
        expect('"UploadLimit": 500' in shown and '"DownloadLimit": 1500' in shown, shown)
        volume.unmount()


@case
def volumes_in_shards_and_databases():
    """Not wrong at all: they work, and a shard that is missing is named."""
    for storage, bucket, more in (("file", "{}/shard%d", ("--shards", "3")), ("sqlite3", "{}/objects.db", ())):
        with bare() as volume:
            volume.format("--storage", storage, "--bucket", bucket.format(volume.work), *more)
            volume.mount()
            content = os.urandom(9 << 20)
            write_synced(volume.point / "large", content)
            works(volume)
            volume.unmount()
            volume.mount()
            expect(read_fresh(volume.point / "large") == content, f"{storage}: the file changed")
            volume.unmount()
            if storage == "file":
                (volume.work / "shard1").rename(volume.work / "away")
            else:
                (volume.work / "objects.db").rename(volume.work / "away")
            refused(volume, "mount", "-d", "--log", volume.log, volume.url, volume.point, says=["does not exist"])
