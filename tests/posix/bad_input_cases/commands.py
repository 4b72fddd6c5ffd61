"""What a command is given: databases, formats, names, options, mount points."""
import os
import time

from .harness import bare, case, execute, expect, new_volume, refused, works


@case
def missing_database():
    with bare() as volume:
        for command in (["status", volume.url], ["mount", "-d", "--log", volume.log, volume.url, volume.point],
                        ["config", volume.url], ["destroy", volume.url, "00000000-0000-0000-0000-000000000000"]):
            refused(volume, *command, says=[str(volume.database)])
        expect(not volume.database.exists(), "a database was made")
        refused(volume, "format", f"sqlite3://{volume.work}/no/such/folder/x.db", "vol", says=["no/such/folder"])


@case
def foreign_database():
    with bare() as volume:
        execute(volume, "CREATE TABLE customers (id INTEGER)")
        before = volume.database.read_bytes()
        for command in (["status", volume.url], ["mount", "-d", "--log", volume.log, volume.url, volume.point]):
            refused(volume, *command, says=[str(volume.database), "holds no volume"])
        expect(volume.database.read_bytes() == before, "the database was changed")


@case
def no_database_at_all():
    with bare() as volume:
        volume.database.write_bytes(b"Dear diary,\n" * 1000)
        for command in (["status", volume.url], ["mount", "-d", "--log", volume.log, volume.url, volume.point],
                        ["format", "--bucket", volume.bucket, volume.url, "vol"]):
            refused(volume, *command, says=["not a database"])
        expect(volume.database.read_bytes() == b"Dear diary,\n" * 1000, "the file was changed")


@case
def damaged_database():
    with new_volume() as volume:
        size = volume.database.stat().st_size
        with open(volume.database, "r+b") as file:
            file.seek(100)
            file.write(os.urandom(size - 100))
        for command in (["status", volume.url], ["mount", "-d", "--log", volume.log, volume.url, volume.point]):
            refused(volume, *command, says=["malformed"])


@case
def newer_format():
    with new_volume() as volume:
        setting = execute(volume, "SELECT value FROM jfs_setting WHERE name = 'format'")[0][0]
        for change, says in (((b'"MetaVersion": 1', b'"MetaVersion": 9'), ["9"]),
                             ((b'"MinClientVersion": "', b'"MinClientVersion": "9'), ["none below 9"])):
            text = setting if isinstance(setting, bytes) else setting.encode()
            expect(change[0] in text, f"no {change[0]} in {text}")
            newer = text.replace(*change)
            execute(volume, "UPDATE jfs_setting SET value = ? WHERE name = 'format'", newer.decode())
            for command in (["status", volume.url], ["mount", "-d", "--log", volume.log, volume.url, volume.point],
                            ["config", volume.url, "--trash-days", "3"],
                            ["format", "--bucket", volume.bucket, volume.url, "test-vol"]):
                refused(volume, *command, says=says)
            now = execute(volume, "SELECT value FROM jfs_setting WHERE name = 'format'")[0][0]
            expect((now if isinstance(now, bytes) else now.encode()) == newer, "the setting was changed")


@case
def setting_that_does_not_decode():
    with new_volume() as volume:
        for text in ("", "{", "[]", '{"Name": 7}', "\x00\xff" * 50):
            execute(volume, "UPDATE jfs_setting SET value = ? WHERE name = 'format'", text)
            for command in (["status", volume.url], ["mount", "-d", "--log", volume.log, volume.url, volume.point]):
                refused(volume, *command, says=["setting"])


@case
def volume_names():
    with bare() as volume:
        for name in ("", "ab", "Upper", "with space", "dot.ted", "slash/ed", "..", "-dash", "dash-", "x" * 64, "ä" * 5, "new\nline"):
            refused(volume, "format", "--bucket", volume.bucket, volume.url, "--", name, says=["name"])
            expect(not volume.database.exists() and not volume.bucket.exists(), f"format with the name {name!r} left something")


@case
def block_sizes():
    with bare() as volume:
        for size in ("0", "1", "32K", "17M", "1G", "-4M", "4X", "", "1e3", "99999999999999999999"):
            refused(volume, "format", "--block-size", size, "--bucket", volume.bucket, volume.url, "vol", says=["block-size"])
            expect(not volume.database.exists(), f"format with the block size {size} left a database")


@case
def urls():
    with bare() as volume:
        for url in ("", "meta.txt", "://", "sqlite3://", "redis://127.0.0.1:1/1", "redis://127.0.0.1/x", "http://127.0.0.1/", "sqlite3:///\n", "memory"):
            refused(volume, "status", url, says=[])
            refused(volume, "mount", "-d", "--log", volume.log, url, volume.point, says=[])
        refused(volume, "status", "redis://127.0.0.1:1/1", says=["127.0.0.1:1", "refused"])
        refused(volume, "status", "http://127.0.0.1/", says=["redis", "sqlite3"])
        refused(volume, "format", "--storage", "gs", "--bucket", "gs://b", volume.url, "vol", says=["gs", "file"])
        expect(not volume.database.exists(), "a database was made")


