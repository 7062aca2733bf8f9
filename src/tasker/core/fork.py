"""Disables in a forked child what exists in its parent alone.

A child has a copy of every object, but of the threads only the one that called ``os.fork``. So whatever relies on other
threads, or shares a descriptor with the parent, has to be disabled there.
"""

from __future__ import annotations

import os
import signal
import threading
import weakref
from typing import Protocol


class Inherited(Protocol):
    """What a forked child gets a copy of and must not use as the parent does."""

    def forked(self) -> None:
        """Called in the child, in its only thread, before ``os.fork`` returns there."""


# Weak: the hook, which is never removed, must not keep alive what has ended.
_inherited: weakref.WeakKeyDictionary[Inherited, tuple[int, ...]] = weakref.WeakKeyDictionary()
_masks: dict[int, set[int]] = {}
"""The signals that were blocked before, in each thread that is forking."""
_unhooked = [True]
"""Emptied by the thread that installs the hooks: of several, one can."""


def disable_in_children(inherited: Inherited, signums: tuple[int, ...] = ()) -> None:
    """Has ``inherited.forked`` called in each forked child, as long as it is alive. ``signums``: signals that the child
    must not receive before that."""
    _inherited[inherited] = signums
    try:
        _unhooked.pop()
    except IndexError:
        return
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=_before, after_in_parent=_after, after_in_child=_forked)


def _living() -> list[Inherited]:
    # By ``keyrefs``, which copies in one step: another thread may add to the dictionary at any time.
    living = [reference() for reference in _inherited.keyrefs()]
    return [inherited for inherited in living if inherited is not None]


def _before() -> None:
    signums = {signum for inherited in _living() for signum in _inherited.get(inherited, ())}
    if signums:
        _masks[threading.get_ident()] = signal.pthread_sigmask(signal.SIG_BLOCK, signums)


def _after() -> None:
    mask = _masks.pop(threading.get_ident(), None)
    if mask is not None:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _forked() -> None:
    errors: list[BaseException] = []
    # The latest first: each puts back what it found, such as a signal handler.
    for inherited in reversed(_living()):
        try:
            inherited.forked()
        except BaseException as error:  # the others have to be disabled all the same
            errors.append(error)
    _after()
    if errors:
        raise errors[0]  # which Python reports, and ignores
