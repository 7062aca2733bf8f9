"""Disables in a forked child what exists in its parent alone.

A child has a copy of every object, but of the threads only the one that called ``os.fork``. So whatever relies on other
threads, or shares a descriptor with the parent, has to be disabled there.
"""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class Inherited(Protocol):
    """What a forked child gets a copy of and must not use as the parent does."""

    def forked(self) -> None:
        """Called in the child, in its only thread, before ``os.fork`` returns there."""


# Weak: the hook, which is never removed, must not keep alive what has ended.
_inherited: weakref.WeakSet[Inherited] = weakref.WeakSet()
_hooked: list[bool] = []


def disable_in_children(inherited: Inherited) -> None:
    """Has ``inherited.forked`` called in each forked child, as long as it is alive."""
    _inherited.add(inherited)
    if not _hooked:
        _hooked.append(True)
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=_forked)


def _forked() -> None:
    for inherited in list(_inherited):
        inherited.forked()