@case
def options():
    with new_volume() as volume:
        for words, says in ((["--no-such-option"], "no-such-option"), (["--buffer-size", "much"], "buffer-size"),
                            (["--buffer-size", "1"], "buffer-size"), (["--attr-cache", "-1"], "attr-cache"),
                            (["--umask", "99"], "umask"), (["-o", "no_such_word"], "no_such_word"),
                            (["-o", "io_uring", "--max-fuse-io", "64K"], "max-fuse-io"),
                            (["--cache-eviction", "fifo"], "cache-eviction"), (["--heartbeat", "0"], "heartbeat"),
                            (["--subdir", "../.."], "subdir")):
            refused(volume, "mount", "-d", "--log", volume.log, *words, volume.url, volume.point, says=[says])
        expect(not volume.mounted(), "something is mounted")


@case
def exit_codes():
    """2 for what is wrong with the command line itself, 1 for what failed."""
    with new_volume() as volume:
        new = [f"sqlite3://{volume.work}/new.db", "new-vol", "--bucket", volume.work / "new"]
        mount = ["mount", "-d", "--log", volume.log, volume.url, volume.point]
        for words in ([], ["no-such-command"], ["help", "no-such-command"], ["status"], ["status", volume.url, "more"],
                      ["status", volume.url, "--no-such-option"], ["status", volume.url, "--session", "-1"],
                      ["status", volume.url, "--session", "x"], ["status", "http://127.0.0.1/"], ["status", "redis://127.0.0.1/x"],
                      ["format", *new, "--block-size", "5K"], ["format", *new, "--trash-days", "-1"], ["format", *new, "--inodes", "-1"],
                      ["format", *new, "--compress", "gzip"], ["format", *new, "--encrypt-algo", "chacha20-rsa"],
                      ["format", *new, "--encrypt-algo", "sm4gcm"], ["format", *new, "--storage", "s4"], ["format", new[0], "UPPER"],
                      ["format", *new, "--shards", "4"], ["config", volume.url, "--trash-days", "100001"],
                      ["config", volume.url, "--min-client-version", "new"], ["config", volume.url, "--storage", "s4"],
                      [*mount, "--heartbeat", "0"], [*mount, "--buffer-size", "1"], [*mount, "--umask", "99"], [*mount, "-o", "nonsense"],
                      [*mount, "-o", "remount"], [*mount, "--subdir", ".."], [*mount, "--max-uploads", "0"], [*mount, "--upload-hours", "25,1"],
                      ["summary", "--depth", "11", volume.point], ["rmr", "--threads", "0", volume.point], ["info", "-i", "x"],
                      ["umount"], ["gc"], ["gc", volume.url, volume.point], ["gc", volume.url, "--threads", "0"],
                      ["gc", volume.url, "--threads", "x"], ["gc", "http://127.0.0.1/"], ["gc", volume.url, "--dry-run"]):
            refused(volume, *words, says=[], code=2)
        for words in (["status", f"sqlite3://{volume.work}/none.db"], ["destroy", volume.url, "x"], ["format", volume.url, "another"],
                      ["config", volume.url, "--min-client-version", "0.1"], [*mount[:-1], volume.work / "none"],
                      ["umount", volume.point], ["info", volume.work], ["rmr", volume.work / "none"], ["summary", volume.work],
                      ["gc", f"sqlite3://{volume.work}/none.db"]):
            refused(volume, *words, says=[], code=1)
        expect(not volume.mounted() and not (volume.work / "new.db").exists(), "something was made")


# --- mount points

@case
def mount_points():
    with new_volume() as volume:
        log = ["--log", volume.log]
        refused(volume, "mount", "-d", *log, volume.url, volume.work / "absent", says=["absent", "no such directory"])
        (volume.work / "file").write_text("x")
        refused(volume, "mount", "-d", *log, volume.url, volume.work / "file", says=["not a directory"])
        (volume.point / "something").write_text("x")
        refused(volume, "mount", "-d", *log, volume.url, volume.point, says=["not empty", "nonempty"])
        volume.mount("-o", "nonempty")
        volume.unmount()
        (volume.point / "something").unlink()
        volume.mount()
        again = volume.run("mount", "-d", *log, volume.url, volume.point)
        expect("mounted there already" in again.stderr + again.stdout, again.stderr)
        expect(len(volume.pids()) == 1, "the volume was mounted twice on one place")
        with new_volume() as other:
            refused(other, "mount", "-d", *log, other.url, volume.point, says=["mounted there already"])
        works(volume)
        for pid in volume.pids():
            os.kill(pid, 9)
        while volume.pids():
            time.sleep(0.02)
        (volume.work / "link").symlink_to(volume.work)
        volume.run("mount", "-d", *log, "--no-syslog", volume.url, f"{volume.work}/link/mnt/")  # a dead mount is replaced
        works(volume)
        lines = [line for line in open("/proc/self/mounts") if f" {volume.point} " in line]
        expect(len(lines) == 1, f"the dead mount is still there: {lines}")
        volume.run("umount", "--flush", volume.point)
        refused(volume, "umount", volume.work / "absent", says=["absent"])


@case
def log_file_that_cannot_be_written():
    with new_volume() as volume:
        refused(volume, "mount", "-d", "--log", "/proc/no/log", volume.url, volume.point, says=["/proc/no/log", "--log"])
        expect(not volume.mounted(), "mounted without a log")
