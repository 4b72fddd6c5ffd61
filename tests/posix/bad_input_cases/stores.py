"""Stores that are away, read-only or full."""
import contextlib
import errno
import os
import random
import shutil
import subprocess
import time

from .harness import (
    MIB, bare, case, expect, fails_with, new_mount, new_volume, read_fresh, refused, remount, small_disk, visible,
    wait_for, works, write_in_background, write_synced,
)


@contextlib.contextmanager
def on_small_disk():
    """A mounted volume whose store is a file system of its own, without a cache; /kept is stored."""
    with bare() as volume, small_disk(volume.bucket, "64m"):
        volume.format()
        volume.mount("--io-retries", "2", "--cache-size", "0")
        write_synced(volume.point / "kept", b"k" * MIB)
        yield volume


def make(bucket, mode):
    """The store's file system read-only ("ro") or writable again ("rw")."""
    subprocess.run(["mount", "-o", f"remount,{mode}", bucket], check=True)


@case
def store_gone_and_back():
    with new_mount() as volume:
        content = os.urandom(5 * MIB)
        write_synced(volume.point / "kept", content)
        remount(volume)
        away = volume.work / "away"
        volume.bucket.rename(away)
        with fails_with(errno.EIO, errno.ENOENT):
            read_fresh(volume.point / "kept")
        waiting = write_in_background(volume.point / "late")  # data waits for the store to come back ...
        impatient = write_in_background(volume.point / "impatient")
        time.sleep(1)
        expect(waiting.poll() is None and impatient.poll() is None, "fsync says that data is stored")
        impatient.kill()  # ... and who waits can be killed
        impatient.wait(timeout=10)
        expect((volume.point / "kept").stat().st_size == len(content), "metadata is gone too")
        expect(not volume.bucket.exists(), "the bucket's directory was made anew")
        away.rename(volume.bucket)
        expect(waiting.wait(timeout=30) == 0, "fsync failed although the store came back")
        expect(read_fresh(volume.point / "kept") == content, "the file changed")
        remount(volume)
        expect(read_fresh(volume.point / "late") == b"x" * MIB, "what was synced is not there")
        works(volume)
        volume.unmount()
        volume.bucket.rename(away)
        refused(volume, "mount", "-d", "--check-storage", "--log", volume.log, "--bucket", "/proc/no/bucket", volume.url,
                volume.point, says=["/proc/no/bucket"])
        away.rename(volume.bucket)
        volume.mount()
        expect(read_fresh(volume.point / "kept") == content, "the file changed")


@case
def store_unmounted_while_in_use():
    with on_small_disk() as volume:
        subprocess.run(["umount", volume.bucket], check=True)  # it can be: nothing in it is held open
        try:
            with fails_with(errno.EIO, errno.ENOENT):
                read_fresh(volume.point / "kept")
            expect(list(volume.bucket.iterdir()) == [], "something was written below the mount point of the store")
            expect((volume.point / "kept").stat().st_size == MIB, "metadata is gone too")
        finally:
            subprocess.run(["mount", "-t", "tmpfs", "tmpfs", volume.bucket], check=True)
        works(volume)
        volume.unmount()


@case
def read_only_store():
    with on_small_disk() as volume:
        make(volume.bucket, "ro")
        with fails_with(errno.EIO, errno.EROFS):
            write_synced(volume.point / "lost", b"x" * MIB)
        expect(read_fresh(volume.point / "kept") == b"k" * MIB, "what is there can't be read")
        refused(volume, "format", "--bucket", volume.bucket, f"sqlite3://{volume.work}/other.db", "other", says=[str(volume.bucket)])
        expect(not (volume.work / "other.db").exists(), "a volume without a store was left")
        make(volume.bucket, "rw")
        works(volume)
        volume.unmount()


@case
def unmount_of_a_store_that_takes_nothing():
    """umount --flush tells of data that is lost, and leaves it a chance before."""
    with on_small_disk() as volume:
        make(volume.bucket, "ro")
        with fails_with(errno.EIO, errno.EROFS):
            write_synced(volume.point / "waiting", b"w" * MIB)
        refused(volume, "umount", "--flush", volume.point, says=["stays mounted", "/waiting", "Read-only"])
        expect(volume.mounted(), "it was unmounted")
        make(volume.bucket, "rw")
        volume.run("umount", "--flush", volume.point)
        expect(not volume.mounted() and not volume.pids(), "umount --flush didn't wait")
        volume.mount("--io-retries", "2")
        expect(read_fresh(volume.point / "waiting") == b"w" * MIB, "what waited was lost")

        make(volume.bucket, "ro")
        with fails_with(errno.EIO, errno.EROFS):
            write_synced(volume.point / "lost", b"x" * MIB)
        refused(volume, "umount", "--flush", "--force", volume.point, says=["unmounted", "lost", "/lost"])
        expect(not volume.mounted() and not volume.pids(), "umount --flush --force didn't unmount")


