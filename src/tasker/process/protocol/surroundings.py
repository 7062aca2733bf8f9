"""What a child has of its parent's surroundings: ``sys.path``, ``sys.argv``, the environment, the current directory, and the
key of ``multiprocessing``.

They are sent when the child starts, before anything that has to be imported: a child that is forked has those of the fork
server, which are as old as that is.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.process import current_process
from typing import Any


@dataclass(slots=True)
class Surroundings:
    """See the module's docstring."""

    path: list[str]
    argv: list[str]
    environ: dict[str, str]
    folder: str | None
    authkey: bytes
    """With another one, the proxies of a ``multiprocessing.Manager`` cannot connect."""


_inherited = frozenset(os.environ)
"""The variables that this process was started with."""


def texts(several: Iterable[Any]) -> list[str]:
    """Returns those that are strings. What else is in ``sys.path`` is ignored by imports."""
    return [str.__str__(each) for each in several if isinstance(each, str)]


def own_surroundings() -> Surroundings:
    """Returns those of this process."""
    try:
        folder = os.getcwd()  # noqa: PTH109  the bare text
    except OSError:  # removed
        folder = None
    return Surroundings(texts(sys.path), texts(sys.argv), dict(os.environ), folder, bytes(current_process().authkey))


def take_over(surroundings: Surroundings) -> None:
    """Makes them this process's own."""
    sys.argv[:] = surroundings.argv
    for name in _inherited - surroundings.environ.keys():  # not what a preloaded module has set
        os.environ.pop(name, None)
    os.environ.update(surroundings.environ)
    if surroundings.folder is not None:
        try:
            os.chdir(surroundings.folder)
        except OSError:  # removed meanwhile, or not this process's to enter
            pass
    sys.path[:] = surroundings.path
    importlib.invalidate_caches()
    current_process().authkey = surroundings.authkey
