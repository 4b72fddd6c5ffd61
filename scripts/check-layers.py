#!/usr/bin/env python3
"""Fails when an #include goes against the direction of the layers (ARCHITECTURE.md), or when includes form a circle.

Each folder below src/ may include itself and what is listed here. Inside meta/, chunk/ and so on, a folder is a layer of its
own where it is listed. Tests (X_test.cc, X_fuzz.cc, testing/) may also use the testing/ folders of what is below them and
of their own module.
"""
import pathlib
import re
import sys

# The longest matching folder of a file decides.
MAY_INCLUDE = {
    "base": [],
    "object": ["base"],
    "chunk": ["object", "base"],
    "meta/model": ["base"],
    "meta/store": ["meta/model", "base"],
    "meta": ["meta/model", "meta/store", "meta/ops", "meta/jobs", "base"],
    "meta/ops": ["meta", "meta/model", "meta/store", "base"],
    "meta/jobs": ["meta", "meta/ops", "meta/model", "meta/store", "base"],
    "vfs": ["meta", "meta/model", "meta/store", "chunk", "object", "base"],
    # The front end sees the file system, and of metadata only what attributes look like.
    "fuse": ["vfs/file_system.h", "meta/model/attr.h", "base"],
    "cli": ["fuse", "vfs", "meta", "meta/model", "meta/store", "chunk", "object", "base"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


def layer_of(path):
    """The longest folder in MAY_INCLUDE that `path` (relative to src/) lies in."""
    folders = [f for f in MAY_INCLUDE if path.startswith(f + "/")]
    return max(folders, key=len) if folders else None


def allowed(layer, included):
    for rule in [layer] + MAY_INCLUDE[layer]:
        if included == rule or (layer_of(included) == rule and "." not in rule):
            return True
    return False


def is_test(path):
    return path.endswith(("_test.cc", "_fuzz.cc")) or "/testing/" in path


def own_test_help(path, included):
    """A test of meta/model may use meta/testing."""
    return is_test(path) and "/testing/" in included and path.split("/")[0] == included.split("/")[0]


def find_cycle(graph):
    state = {}

    def visit(node, trail):
        state[node] = "open"
        for following in sorted(graph.get(node, ())):
            if state.get(following) == "open":
                return trail[trail.index(following):] + [following]
            if following not in state:
                cycle = visit(following, trail + [following])
                if cycle:
                    return cycle
        state[node] = "done"
        return None

    for node in sorted(graph):
        if node not in state:
            cycle = visit(node, [node])
            if cycle:
                return cycle
    return None


def main():
    source = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent / "src")
    problems = []
    headers = {}
    for file in sorted([*source.rglob("*.cc"), *source.rglob("*.h")]):
        path = file.relative_to(source).as_posix()
        layer = layer_of(path)
        if layer is None:
            problems.append(f"{path}: its folder is in no layer; name it in scripts/check-layers.py")
            continue
        includes = INCLUDE.findall(file.read_text(encoding="utf-8"))
        for included in includes:
            if not (source / included).exists():
                problems.append(f"{path}: includes \"{included}\", which is not there (write it from src/ on)")
            elif "/testing/" in included and not is_test(path):
                problems.append(f"{path}: includes \"{included}\", which is for tests only")
            elif not allowed(layer, included) and not own_test_help(path, included):
                problems.append(f"{path}: {layer}/ must not include \"{included}\"")
        if path.endswith(".h"):
            headers[path] = set(includes)
    cycle = find_cycle(headers)
    if cycle:
        problems.append("headers include each other in a circle: " + " -> ".join(cycle))
    for problem in problems:
        print(f"src/{problem}", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
