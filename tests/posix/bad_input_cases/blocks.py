"""Stored data that is damaged."""
import contextlib
import errno
import os

from .harness import MIB, blocks_of, case, expect, fails_with, new_mount, read_fresh, works, write_synced


@contextlib.contextmanager
def one_damaged_block(size=6 * MIB):
    """A file of two blocks and another; the path of the first block of the file."""
    with new_mount() as volume:
        content = os.urandom(size)
        write_synced(volume.point / "hurt", content)
        first = [b for b in blocks_of(volume) if b.name.split("_")[1] == "0"]
        expect(len(first) == 1, f"blocks: {blocks_of(volume)}")
        write_synced(volume.point / "other", b"other" * 100_000)
        volume.unmount()
        yield volume, first[0], content
        expect(read_fresh(volume.point / "other") == b"other" * 100_000, "another file is hurt")
        works(volume)
        (volume.point / "hurt").unlink()


@case
def block_of_other_bytes():
    """The format has no checksums in the `file` store: the bytes come as they are stored, and no more than those are hurt."""
    with one_damaged_block() as (volume, block, content):
        data = bytearray(block.read_bytes())
        data[1000:2000] = bytes(1000)
        block.write_bytes(data)
        volume.mount("--io-retries", "2")
        got = read_fresh(volume.point / "hurt")
        expect(got[:1000] == content[:1000] and got[2000:] == content[2000:] and len(got) == len(content), "more is hurt")


@case
def truncated_block():
    with one_damaged_block() as (volume, block, content):
        os.truncate(block, 100_000)
        volume.mount("--io-retries", "2")
        with fails_with(errno.EIO):
            read_fresh(volume.point / "hurt")
        fd = os.open(volume.point / "hurt", os.O_RDONLY)
        expect(os.pread(fd, 1000, 5 * MIB) == content[5 * MIB:5 * MIB + 1000], "the other block can't be read")
        os.close(fd)


@case
def empty_block():
    with one_damaged_block() as (volume, block, _):
        os.truncate(block, 0)
        volume.mount("--io-retries", "2")
        with fails_with(errno.EIO):
            read_fresh(volume.point / "hurt")


@case
def missing_block():
    with one_damaged_block() as (volume, block, content):
        block.unlink()
        volume.mount("--io-retries", "2")
        with fails_with(errno.EIO):
            read_fresh(volume.point / "hurt")
        fd = os.open(volume.point / "hurt", os.O_RDWR)  # a part may be written anew, and read
        os.pwrite(fd, b"n" * 8192, 0)
        os.fsync(fd)
        expect(os.pread(fd, 4096, 0) == b"n" * 4096, "what was written over it can't be read")
        os.close(fd)


@case
def directory_in_place_of_a_block():
    with one_damaged_block() as (volume, block, _):
        block.unlink()
        block.mkdir()
        volume.mount("--io-retries", "2")
        with fails_with(errno.EIO, errno.EISDIR):
            read_fresh(volume.point / "hurt")
        block.rmdir()
