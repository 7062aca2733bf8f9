"""How another interpreter is started: with this one's flags and ``sys.path``, and a function to call.

``sys.path`` and the arguments go through a file, because they may be longer than an argument of a program may be. The program
reads it with modules that are built in: any other could be one of the same name in the current directory.
"""

from __future__ import annotations

import marshal
import os
import sys
from typing import Any

from tasker.errors import ResourceError

from .protocol.shared_memory import file_in_memory
from .protocol.surroundings import texts

_PROGRAM = """\
import marshal, posix, sys
sys.path[:], arguments = marshal.loads(posix.pread({fd}, posix.fstat({fd}).st_size, 0))
posix.close({fd})
from {module} import main
main(*arguments)
"""
_LIKE_MULTIPROCESSING = "from multiprocessing.forkserver import main\n"
"""The ``multiprocessing.freeze_support`` of PyInstaller and cx_Freeze runs a program that begins like this."""


def command(module: str, *arguments: Any) -> tuple[list[str], int]:
    """Returns how to start an interpreter that calls ``main`` of a module, and a descriptor that it has to inherit under
    the same number. The arguments are of types that ``marshal`` takes."""
    import subprocess  # noqa: PLC0415  a fork server that forks does not need it

    path = _executable()  # first: behind it is a descriptor
    flags = subprocess._args_from_interpreter_flags()  # type: ignore[attr-defined]
    fd = file_in_memory([memoryview(marshal.dumps((texts(sys.path), arguments)))])
    program = _PROGRAM.format(module=module, fd=fd)
    if getattr(sys, "frozen", False):  # the executable is the program itself
        program = _LIKE_MULTIPROCESSING + program
    return [path, *flags, "-c", program], fd


def _executable() -> str:
    """Returns the path of the interpreter. ``ResourceError`` if there is none."""
    # A program in which Python is embedded says it to ``multiprocessing``.
    spawn = None if getattr(sys, "frozen", False) else sys.modules.get("multiprocessing.spawn")
    path = (spawn.get_executable() if spawn is not None else None) or sys.executable
    if not path:
        raise ResourceError(
            "this Python is embedded in another program: call multiprocessing.set_executable() with the path of an interpreter"
        )
    return os.fsdecode(path)
