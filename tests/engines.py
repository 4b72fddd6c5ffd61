#!/usr/bin/env python3
"""The servers behind the metadata engines, for the black-box tests: each of its own, in a temporary folder, on a free port of
the loopback interface or a unix socket.

usage: engines.py ENGINE FOLDER     starts one for a shell script: writes the pattern of META URLs to FOLDER/engine.url when it
                                    is ready, and ends the server when it is told to end itself

In a pattern {name} stands for a volume's name and {n} for a number from 0 to 3, another for each volume.
"""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

VOLUMES = 4
NAME = "cider"      # user and password of the SQL servers
LIMIT = 60          # seconds for a start


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Engine:
    """Without a server: the volumes lie in files of the test's folder."""

    def __init__(self, folder, pattern, durable=False):
        self.folder = pathlib.Path(folder)
        self.pattern = pattern.replace("{folder}", str(folder))

    def url(self, name="meta", number=0):
        return self.pattern.replace("{name}", name).replace("{n}", str(number))

    def stop(self):
        pass


class Server(Engine):
    """Runs `self.process` in `self.home`, a temporary folder of its own. `durable`: what was committed is on the disk, as servers
    have it who are not told otherwise."""

    def __init__(self, folder, pattern, durable=False):
        self.durable = durable
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="ciderfs-engine."))
        self.user = None
        self.port = free_port()
        super().__init__(folder, pattern.replace("{home}", str(self.home)).replace("{port}", str(self.port)))
        self.log = open(self.home / "log", "wb")
        self.process = None
        try:
            self.prepare()
            self.process = self.start()
            self.wait_until_ready()
        except BaseException:
            print((self.home / "log").read_text(errors="replace")[-2000:], file=sys.stderr)
            self.stop()
            raise

    def prepare(self):
        pass

    def start(self):
        return self.spawn(*self.command())

    def spawn(self, *words):
        return subprocess.Popen(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, user=self.user)

    def run(self, *words, check=True):
        return subprocess.run(list(map(str, words)), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, user=self.user,
                              check=check).returncode == 0

    def wait_until_ready(self):
        end = time.time() + LIMIT
        while not self.ready():
            if self.process.poll() is not None or time.time() > end:
                raise RuntimeError(f"{self.process.args[0]} does not start")
            time.sleep(0.05)

    def kill(self):
        """As a crash does; restart() begins anew with what was on the disk."""
        self.process.kill()
        self.process.wait()

    def restart(self):
        self.process = self.start()
        self.wait_until_ready()

    def stop(self):
        if self.process:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.home, ignore_errors=True)


class Redis(Server):
    def command(self):
        return ["redis-server", "--port", 0, "--unixsocket", self.home / "redis.sock", "--dir", self.home, "--save", "",
                "--appendonly", "yes"]

    def ready(self):
        # After a kill the socket's file is still there.
        ping = subprocess.run(["redis-cli", "-s", self.home / "redis.sock", "ping"], capture_output=True, text=True)
        return ping.stdout.strip() == "PONG"

    def cli(self, *words, number=0):
        return subprocess.run(["redis-cli", "-s", self.home / "redis.sock", "-n", str(number), *map(str, words)],
                              capture_output=True, text=True, check=True).stdout


class Postgres(Server):
    """It refuses to run as root."""

    def prepare(self):
        found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
        self.programs = found[-1] if found else pathlib.Path(shutil.which("postgres") or "/no/postgres").parent
        if os.getuid() == 0:
            self.user = "postgres" if "postgres" in {entry.pw_name for entry in pwd.getpwall()} else "nobody"
            shutil.chown(self.home, self.user)
        password = self.home / "password"
        password.write_text(NAME)
        password.chmod(0o644)
        self.run(self.programs / "initdb", "-D", self.home / "data", "-U", NAME, "-A", "md5", "--pwfile", password, "--no-sync")

    def command(self):
        return [self.programs / "postgres", "-D", self.home / "data", "-p", self.port, "-k", self.home, "-c", "listen_addresses=127.0.0.1",
                "-c", f"fsync={'on' if self.durable else 'off'}"]

    def ready(self):
        if not self.run(self.programs / "pg_isready", "-q", "-h", self.home, "-p", self.port, check=False):
            return False
        for n in range(VOLUMES):
            self.sql(f"CREATE DATABASE meta{n}", check=False)
        return True

    def sql(self, statement, number=None, check=True):
        database = "postgres" if number is None else f"meta{number}"
        where = f"postgresql://{NAME}:{NAME}@127.0.0.1:{self.port}/{database}"
        return self.run(self.programs / "psql", "-q", where, "-c", statement, check=check)


