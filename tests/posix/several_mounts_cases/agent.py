"""A process that holds a file of a mount open and locks it as it is told, so that locks have different owners."""
import errno
import fcntl
import multiprocessing
import os
import signal
import struct

from .harness import expect

LIMIT = 60           # seconds until an answer counts as missing
SOON = 0.3           # what waits for longer than this is taken to wait
FLOCK = "hhqqi4x"    # struct flock
F_OFD_SETLK = 37
fork = multiprocessing.get_context("fork")


def record(kind, start, length):
    return struct.pack(FLOCK, kind, os.SEEK_SET, start, length, 0)


class Locker:
    """What the process can do; each method is one command."""

    def __init__(self, path):
        self.path = path
        self.fd = os.open(path, os.O_RDWR)
        self.more = []

    def flock(self, kind):
        fcntl.flock(self.fd, kind)

    def lock(self, kind, start, length):
        fcntl.fcntl(self.fd, fcntl.F_SETLK, record(kind, start, length))

    def wait_lock(self, kind, start, length):
        fcntl.fcntl(self.fd, fcntl.F_SETLKW, record(kind, start, length))

    def getlk(self, kind, start, length):
        """Kind, start, length and process of the lock in the way."""
        kind, _, start, length, pid = struct.unpack(FLOCK, fcntl.fcntl(self.fd, fcntl.F_GETLK, record(kind, start, length)))
        return kind, start, length, pid

    def open_again(self):
        self.more.append(os.open(self.path, os.O_RDWR))

    def duplicate(self):
        self.more.append(os.dup(self.fd))

    def close_other(self):
        os.close(self.more.pop())

    def close(self):
        os.close(self.fd)

    def hold_unlinked(self, path, size):
        self.more.append(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL))
        os.write(self.more[-1], os.urandom(size))
        os.fsync(self.more[-1])
        os.unlink(path)

    def read(self):
        return os.pread(self.fd, 1 << 20, 0)

    def append(self, data):
        os.pwrite(self.fd, data, os.fstat(self.fd).st_size)


def interrupted(*_):
    raise InterruptedError(errno.EINTR, "interrupted")


def serve(path, pipe):
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.signal(signal.SIGUSR1, interrupted)
    locker = Locker(path)
    pipe.send(None)
    while True:
        name, *arguments = pipe.recv()
        try:
            pipe.send(getattr(locker, name)(*arguments))
        except OSError as error:
            pipe.send(error)


class Agent:
    def __init__(self, path):
        self.pipe, theirs = fork.Pipe()
        self.process = fork.Process(target=serve, args=(str(path), theirs), daemon=True)
        self.process.start()
        theirs.close()
        self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    @property
    def pid(self):
        return self.process.pid

    def begin(self, *command):
        self.pipe.send(command)

    def waits(self):
        """Whether what was begun is not done yet."""
        return not self.pipe.poll(SOON)

    def answer(self):
        expect(self.pipe.poll(LIMIT), "a process gives no answer")
        told = self.pipe.recv()
        if isinstance(told, OSError):
            raise told
        return told

    def do(self, *command):
        self.begin(*command)
        return self.answer()

    def interrupt(self):
        os.kill(self.process.pid, signal.SIGUSR1)

    def kill(self):
        """Ends the process, whatever it waits for."""
        self.process.kill()
        self.process.join(LIMIT)
        expect(self.process.exitcode is not None, "a process that was killed does not end")
