"""Encrypted and compressed volumes: keys and passphrases that are missing or wrong, objects that were altered."""
import contextlib
import errno
import os

from volume import make_key, rsa_key

from .harness import bare, blocks_of, case, execute, expect, fails_with, new_mount, new_volume, read_fresh, refused, write_synced

SECRET = "open sesame"


@contextlib.contextmanager
def passphrase(value):
    """What is in JFS_RSA_PASSPHRASE; None: nothing."""
    before = os.environ.pop("JFS_RSA_PASSPHRASE", None)
    if value is not None:
        os.environ["JFS_RSA_PASSPHRASE"] = value
    try:
        yield
    finally:
        os.environ.pop("JFS_RSA_PASSPHRASE", None)
        if before is not None:
            os.environ["JFS_RSA_PASSPHRASE"] = before


@case
def bad_keys():
    with bare() as volume, passphrase(None):
        new = [volume.url, "new-vol", "--bucket", volume.bucket, "--encrypt-rsa-key"]
        (volume.work / "empty").touch()
        (volume.work / "garbage").write_bytes(os.urandom(3000))
        curve = make_key(volume.work / "curve.pem", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        locked = rsa_key(volume.work / "locked.pem", SECRET)
        for path, says in ((volume.work / "none.pem", "none.pem"), (volume.work / "empty", "empty"), (volume.work, str(volume.work)),
                           (volume.work / "garbage", "PEM"), (curve, "RSA"), (locked, "JFS_RSA_PASSPHRASE")):
            refused(volume, "format", *new, path, says=[says])
        with passphrase("wrong"):
            refused(volume, "format", *new, locked, says=["JFS_RSA_PASSPHRASE"])
        expect(not volume.database.exists() and not blocks_of(volume), "something was made")


@case
def lost_passphrase():
    with bare() as volume, passphrase(SECRET):
        volume.format("--encrypt-rsa-key", rsa_key(volume.work / "key.pem", SECRET), "--compress", "zstd")
        for wrong in (None, "", "wrong", SECRET + " "):
            with passphrase(wrong):
                refused(volume, "mount", "-d", "--log", volume.log, volume.url, volume.point, says=["JFS_RSA_PASSPHRASE"])
                expect(not volume.mounted(), "mounted")
        volume.mount()
        write_synced(volume.point / "file", b"text " * 100_000)
        volume.unmount()
        expect(not any(b"text text" in path.read_bytes() for path in blocks_of(volume)), "an object is not encrypted")
        volume.mount()
        expect(read_fresh(volume.point / "file") == b"text " * 100_000, "read differently")
        volume.unmount()


@case
def key_of_a_volume_stays():
    with bare() as volume, passphrase(None):
        key, other = rsa_key(volume.work / "key.pem"), rsa_key(volume.work / "other.pem")
        volume.format("--encrypt-rsa-key", key)
        volume.format("--encrypt-rsa-key", key)  # the same again
        refused(volume, "format", volume.url, "test-vol", "--encrypt-rsa-key", other, says=["key can't be changed"])
        refused(volume, "format", volume.url, "test-vol", "--encrypt-algo", "chacha20-rsa", "--encrypt-rsa-key", key,
                says=["can't be changed"])
        setting = execute(volume, "SELECT value FROM jfs_setting WHERE name = 'format'")[0][0]
        expect("PRIVATE KEY" not in str(setting), "the key is in the database as it is")
        expect("PRIVATE KEY" not in volume.run("config", volume.url).stdout, "the key is shown")
    with new_volume() as volume:
        refused(volume, "format", volume.url, "test-vol", "--encrypt-rsa-key", rsa_key(volume.work / "key.pem"), says=["not encrypted"])


@case
def encrypted_cache_needs_a_key():
    with new_volume() as volume:
        refused(volume, "mount", "-d", "--log", volume.log, "--cache-dir", volume.work / "cache", "--encrypt-cache", volume.url, volume.point,
                says=["--encrypt-cache", "--encrypt-rsa-key"])
        expect(not volume.mounted() and not (volume.work / "cache").exists(), "mounted, or something was made")


def altered(*format_options):
    """Any object with a bit flipped or cut off answers EIO and is named in the log; the others are read."""
    with new_mount(format_options=format_options) as volume:
        contents = {}
        for number in range(6):
            known = set(blocks_of(volume))
            contents[number] = os.urandom(50_000 + number) + bytes(50_000)
            write_synced(volume.point / f"file{number}", contents[number])
            path, = set(blocks_of(volume)) - known
            whole = path.read_bytes()
            if number == 0:
                path.write_bytes(whole[:-1])
            elif number == 1:
                path.write_bytes(b"")
            elif number == 2:
                path.write_bytes(whole[:3] + bytes(len(whole) - 3))
            elif number == 3:
                path.write_bytes(whole + bytes(200_000))
            else:
                continue
            volume.unmount()
            volume.mount("--io-retries", "2", "--cache-size", "0")
            with fails_with(errno.EIO):
                read_fresh(volume.point / f"file{number}")
            expect(path.name in volume.log.read_text(), f"the log does not name {path.name}")
        for number in (4, 5):
            expect(read_fresh(volume.point / f"file{number}") == contents[number], "read differently")


@case
def altered_lz4():
    altered("--compress", "lz4")


@case
def altered_zstd():
    altered("--compress", "zstd")


@case
def altered_encrypted():
    with bare() as folder, passphrase(None):
        altered("--encrypt-rsa-key", rsa_key(folder.work / "key.pem"))
