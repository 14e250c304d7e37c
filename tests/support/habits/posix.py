"""Which tests need what POSIX alone has: signals, links, named pipes, limits, terminals.

Such a test carries the marker `posix`, or a skip of its own that names the system, and is skipped
on Windows with that reason. `tests/house/test_posix_marks.py` holds the suite to it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

REASON = "signals, links, pipes or limits as POSIX has them"
#: Attributes of `os` and `signal`, and methods, that Windows lacks or that need a privilege there.
_ATTRIBUTES = frozenset(
    {
        *("mkfifo", "fork", "killpg", "geteuid", "getuid", "setsid", "openpty", "symlink"),
        *("sched_getaffinity", "sched_setaffinity", "symlink_to", "SIGKILL", "SIGHUP", "SIGSTOP"),
        *("SIGCONT", "SIGPIPE", "SIGUSR1", "SIGUSR2"),
    }
)
_MODULES = frozenset({"fcntl", "resource", "pty", "termios", "pwd", "grp"})
#: A decorator or `pytestmark` with one of these says that the test is not for every system.
_SAID = ("posix", "linux", "sys.platform", "os.name")


def unmarked(path: Path) -> list[tuple[str, int]]:
    """(name, line) of each test of a module that needs POSIX and does not say so.

    A test also needs what the fixtures and functions of its module need that it uses.
    """
    tree = ast.parse(path.read_text("utf-8"))
    marks = _marks(tree)
    if _says(marks.get("pytestmark")):
        return []
    functions = {node.name: node for node in _functions(tree)}
    needing = _needing(functions)
    return [
        (name, min([node.lineno, *(each.lineno for each in node.decorator_list)]))
        for name, node in functions.items()
        if name in needing
        and name.startswith("test_")
        and not any(_says(each, marks) for each in node.decorator_list)
    ]


def _functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef):
            yield node


def _marks(tree: ast.Module) -> dict[str, ast.expr]:
    """What a module assigns at its top, such as `posix = pytest.mark.skipif(…)`."""
    return {
        target.id: node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _says(mark: ast.expr | None, marks: dict[str, ast.expr] | None = None) -> bool:
    if mark is None:
        return False
    meant = (marks or {}).get(mark.id, mark) if isinstance(mark, ast.Name) else mark
    return any(word in ast.unparse(meant) for word in _SAID)


def _needing(functions: dict[str, ast.FunctionDef]) -> set[str]:
    """Functions that use POSIX, and those that use them, as helper or as fixture."""
    needing = {name for name, node in functions.items() if _uses(node) and not _asks(node)}
    while True:
        more = {
            name
            for name, node in functions.items()
            if name not in needing and needing & _named(node)
        }
        if not more:
            return needing
        needing |= more


def _uses(node: ast.AST) -> bool:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Attribute) and inner.attr in _ATTRIBUTES:
            return True
        if isinstance(inner, ast.Import) and any(n.name in _MODULES for n in inner.names):
            return True
    return False


def _asks(node: ast.FunctionDef) -> bool:
    """Whether a function itself asks which system this is."""
    body = "\n".join(ast.unparse(each) for each in node.body)
    return any(word in body for word in ("sys.platform", "os.name", "hasattr(os"))


def _named(node: ast.FunctionDef) -> set[str]:
    names = {inner.id for inner in ast.walk(node) if isinstance(inner, ast.Name)}
    return names | {argument.arg for argument in node.args.args}
