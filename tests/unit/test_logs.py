"""Tests the guard around the user's logger, and how errors and tasks are named."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from tasker.logs import GuardedLogger, describe, formatted, task_name


class Broken(Exception):
    """An error whose text cannot be made."""

    def __str__(self) -> str:
        raise RuntimeError("no")


class Recorder:
    """Records what is logged, or raises."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.raises = error
        self.lines: list[tuple[str, str]] = []

    def _log(self, level: str, msg: str, *args: object) -> None:
        if self.raises is not None:
            raise self.raises
        self.lines.append((level, msg % args))

    def __getattr__(self, level: str) -> Any:
        return functools.partial(self._log, level)


@pytest.fixture
def faults() -> list[int]:
    """Collects what the guard counts."""
    return []


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_hands_on(level: str, faults: list[int]) -> None:
    """A line reaches the user's logger at its level, with its arguments."""
    logger = Recorder()
    GuardedLogger(logger, "m", lambda: faults.append(1)).log(level, "%s of %d", "one", 2)
    assert (logger.lines, faults) == ([(level, "m: one of 2")], [])


@pytest.mark.parametrize("error", [ValueError(), SystemExit(), KeyboardInterrupt()])
def test_logger_that_raises(error: BaseException, faults: list[int]) -> None:
    """An error that a logger raises is counted and goes no further."""
    guard = GuardedLogger(Recorder(error), "m", lambda: faults.append(1))
    guard.log("info", "x")
    assert faults == [1]
    guard.fault("a callback", ValueError())
    assert faults == [1] * 3


def test_fault(faults: list[int]) -> None:
    """An error of user code is counted, and logged with its traceback."""
    logger = Recorder()
    try:
        raise ValueError("oops")
    except ValueError as error:
        GuardedLogger(logger, "m", lambda: faults.append(1)).fault("check_health", error)
    ((level, line),) = logger.lines
    assert (level, faults) == ("error", [1])
    first, second, *_ = line.splitlines()
    assert first == "m: check_health raised ValueError: oops"
    assert second == "Traceback (most recent call last):"
    assert "test_logs.py" in line


def test_describe() -> None:
    """An error is described by type and message, or by type alone if its message cannot be made."""
    assert describe(ValueError("oops")) == "ValueError: oops"
    assert describe(Broken()) == "Broken"


def test_formatted() -> None:
    """A traceback is text without a newline at its end, even if the error's own text cannot be made."""
    assert formatted(ValueError("oops")) == "ValueError: oops"
    assert "Broken" in formatted(Broken())


class Weird(Exception):
    """An error for which the traceback module itself fails."""

    @property
    def __cause__(self) -> Any:  # type: ignore[override]
        raise RuntimeError("no")


def test_formatted_where_traceback_gives_up() -> None:
    """If no traceback can be made, the description takes its place."""
    assert formatted(Weird("odd")) == "Weird: odd"


class Callable:
    """Has a __call__."""

    def __call__(self) -> None:
        """Do nothing."""

    def method(self) -> None:
        """Do nothing."""


def test_task_name() -> None:
    """A task is named by its module and qualified name, a partial by the function in it, an object by its class."""
    assert task_name(test_task_name) == f"{__name__}.test_task_name"
    assert task_name(functools.partial(test_task_name, 1)) == f"{__name__}.test_task_name"
    assert task_name(Callable()) == f"{__name__}.Callable"
    assert task_name(Callable().method) == f"{__name__}.Callable.method"
    assert task_name(len) == "builtins.len"
    assert task_name([].append).endswith("list.append")
