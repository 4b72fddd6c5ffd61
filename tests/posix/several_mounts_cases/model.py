"""A POSIX file system in memory: what every call must answer, in the order in which Linux finds errors.

Model and Tree (tree.py) have the same methods, so that a call is checked by making it on both. Paths are relative to the mount
point. The caller may do everything, so permissions are kept but not checked."""
import copy
import errno
import os

NOREPLACE, EXCHANGE = 1, 2  # of renameat2(2)
MAX_LINKS = 40              # that a path may lead through


class Node:
    def __init__(self, kind, mode, target=""):
        self.kind = kind     # "file", "dir" or "link"
        self.mode = mode
        self.nlink = 1       # of a directory it follows from its entries
        self.data = bytearray()
        self.target = target
        self.entries = {}
        self.xattrs = {}
        self.mtime = None    # nanoseconds; None: whatever the clock says


def refuse(code):
    raise OSError(code, os.strerror(code))


class Model:
    def __init__(self):
        self.root = Node("dir", 0o755)

    def copy(self):
        return copy.deepcopy(self)

    def find(self, path, follow=True):
        """The directories on the way, the last of them that of the name; the name; what it names, or None."""
        way, todo, links = [self.root], path.split("/"), 0
        while True:
            name = todo.pop(0)
            if way[-1].kind != "dir":
                refuse(errno.ENOTDIR)
            if name == "..":
                way = way[:-1] or way
                continue
            node = way[-1].entries.get(name)
            if node and node.kind == "link" and (follow or todo):
                links += 1
                if links > MAX_LINKS:
                    refuse(errno.ELOOP)
                todo = node.target.split("/") + todo
                continue
            if not todo:
                return way, name, node
            if node is None:
                refuse(errno.ENOENT)
            way.append(node)

    def existing(self, path, follow=True):
        return self.find(path, follow)[2] or refuse(errno.ENOENT)

    def add(self, path, node):
        way, name, present = self.find(path, follow=False)
        if present:
            refuse(errno.EEXIST)
        way[-1].entries[name] = node
        way[-1].mtime = None

    def opened(self, path, flags):
        """A regular file, opened for writing."""
        exclusive = flags & os.O_EXCL
        way, name, node = self.find(path, follow=not exclusive)
        if node is None:
            if not flags & os.O_CREAT:
                refuse(errno.ENOENT)
            node = way[-1].entries[name] = Node("file", 0o644)
            way[-1].mtime = None
        elif exclusive:
            refuse(errno.EEXIST)
        if node.kind == "dir":
            refuse(errno.EISDIR)
        if flags & os.O_TRUNC:
            node.data.clear()
            node.mtime = None
        return node

    # The calls.

    def write(self, path, flags, offset, data, sync):
        node = self.opened(path, flags)
        if flags & os.O_APPEND:
            offset = len(node.data)
        node.data.extend(bytes(max(0, offset + len(data) - len(node.data))))
        node.data[offset:offset + len(data)] = data
        node.mtime = None

    def replace(self, path, temporary, data):
        """As editors do: a new file, renamed over the old one."""
        self.write(temporary, os.O_CREAT | os.O_EXCL, 0, data, False)
        self.rename(temporary, path, 0)

    def truncate(self, path, size):
        node = self.existing(path)
        if node.kind == "dir":
            refuse(errno.EISDIR)
        del node.data[size:]
        node.data.extend(bytes(size - len(node.data)))
        node.mtime = None

    def read(self, path):
        """Size and data, as an open file tells them."""
        node = self.existing(path)
        if node.kind == "dir":
            refuse(errno.EISDIR)
        return len(node.data), bytes(node.data)

    def mkdir(self, path, mode):
        self.add(path, Node("dir", mode))

    def symlink(self, path, target):
        self.add(path, Node("link", 0o777, target))

    def link(self, path, new):
        node = self.existing(path, follow=False)
        if self.find(new, follow=False)[2]:
            refuse(errno.EEXIST)
        if node.kind == "dir":
            refuse(errno.EPERM)
        self.add(new, node)
        node.nlink += 1

    def remove(self, way, name):
        node = way[-1].entries.pop(name)
        node.nlink -= 1
        way[-1].mtime = None

    def unlink(self, path):
        way, name, node = self.find(path, follow=False)
        if node is None:
            refuse(errno.ENOENT)
        if node.kind == "dir":
            refuse(errno.EISDIR)
        self.remove(way, name)

    def rmdir(self, path):
        way, name, node = self.find(path, follow=False)
        if node is None:
            refuse(errno.ENOENT)
        if node.kind != "dir":
            refuse(errno.ENOTDIR)
        if node.entries:
            refuse(errno.ENOTEMPTY)
        self.remove(way, name)

    def rename(self, path, new, flags):
        way, name, node = self.find(path, follow=False)
        new_way, new_name, present = self.find(new, follow=False)
        if node is None or (flags & EXCHANGE and present is None):
            refuse(errno.ENOENT)
        if flags & NOREPLACE and present:
            refuse(errno.EEXIST)
        if node in new_way:
            refuse(errno.EINVAL)
        if present in way:
            refuse(errno.EINVAL if flags & EXCHANGE else errno.ENOTEMPTY)
        if node is present:
            return
        if present and not flags & EXCHANGE:
            if node.kind == "dir" and present.kind != "dir":
                refuse(errno.ENOTDIR)
            if node.kind != "dir" and present.kind == "dir":
                refuse(errno.EISDIR)
            if present.entries:
                refuse(errno.ENOTEMPTY)
            self.remove(new_way, new_name)
        del way[-1].entries[name]
        new_way[-1].entries[new_name] = node
        if flags & EXCHANGE:
            way[-1].entries[name] = present
        way[-1].mtime = new_way[-1].mtime = None

    def chmod(self, path, mode):
        self.existing(path).mode = mode

    def utime(self, path, mtime):
        self.existing(path).mtime = mtime

    def setxattr(self, path, name, value, flags):
        xattrs = self.existing(path).xattrs
        if flags & os.XATTR_CREATE and name in xattrs:
            refuse(errno.EEXIST)
        if flags & os.XATTR_REPLACE and name not in xattrs:
            refuse(errno.ENODATA)
        xattrs[name] = value

    def removexattr(self, path, name):
        xattrs = self.existing(path).xattrs
        if name not in xattrs:
            refuse(errno.ENODATA)
        del xattrs[name]

    def xattrs(self, path):
        return dict(self.existing(path).xattrs)

    def readlink(self, path):
        node = self.existing(path, follow=False)
        if node.kind != "link":
            refuse(errno.EINVAL)
        return node.target

    def stat(self, path):
        return self.attributes(self.existing(path, follow=False))

    def attributes(self, node):
        links = node.nlink if node.kind != "dir" else 2 + sum(n.kind == "dir" for n in node.entries.values())
        size = {"dir": None, "link": len(node.target)}.get(node.kind, len(node.data))
        return {"kind": node.kind, "mode": node.mode, "nlink": links, "size": size, "mtime": node.mtime}

    def listing(self, path):
        node = self.existing(path)
        if node.kind != "dir":
            refuse(errno.ENOTDIR)
        return {name: node.kind for name, node in node.entries.items()}

    # All that is there.

    def walk(self, node=None, path=""):
        """Paths and nodes; a directory comes before what is in it."""
        for name, child in (node or self.root).entries.items():
            yield path + name, child
            if child.kind == "dir":
                yield from self.walk(child, path + name + "/")

    def usage(self):
        """Inodes and bytes as df tells them: whole pages of 4 KiB, at least one; the root is not counted."""
        nodes = {id(node): node for _, node in self.walk()}.values()
        pages = sum(max(1, -(-len(node.data) // 4096)) for node in nodes)
        return len(nodes), pages * 4096
