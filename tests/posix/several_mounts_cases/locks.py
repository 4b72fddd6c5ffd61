"""flock and fcntl locks between two mounts; each process has a file open and is told what to do."""
import contextlib
import errno
import fcntl
import os
import struct

from .agent import Agent, fork
from .harness import case, expect, mounted

READ, WRITE, UNLOCK = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
SHARED, EXCLUSIVE, FREE, AT_ONCE = fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_UN, fcntl.LOCK_NB
ROUNDS = 60  # of each counting process


@contextlib.contextmanager
def lockers(settings, *mounts_of):
    """One agent per number, on the mount of that number, all with the same file."""
    with mounted(settings) as (_, mounts), contextlib.ExitStack() as stack:
        (mounts[0].point / "file").write_bytes(b"")
        yield [stack.enter_context(Agent(mounts[number].point / "file")) for number in mounts_of]


def refused(agent, *command, code=errno.EAGAIN):
    try:
        agent.do(*command)
    except OSError as error:
        expect(error.errno == code, f"{command}: {error} instead of {errno.errorcode[code]}")
        return
    raise AssertionError(f"{command} was not refused")


def waits(agent, *command):
    agent.begin(*command)
    expect(agent.waits(), f"{command} does not wait")


def interrupted(agent):
    """A signal ends the agent's wait for a lock, and it has none."""
    agent.interrupt()
    try:
        agent.answer()
    except InterruptedError:
        return
    raise AssertionError("an interrupted wait got the lock")


@case
def flock_across_mounts(settings):
    with lockers(settings, 0, 1, 1) as (one, two, three):
        one.do("flock", EXCLUSIVE)
        refused(two, "flock", SHARED | AT_ONCE)
        waits(two, "flock", SHARED)
        waits(three, "flock", SHARED)
        one.do("flock", SHARED)              # a downgrade lets both in
        two.answer()
        three.answer()
        refused(one, "flock", EXCLUSIVE | AT_ONCE)
        two.do("flock", FREE)
        three.do("flock", FREE)
        one.do("flock", SHARED)              # whatever the upgrade that failed left
        one.do("flock", EXCLUSIVE | AT_ONCE)  # an upgrade
        refused(two, "flock", SHARED | AT_ONCE)
        one.do("duplicate")
        one.do("close_other")                # not the last descriptor of the open file
        refused(two, "flock", SHARED | AT_ONCE)
        waits(two, "flock", EXCLUSIVE)
        one.do("close")
        two.answer()


@case
def flock_ends_with_its_process(settings):
    with lockers(settings, 0, 1, 1) as (one, two, three):
        one.do("flock", EXCLUSIVE)
        waits(two, "flock", EXCLUSIVE)
        waits(three, "flock", EXCLUSIVE)
        interrupted(two)
        three.kill()                         # a waiter
        one.kill()                           # the holder
        two.do("flock", EXCLUSIVE)


@case
def ranges_across_mounts(settings):
    with lockers(settings, 0, 1) as (one, two):
        one.do("lock", WRITE, 0, 10)
        two.do("lock", WRITE, 10, 10)
        refused(two, "lock", READ, 9, 1)
        expect(two.do("getlk", READ, 0, 0) == (WRITE, 0, 10, 0), "F_GETLK tells another mount's lock wrongly")
        expect(one.do("getlk", READ, 15, 1) == (WRITE, 10, 10, 0), "F_GETLK tells another mount's lock wrongly")
        expect(one.do("getlk", READ, 5, 1)[0] == UNLOCK, "one's own lock is in the way")
        one.do("lock", READ, 2, 4)           # a downgrade in the middle
        two.do("lock", READ, 3, 2)
        refused(one, "lock", WRITE, 0, 10)   # an upgrade while another reads
        refused(two, "lock", READ, 0, 3)
        one.do("lock", UNLOCK, 0, 2)
        two.do("lock", WRITE, 0, 2)
        refused(two, "lock", READ, 6, 1)
        two.do("lock", UNLOCK, 0, 8)
        one.do("lock", WRITE, 0, 10)         # the upgrade
        one.do("lock", WRITE, 1 << 40, 0)    # to the end, however far
        refused(two, "lock", READ, 1 << 50, 1)


