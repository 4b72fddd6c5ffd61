"""Names and requests that are not as they should be."""
import errno
import os
import random
import stat
import struct
import time

from .harness import MIB, case, expect, fails_with, new_mount, read_fresh, visible, works, write_synced


@case
def long_names():
    with new_mount() as volume:
        point, longest, over = volume.point, "n" * 255, "n" * 256
        (point / longest).write_text("x")
        actions = [lambda p: open(p, "w"), os.mkdir, os.mkfifo, lambda p: os.symlink("x", p), lambda p: os.link(point / longest, p),
                   lambda p: os.rename(point / longest, p), os.unlink, os.rmdir, os.stat, os.listdir]
        for act in actions:
            with fails_with(errno.ENAMETOOLONG):
                act(point / over)
        umlauts = "ä" * 127 + "x"
        (point / umlauts).write_text("y")
        with fails_with(errno.ENAMETOOLONG):
            (point / ("ä" * 128)).write_text("y")
        with fails_with(errno.ENAMETOOLONG):
            os.symlink("t" * 4096, point / "link")
        os.symlink("t" * 4095, point / "link")
        expect(os.readlink(point / "link") == "t" * 4095, "a long target")
        raw = os.path.join(os.fsencode(point), b"\xff\xfe\n\t\\\"%s\x01")
        with open(raw, "w") as file:
            file.write("z")
        expect(sorted(os.listdir(os.fsencode(point)))[-1] == b"\xff\xfe\n\t\\\"%s\x01", "a name that is no UTF-8")
        volume.run("info", point)
        volume.run("summary", point)
        expect(volume.run("rmr", raw.decode(errors="surrogateescape")).returncode == 0, "rmr of a name that is no UTF-8")


def ask_control(volume, messages, limit=2.0):
    """Writes to .control and reads until an answer or the limit; nothing of it may hang."""
    fd = os.open(volume.point / ".control", os.O_RDWR)
    try:
        for message in messages:
            try:
                os.write(fd, message)
            except OSError as error:
                expect(error.errno in (errno.EINVAL, errno.EIO, errno.EBUSY), f"write to .control: {error}")
        end = time.time() + limit
        while time.time() < end:
            if answer := os.read(fd, 4096):
                return answer
            time.sleep(0.01)
        return b""
    finally:
        os.close(fd)


@case
def control_messages():
    with new_mount() as volume:
        (volume.point / "d").mkdir()
        write_synced(volume.point / "d" / "kept", b"kept")
        chance = random.Random(1)
        commands = [0, 1, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008, 1009, 1010, 0xFFFFFFFF]
        # Of every length; too short for its own size; of a size that lies.
        for length in [*range(0, 40), 100, 1000, 4096, 70_000, 2 * MIB]:
            ask_control(volume, [chance.randbytes(length)], limit=0.01)
        for command in commands:
            for length in (0, 1, 7, 8, 9, 20, 300):
                body = chance.randbytes(length)
                # The parent is no inode that exists, so that nothing can be removed by chance.
                body = struct.pack(">Q", 1 << 50)[:length] + body[8:]
                for claimed in (length, length + 1, max(0, length - 1), 0, 0xFFFFFFFF, 1 << 20):
                    ask_control(volume, [struct.pack(">II", command, claimed) + body], limit=0.01)
        # A name that is longer than the message; in pieces; with bytes behind its end; twice.
        rmr = struct.pack(">QB", 1, 200) + b"d"
        expect(ask_control(volume, [struct.pack(">II", 1002, len(rmr)) + rmr]) not in (b"", b"\0"), "a name cut short was removed")
        info = struct.pack(">II", 1005, 8) + struct.pack(">Q", 1)
        expect(ask_control(volume, [bytes([b]) for b in info]) != b"", "no answer to a message in pieces")
        ask_control(volume, [info + b"tail"])
        ask_control(volume, [info] * 20)
        for other in (".stats", ".config", ".accesslog"):
            with fails_with(errno.EACCES, errno.EPERM, errno.EINVAL):
                with open(volume.point / other, "wb", buffering=0) as file:
                    file.write(b"garbage")
        expect(visible(volume) == ["d"], "names changed")
        expect(read_fresh(volume.point / "d" / "kept") == b"kept", "a file changed")
        expect("files" in volume.run("info", volume.point).stdout, "info no longer answers")
        works(volume)


@case
def internal_names_are_protected():
    with new_mount() as volume:
        for name in (".stats", ".control", ".config", ".accesslog"):
            with fails_with(errno.EPERM, errno.EACCES):
                (volume.point / name).unlink()
            with fails_with(errno.EEXIST, errno.EPERM, errno.EACCES):
                (volume.point / name).mkdir()
            (volume.point / "x").write_text("x")
            with fails_with(errno.EPERM, errno.EACCES, errno.EEXIST):
                os.rename(volume.point / "x", volume.point / name)
            with fails_with(errno.EPERM, errno.EACCES):
                os.rename(volume.point / name, volume.point / "y")
        expect(stat.S_ISREG((volume.point / ".stats").stat().st_mode), ".stats is gone")
