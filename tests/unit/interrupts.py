"""Raises Ctrl-C at every single moment at which CPython checks for signals, one after the other.

At each of these moments a signal is pending. Its handler counts the moments, raises the signal again, and raises
``KeyboardInterrupt`` at the requested moment. So nothing is left to chance, and the code under test is interrupted only
where it can be interrupted in fact.
"""

from __future__ import annotations

import _thread
import gc
import signal
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from types import CodeType, FrameType
from typing import Any

_SIGNAL = signal.SIGUSR2


class Moments:
    """Counts the moments inside one call, in the named functions or, if none are named, in all that it calls."""

    def __init__(self, number: int, functions: Iterable[Any], reenter: Callable[[], object] | None = None) -> None:
        self.struck: str | None = None
        """Where the interrupt struck, if it did."""
        self._left = number
        self._reenter = reenter
        """What the handler calls in place of raising, if it is given."""
        self._codes: frozenset[CodeType] = frozenset(function.__code__ for function in functions)
        self._armed = False
        self._put_up: Iterator[object] = iter(partial(_thread.interrupt_main, _SIGNAL), object())

    def call(self, fn: Callable[[], Any]) -> Any:
        """Calls `fn`, and interrupts it at the moment of this number."""
        before = signal.signal(_SIGNAL, self._look)
        # Hypothesis measures the collector by a callback, in whose frame an interrupt would say nothing of the code
        # under test.
        observers, gc.callbacks[:] = gc.callbacks[:], []
        try:
            return self._call(fn)
        finally:
            self._armed = False
            gc.callbacks[:] = observers
            signal.signal(_SIGNAL, before)

    def _call(self, fn: Callable[[], Any]) -> Any:
        self._armed = True
        signal.raise_signal(_SIGNAL)
        try:
            return fn()
        finally:
            self._armed = False

    def _look(self, signum: int, frame: FrameType | None) -> None:
        if not self._armed:
            return
        if frame is not None and self._counts(frame):
            if not self._left:
                self._armed = False
                self.struck = f"{frame.f_code.co_qualname}:{frame.f_lineno}"
                if self._reenter is None:
                    raise KeyboardInterrupt(self.struck)
                self._reenter()
                return
            self._left -= 1
        # CPython does not check for signals after the step of an iterator; otherwise this would never end.
        for _ in self._put_up:
            return

    def _counts(self, frame: FrameType) -> bool:
        if self._codes:
            return frame.f_code in self._codes
        if frame.f_code in _OURS:
            return False
        up: FrameType | None = frame
        while up is not None:
            # Called for an object that is collected just now, whoever it belongs to: what strikes there is raised nowhere.
            if up.f_code.co_qualname in _REMOVALS:
                return False
            if up.f_code is Moments._call.__code__:
                return True
            up = up.f_back
        return False


_REMOVALS = frozenset(
    f"{kind}.__init__.<locals>.{name}"
    for kind, name in (("WeakKeyDictionary", "remove"), ("WeakValueDictionary", "remove"), ("WeakSet", "_remove"))
)
_OURS = frozenset({Moments.call.__code__, Moments._call.__code__, Moments._look.__code__})


def each_moment(
    fn: Callable[[], Any], *functions: Any, most: int = 2000, reenter: Callable[[], object] | None = None
) -> Iterator[tuple[str | None, Any, BaseException | None]]:
    """Calls `fn` again and again, and interrupts it one moment later each time, until it is not interrupted any more.
    Yields where it was interrupted (None the last time), its result and its error. With `reenter`, the interrupt is a call
    of that."""
    for number in range(most):
        moments = Moments(number, functions, reenter)
        value, error = None, None
        try:
            value = moments.call(fn)
        except BaseException as raised:
            error = raised
        yield moments.struck, value, error
        if moments.struck is None:
            return
    raise AssertionError(f"more than {most} moments")