@case
def range_waits_and_hand_over(settings):
    with lockers(settings, 0, 1, 1) as (one, two, three):
        one.do("lock", WRITE, 0, 100)
        waits(two, "wait_lock", WRITE, 0, 50)
        waits(three, "wait_lock", READ, 50, 50)
        expect(two.pid != three.pid, "one process")
        one.do("lock", UNLOCK, 0, 50)
        two.answer()
        expect(three.waits(), "a range was given that is locked")
        one.do("lock", READ, 50, 50)         # readers share
        three.answer()
        one.do("lock", UNLOCK, 0, 0)
        waits(one, "wait_lock", WRITE, 0, 100)
        two.do("open_again")
        two.do("close_other")                # closing any descriptor releases all of the process's locks
        expect(one.waits(), "a range was given that is locked")
        three.kill()
        one.answer()


@case
def range_waits_end(settings):
    with lockers(settings, 0, 1, 1) as (one, two, three):
        one.do("lock", WRITE, 0, 0)
        waits(two, "wait_lock", READ, 0, 10)
        waits(three, "wait_lock", WRITE, 0, 10)
        interrupted(two)
        three.kill()
        refused(two, "lock", READ, 0, 10)
        one.kill()
        two.do("wait_lock", WRITE, 0, 0)


@case
def deadlock_across_mounts(settings):
    with lockers(settings, 0, 1, 1) as (one, two, three):
        one.do("lock", WRITE, 0, 1)
        two.do("lock", WRITE, 1, 1)
        three.do("lock", WRITE, 2, 1)
        waits(one, "wait_lock", WRITE, 1, 1)
        waits(two, "wait_lock", WRITE, 2, 1)
        refused(three, "wait_lock", WRITE, 0, 1, code=errno.EDEADLK)
        three.do("lock", UNLOCK, 0, 0)
        two.answer()
        two.do("lock", UNLOCK, 0, 0)
        one.answer()


def lock_whole(fd, how, kind):
    if how == "flock":
        fcntl.flock(fd, EXCLUSIVE if kind == WRITE else FREE)
    else:
        fcntl.fcntl(fd, fcntl.F_SETLKW, struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0))


def count_in_one_file(point, how):
    """The counter is read and written by the descriptor that is locked, and grows."""
    fd = os.open(point / "counter", os.O_RDWR)
    for _ in range(ROUNDS):
        lock_whole(fd, how, WRITE)
        value = int(os.pread(fd, 20, 0))
        os.pwrite(fd, str(value + 1).encode(), 0)
        lock_whole(fd, how, UNLOCK)


def count_in_eight_bytes(point, how):
    fd = os.open(point / "counter", os.O_RDWR)
    for _ in range(ROUNDS):
        lock_whole(fd, how, WRITE)
        os.pwrite(fd, b"%08d" % (int(os.pread(fd, 8, 0)) + 1), 0)
        lock_whole(fd, how, UNLOCK)


def count_beside_lock(point, how):
    """The counter is opened anew under the lock of another file; its length says the same, and so does a log that grows."""
    fd = os.open(point / "lock", os.O_RDWR)
    for _ in range(ROUNDS):
        lock_whole(fd, how, WRITE)
        value = int((point / "counter").read_bytes())
        log = os.open(point / "log", os.O_WRONLY | os.O_APPEND)
        os.write(log, b".")
        os.close(log)
        size = os.stat(point / "log").st_size
        expect(size == value + 1, f"the log has {size} bytes instead of {value + 1}")
        (point / "counter").write_bytes(str(value + 1).encode())
        lock_whole(fd, how, UNLOCK)


def check_count(settings, count, start=b"0"):
    with mounted(settings) as (_, mounts):
        for how in ("flock", "fcntl"):
            for name, content in (("counter", start), ("lock", b""), ("log", b"")):
                (mounts[0].point / name).write_bytes(content)
            processes = [fork.Process(target=count, args=(mount.point, how), daemon=True) for mount in mounts for _ in range(2)]
            for process in processes:
                process.start()
            for process in processes:
                process.join()
            for mount in mounts:
                value = int((mount.point / "counter").read_bytes())
                expect(value == ROUNDS * len(processes), f"{how}: {value} instead of {ROUNDS * len(processes)}")
            expect(all(process.exitcode == 0 for process in processes), f"{how}: a process failed")


@case
def counter_under_its_lock(settings):
    check_count(settings, count_in_one_file)


@case
def counter_of_eight_bytes_under_its_lock(settings):
    check_count(settings, count_in_eight_bytes, b"00000000")


@case
def counter_and_log_beside_the_lock(settings):
    check_count(settings, count_beside_lock)