@case
def store_that_fails_after_the_unmount_began():
    """With a file open, umount --flush --force waits for its end; the kernel tells the exit code since 6.15."""
    if tuple(int(n) for n in os.uname().release.split(".")[:2]) < (6, 15):
        return
    with bare() as volume:
        with small_disk(volume.bucket, "64m"):
            volume.format()
            volume.mount("--io-retries", "2")
            fd = os.open(volume.point / "late", os.O_CREAT | os.O_WRONLY)
            unmount = subprocess.Popen([volume.binary, "umount", "--flush", "--force", volume.point], stderr=subprocess.PIPE, text=True)
            wait_for(lambda: not volume.mounted(), "the mount is detached")
            make(volume.bucket, "ro")
            os.write(fd, b"x" * MIB)
            with fails_with(errno.EIO, errno.EROFS):
                os.close(fd)
            said = unmount.communicate(timeout=30)[1]
            expect(unmount.returncode == 1 and "could not be stored" in said, f"{unmount.returncode}: {said}")


@case
def missing_store():
    """A mount without it fails at once and makes nothing."""
    with new_volume() as volume:
        expect(not list(volume.bucket.rglob("testing")), "format left the folder of its test object")
        away = volume.work / "away"
        volume.bucket.rename(away)
        for words in ([], ["--check-storage"], ["--read-only"]):
            refused(volume, "mount", "-d", "--log", volume.log, *words, volume.url, volume.point, says=[str(volume.bucket), "does not exist"])
        expect(not volume.bucket.exists(), "the bucket's directory was made anew")
        volume.mount("--check-storage", "--bucket", away)
        works(volume)
        expect(not list(away.rglob("testing")), "mount left the folder of its test object")


@case
def store_of_another_volume():
    """config and format want to see the volume's own object in a store that it shall use."""
    with new_volume() as volume, new_volume() as other:
        empty = volume.work / "empty"
        for bucket, says in ((empty, "juicefs_uuid"), (other.bucket, "another volume")):
            refused(volume, "config", volume.url, "--bucket", bucket, says=[str(bucket), says, "nothing was changed"])
            refused(volume, "format", "--bucket", bucket, volume.url, "test-vol", says=[str(bucket), says, "--force"])
        expect(not empty.exists(), "a directory was made for a store that was refused")
        expect(str(volume.bucket) in volume.run("config", volume.url).stdout, "the bucket was changed")
        expect(other.run("status", other.url).returncode == 0 and len(list(other.bucket.rglob("*"))) == 2, "something was left in the other store")

        moved = volume.work / "moved"
        shutil.copytree(volume.bucket, moved)
        volume.run("config", volume.url, "--bucket", moved)
        expect(f"{moved}/" in volume.run("config", volume.url).stdout, "the bucket was not changed")
        volume.run("config", volume.url, "--bucket", empty, "--yes")
        volume.mount()
        works(volume)
        volume.unmount()
        refused(volume, "config", volume.url, "--bucket", "/proc/no/bucket", "--yes", says=["/proc/no"])


@case
def full_store():
    with bare() as volume:
        with small_disk(volume.bucket, "24m"):
            volume.format()
            volume.mount("--io-retries", "2")
            kept = os.urandom(8 * MIB)
            write_synced(volume.point / "kept", kept)
            with fails_with(errno.ENOSPC, errno.EIO):
                write_synced(volume.point / "large", os.urandom(30 * MIB))
            expect(read_fresh(volume.point / "kept") == kept, "another file changed")
            (volume.point / "large").unlink()
            wait_for(lambda: shutil.disk_usage(volume.bucket).free > 12 * MIB, "the space of the failed write comes back")
            works(volume)
            remount(volume)
            expect(read_fresh(volume.point / "kept") == kept, "another file changed after a remount")
            volume.unmount()


@case
def full_database():
    with bare() as volume:
        disk = volume.work / "small"
        with small_disk(disk, "4m"):
            volume.database = disk / "meta.db"
            volume.url = f"sqlite3://{volume.database}"
            volume.format()
            volume.mount()
            made = 0
            with fails_with(errno.ENOSPC, errno.EIO):
                for made in range(100_000):
                    os.close(os.open(volume.point / f"{made:0200}", os.O_CREAT | os.O_WRONLY))
            expect(made > 100, f"only {made} files fit")
            names = visible(volume)
            expect(len(names) == made, f"{len(names)} names of {made} that were made")
            with open(disk / "ballast", "wb", buffering=0) as ballast:  # the last bytes too
                with contextlib.suppress(OSError):
                    while True:
                        ballast.write(b"x" * 4096)
            for name in names[:50]:
                (volume.point / name).stat()
            (disk / "ballast").unlink()
            subprocess.run(["mount", "-o", "remount,size=16m", disk], check=True)
            works(volume)
            remount(volume)
            expect(len(visible(volume)) == made, "names are lost after a remount")
            volume.unmount()


@case
def one_full_disk_for_both():
    with bare() as volume:
        disk = volume.work / "small"
        with small_disk(disk, "24m"):
            volume.database, volume.bucket = disk / "meta.db", disk / "data"
            volume.url = f"sqlite3://{volume.database}"
            volume.format()
            volume.mount("--io-retries", "2")
            kept = {}
            with fails_with(errno.ENOSPC, errno.EIO):
                for number in range(1000):
                    content = os.urandom(random.Random(number).choice([100, 70_000, MIB]))
                    write_synced(volume.point / f"f{number}", content)
                    kept[f"f{number}"] = content
            subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
            for name, content in kept.items():
                expect(read_fresh(volume.point / name) == content, f"{name}, which was synced, changed")
            works(volume)
            remount(volume)
            for name, content in kept.items():
                expect(read_fresh(volume.point / name) == content, f"{name}, which was synced, changed after a remount")
            volume.unmount()
