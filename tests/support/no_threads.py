"""A system that has no more threads, or no memory for one."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

ERRORS = pytest.mark.parametrize("error", [RuntimeError("can't start new thread"), MemoryError()], ids=repr)


def refusing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, BaseException, int], list[str]]:
    """Returns a function that makes the next starts of threads of a name fail; it returns the names of those that were refused."""
    real = threading.Thread.start

    def refuse(name: str, error: BaseException, times: int = 1) -> list[str]:
        refused: list[str] = []

        def start(thread: threading.Thread) -> None:
            if thread.name == name and len(refused) < times:
                refused.append(thread.name)
                raise error
            real(thread)

        monkeypatch.setattr(threading.Thread, "start", start)
        return refused

    return refuse
