"""The calls of Model, made on a mounted file system; and the comparison of the two."""
import ctypes
import errno
import os
import stat

from .harness import expect

libc = ctypes.CDLL(None, use_errno=True)
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}
AT_FDCWD = -100


class Tree:
    def __init__(self, point):
        self.point = point

    def at(self, path):
        return f"{self.point}/{path}"

    def write(self, path, flags, offset, data, sync):
        fd = os.open(self.at(path), flags | os.O_WRONLY, 0o644)
        try:
            if flags & os.O_APPEND:
                os.write(fd, data)
            else:
                os.pwrite(fd, data, offset)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)

    def replace(self, path, temporary, data):
        self.write(temporary, os.O_CREAT | os.O_EXCL, 0, data, False)
        self.rename(temporary, path, 0)

    def truncate(self, path, size):
        os.truncate(self.at(path), size)

    def read(self, path):
        fd = os.open(self.at(path), os.O_RDONLY)
        try:
            size, data = os.fstat(fd).st_size, b""
            while piece := os.read(fd, 1 << 20):
                data += piece
            return size, data
        finally:
            os.close(fd)

    def mkdir(self, path, mode):
        os.mkdir(self.at(path), mode)

    def symlink(self, path, target):
        os.symlink(target, self.at(path))

    def link(self, path, new):
        os.link(self.at(path), self.at(new), follow_symlinks=False)

    def unlink(self, path):
        os.unlink(self.at(path))

    def rmdir(self, path):
        os.rmdir(self.at(path))

    def rename(self, path, new, flags):
        """Linux answers ESTALE (__d_unalias) where rename(2) is the first to meet a directory that another client has moved, as
        the lock that it would need to move its own entry is held; mv looks both names up before."""
        for first in (True, False):
            if libc.renameat2(AT_FDCWD, self.at(path).encode(), AT_FDCWD, self.at(new).encode(), flags) == 0:
                return
            code = ctypes.get_errno()
            if code != errno.ESTALE or not first:
                raise OSError(code, os.strerror(code))
            for name in (path, new):
                os.path.lexists(self.at(name))

    def chmod(self, path, mode):
        os.chmod(self.at(path), mode)

    def utime(self, path, mtime):
        os.utime(self.at(path), ns=(mtime, mtime))

    def setxattr(self, path, name, value, flags):
        os.setxattr(self.at(path), name, value, flags)

    def removexattr(self, path, name):
        os.removexattr(self.at(path), name)

    def xattrs(self, path):
        return {name: os.getxattr(self.at(path), name) for name in os.listxattr(self.at(path))}

    def readlink(self, path):
        return os.readlink(self.at(path))

    def stat(self, path):
        found = os.lstat(self.at(path))
        kind = KINDS[stat.S_IFMT(found.st_mode)]
        return {"kind": kind, "mode": stat.S_IMODE(found.st_mode), "nlink": found.st_nlink,
                "size": None if kind == "dir" else found.st_size, "mtime": found.st_mtime_ns}

    def listing(self, path):
        with os.scandir(self.at(path)) as entries:
            return {entry.name: "link" if entry.is_symlink() else "dir" if entry.is_dir() else "file" for entry in entries}

    def usage(self):
        """Inodes and bytes used."""
        found = os.statvfs(self.point)
        return found.f_files - found.f_ffree, (found.f_blocks - found.f_bfree) * found.f_frsize


def answer(files, call):
    """What a call says: its result or its errno. That the mount has died is no answer."""
    name, *arguments = call
    try:
        return getattr(files, name)(*arguments)
    except OSError as error:
        # The last is what a request says that the kernel was just handing over through a ring.
        if error.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.ECANCELED):
            raise
        return f"{os.strerror(error.errno)} ({error.errno})"


def same(told, right):
    if isinstance(told, dict) and isinstance(right, dict) and "mtime" in right and right["mtime"] is None:
        return {**told, "mtime": None} == right
    return told == right


def short(value, limit=300):
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}... ({len(text)} characters)"


def difference(told, right):
    """Where two answers with data part."""
    if isinstance(told, tuple) and isinstance(right, tuple):
        at = next((i for i, (a, b) in enumerate(zip(told[1], right[1])) if a != b), min(len(told[1]), len(right[1])))
        return (f"size {told[0]} with {len(told[1])} bytes instead of {right[0]}, the first difference at {at}: "
                f"{told[1][at:at + 8].hex()} instead of {right[1][at:at + 8].hex()}")
    return f"{short(told)} instead of {short(right)}"


def check_call(tree, model, call):
    """Makes a call on both; they must agree. The model has not made it if the mount dies."""
    told = answer(tree, call)
    right = answer(model, call)
    expect(same(told, right), f"{short(call)}: {difference(told, right)}")


def check_all(tree, model):
    """Names, attributes, contents, extended attributes and hard links of everything below the root."""
    nodes = {}  # by inode
    names = {name for name in tree.listing(".") if not name.startswith(".")}
    expect(names == set(model.root.entries), f"{tree.point}: {sorted(names)} instead of {sorted(model.root.entries)}")
    for path, node in model.walk():
        more = {"file": ["xattrs", "read"], "dir": ["xattrs", "listing"], "link": ["readlink"]}[node.kind]
        for call in ["stat", *more]:
            told, right = answer(tree, (call, path)), answer(model, (call, path))
            expect(same(told, right), f"{tree.point}: {call} {path}: {difference(told, right)}")
        inode = os.lstat(tree.at(path)).st_ino
        expect(nodes.setdefault(inode, node) is node, f"{tree.point}: {path} has the inode of another file")
    expect(len(nodes) == len(set(map(id, nodes.values()))), f"{tree.point}: hard links have different inodes")