class Mysql(Server):
    """MariaDB, or the MySQL that CIDER_MYSQL_SERVER names (`scripts/test.sh mysql` fetches it), its first data beside it."""

    def prepare(self):
        self.user = None if os.getuid() != 0 else "root"
        named = os.environ.get("CIDER_MYSQL_SERVER")
        if named:
            folder = pathlib.Path(named).parent
            shutil.copytree(folder / "data/mysql", self.home / "data")
            self.program = [named, "--no-defaults", f"--basedir={folder}", f"--lc-messages-dir={folder}/share"]
            return
        self.program = [shutil.which("mariadbd") or "/usr/sbin/mariadbd", "--no-defaults"]
        # A server that starts removes temporary tables that it finds, also those of another.
        self.run("env", f"TMPDIR={self.home}", "mariadb-install-db", "--no-defaults", f"--datadir={self.home}/data",
                 "--auth-root-authentication-method=normal", "--skip-test-db", *self.as_root())

    def as_root(self):
        return ["--user=root"] if os.getuid() == 0 else []

    def command(self):
        return [*self.program, f"--datadir={self.home}/data",
                f"--tmpdir={self.home}", f"--socket={self.home}/sock", f"--port={self.port}", "--bind-address=127.0.0.1",
                f"--pid-file={self.home}/pid", f"--innodb-flush-log-at-trx-commit={1 if self.durable else 2}", *self.as_root()]

    def ready(self):
        statements = [f"CREATE DATABASE IF NOT EXISTS meta{n};" for n in range(VOLUMES)]
        statements += [f"GRANT ALL ON *.* TO '{NAME}'@'127.0.0.1' IDENTIFIED BY '{NAME}';"]
        return self.run("mariadb", "--no-defaults", f"--socket={self.home}/sock", "-u", "root", "-e", " ".join(statements), check=False)


class Tidb(Server):
    """With its storage in memory; `scripts/test.sh tidb` builds it."""

    def command(self):
        program = os.environ.get("CIDER_TIDB_SERVER") or pathlib.Path(__file__).resolve().parent.parent / "build/tools/bin/tidb-server"
        # It also writes into the folder that it starts in.
        return ["env", "-C", self.home, program, "-store", "unistore", "-path", "", "-host", "127.0.0.1", "-P", self.port,
                "-report-status=false", "-lease", "0s", "-socket", self.home / "sock", "-log-file", self.home / "log"]

    def ready(self):
        statements = " ".join(f"CREATE DATABASE IF NOT EXISTS meta{n};" for n in range(VOLUMES))
        return self.run("mariadb", "--no-defaults", "-h", "127.0.0.1", "-P", self.port, "-u", "root", "-e", statements, check=False)


class Etcd(Server):
    def prepare(self):
        self.peer = free_port()

    def command(self):
        here = f"http://127.0.0.1:{self.port}"
        return ["etcd", "--data-dir", self.home / "data", "--listen-client-urls", here, "--advertise-client-urls", here,
                "--listen-peer-urls", f"http://127.0.0.1:{self.peer}", *([] if self.durable else ["--unsafe-no-fsync"])]

    def ready(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=1) as answer:
                return b"true" in answer.read()
        except OSError:
            return False


class Tikv(Server):
    """TiKV and its placement driver in one process, built by `scripts/test.sh servers`."""

    def command(self):
        program = os.environ.get("CIDER_TIKV_SERVER") or pathlib.Path(__file__).parent.parent / "build/tools/bin/tikv-server"
        return [program, f"127.0.0.1:{self.port}", self.home / "data"]

    def ready(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


ENGINES = {
    "sqlite": (Engine, "sqlite3://{folder}/{name}.db"),
    "redis": (Redis, "unix://{home}/redis.sock?db={n}"),
    "postgres": (Postgres, f"postgres://{NAME}:{NAME}@127.0.0.1:{{port}}/meta{{n}}?sslmode=disable"),
    "mysql": (Mysql, f"mysql://{NAME}:{NAME}@(127.0.0.1:{{port}})/meta{{n}}"),
    "tidb": (Tidb, "mysql://root@(127.0.0.1:{port})/meta{n}"),
    "rocksdb": (Engine, "rocksdb://{folder}/{name}.rocks"),
    "tikv": (Tikv, "tikv://127.0.0.1:{port}/meta{n}"),
    "etcd": (Etcd, "etcd://127.0.0.1:{port}/meta{n}"),
}
# One process at a time may open the volume.
SINGLE_PROCESS = {"rocksdb"}


def start(engine, folder, durable=False):
    kind, pattern = ENGINES[engine]
    return kind(folder, pattern, durable)


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ENGINES:
        sys.exit(f"usage: engines.py {'|'.join(ENGINES)} FOLDER")
    folder = pathlib.Path(sys.argv[2])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    engine = start(sys.argv[1], folder)
    try:
        (folder / "engine.tmp").write_text(engine.pattern)
        (folder / "engine.tmp").rename(folder / "engine.url")
        signal.pause()
    finally:
        engine.stop()


if __name__ == "__main__":
    main()
