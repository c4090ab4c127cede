"""Shuts a process off before it reads what a stranger wrote."""

import resource
import sys
from types import CodeType

_REFUSED: tuple[str, ...] = (
    "os.",
    "subprocess.",
    "socket.",
    "shutil.",
    "ctypes.",
    "pty.",
    "webbrowser.",
    "tempfile.",
    "glob.",
)
_REFUSED += ("pickle.", "ftplib.", "smtplib.", "urllib.", "http.", "sqlite3.", "signal.pthread_kill", "sys.set")
_ALLOWED = frozenset({"os.listdir", "os.scandir"})  # Python's own import of a module that the library loads late


class Sealed(RuntimeError):
    """What sealed code may not do: run text as code, write, start a process, reach a network."""


def limit(memory_mb: int) -> None:
    """From now on this process has `memory_mb` of address space and writes to no file."""
    size = memory_mb * 2**20
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def seal() -> None:
    """From now on whatever would run text as code, write, start a process or reach a network raises Sealed.

    Not to be undone. Modules may still be imported from their files.
    """
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        refused = _writes(arguments)
    elif event in ("compile", "exec"):
        refused = _from_text(arguments)
    else:
        refused = event.startswith(_REFUSED) and event not in _ALLOWED
    if refused:
        raise Sealed(event)


def _writes(arguments: tuple[object, ...]) -> bool:
    mode = arguments[1] if len(arguments) > 1 else None
    return isinstance(mode, str) and bool(set(mode) & set("wax+"))


def _from_text(arguments: tuple[object, ...]) -> bool:
    """True for code whose source is no file: what eval, exec and compile are given."""
    first = arguments[0] if arguments else None
    name = first.co_filename if isinstance(first, CodeType) else (arguments[1] if len(arguments) > 1 else None)
    name = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
    return not isinstance(name, str) or (name.startswith("<") and not name.startswith("<frozen "))
