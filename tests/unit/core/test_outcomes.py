"""What the errors that tasks raise mean for their futures."""

from __future__ import annotations

from typing import Any

import pytest

from tasker import NoRetry, Snooze, TaskCancelled, TaskKilled
from tasker.core.outcomes import attribute, carried, obeyed, snooze_of, snoozes, starts_once, without_first_frame


class Headless(Exception):
    """An error that raises where it is asked for its class."""

    @property
    def __class__(self) -> Any:  # type: ignore[override]
        raise SystemExit


class Sub(StopIteration):
    """A kind of StopIteration."""


@pytest.mark.parametrize("kind", [ValueError, SystemExit, StopAsyncIteration, Headless], ids=lambda kind: kind.__name__)
def test_an_error_is_carried_as_it_is(kind: type[BaseException]) -> None:
    """The future has the very error."""
    error = kind()
    assert carried(error) is error


@pytest.mark.parametrize("error", [StopIteration("over"), Sub()], ids=lambda e: type(e).__name__)
def test_stop_iteration(error: StopIteration) -> None:
    """A RuntimeError that it has caused stands in its place."""
    instead = carried(error)
    assert (type(instead), str(instead)) == (RuntimeError, "the task raised StopIteration")
    assert instead.__cause__ is error


def test_an_error_that_says_no() -> None:
    """NoRetry and its subclasses are as good as once."""
    assert starts_once(OSError(), once=True)
    assert starts_once(NoRetry(), once=False)
    assert not starts_once(OSError(), once=False)


def test_an_error_that_says_later() -> None:
    """By its class, whatever it pretends to be."""
    assert snoozes(Snooze(1))
    assert not snoozes(Headless())


@pytest.mark.parametrize(
    ("cause", "kind"),
    [(TaskCancelled("mine"), TaskCancelled), (TaskKilled("all"), TaskKilled), (OSError(), TaskCancelled)],
)
def test_a_snooze_of_a_task_that_was_cancelled(cause: Exception, kind: type[TaskCancelled]) -> None:
    """It is how the task obeys."""
    error = Snooze(1)
    cancellation = obeyed(error, cause, "task #7")
    assert (type(cancellation), str(cancellation)) == (kind, f"task #7 was cancelled: {cause}")
    assert cancellation.__cause__ is error


def test_the_first_frame_is_removed() -> None:
    """What has caught the error is in its traceback no more; an error that was never raised has none."""

    def fail() -> None:
        raise OSError

    caught: list[OSError] = []
    try:
        fail()
    except OSError as error:
        caught.append(error)
    before = caught[0].__traceback__
    assert before is not None
    without_first_frame(caught[0])
    assert caught[0].__traceback__ is before.tb_next
    unraised = OSError()
    without_first_frame(unraised)
    assert unraised.__traceback__ is None


class Closed(Exception):
    """It raises whenever it is asked for anything."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)


def test_the_first_frame_of_an_error_that_can_not_be_asked() -> None:
    """Is removed all the same."""
    caught: list[BaseException] = []
    try:
        raise Closed
    except Closed as error:
        caught.append(error)
    without_first_frame(caught[0])
    assert attribute(caught[0], "__traceback__") is None


class Timeless(Snooze):
    """Made without the constructor of its class."""

    def __init__(self) -> None:
        pass


class Moody(Snooze):
    """Its seconds are whatever a class makes of them."""

    def __init__(self, answer: Any) -> None:
        super().__init__(1)
        self.answer = answer

    def __getattribute__(self, name: str) -> Any:
        if name != "seconds":
            return super().__getattribute__(name)
        if isinstance(self.answer, BaseException):
            raise self.answer
        return self.answer


@pytest.mark.parametrize(
    "error",
    [
        OSError(),
        Timeless(),
        *(Moody(answer) for answer in (SystemExit(), -1, "5", True, float("nan"), float("inf"), None, 10**400)),
    ],
)
def test_no_time_to_come_again(error: BaseException) -> None:
    """Then it is an error like any other."""
    assert snooze_of(error) is None


@pytest.mark.parametrize("seconds", [0, 2.5, 10**9])
def test_when_to_come_again(seconds: float) -> None:
    """As the task has said."""
    assert snooze_of(Snooze(seconds)) == seconds
    assert snooze_of(Moody(seconds)) == seconds
