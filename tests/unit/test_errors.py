"""Tests the exception tree."""

from __future__ import annotations

import concurrent.futures
import inspect
import pickle
import queue
from typing import Any

import pytest

from tasker import Attempt, errors

TREE = {
    errors.TaskerError: (Exception,),
    errors.ConfigError: (errors.TaskerError, ValueError),
    errors.ShutdownError: (errors.TaskerError, RuntimeError),
    errors.PausedError: (errors.TaskerError, RuntimeError),
    errors.ResourceError: (errors.TaskerError,),
    errors.MaxRetriesExceeded: (errors.TaskerError,),
    errors.PoisonTask: (errors.TaskerError,),
    errors.NoRetry: (errors.TaskerError,),
    errors.Snooze: (errors.TaskerError,),
    errors.QueueFull: (errors.TaskerError, queue.Full),
    errors.TaskCancelled: (errors.TaskerError, concurrent.futures.CancelledError),
    errors.TaskKilled: (errors.TaskCancelled, concurrent.futures.CancelledError),
    errors.TaskHandedBack: (errors.TaskCancelled, concurrent.futures.CancelledError),
    errors.TaskTimeout: (errors.TaskerError, TimeoutError, concurrent.futures.TimeoutError),
    errors.WorkerLost: (errors.TaskerError,),
    errors.DeadlockError: (errors.TaskerError, RuntimeError),
    errors.TravelError: (errors.TaskerError,),
}


def made(kind: type[Exception]) -> Exception:
    """Returns an error with this text."""
    return errors.Snooze(5, "why") if kind is errors.Snooze else kind("why")


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_is_a(kind: type[Exception]) -> None:
    """Each error is a TaskerError and, if there is one, the standard library's exception for the situation."""
    assert all(issubclass(kind, base) for base in TREE[kind])
    error = made(kind)
    assert isinstance(error, errors.TaskerError)
    assert str(error) == "why"


def test_nothing_else() -> None:
    """The module defines these errors and no others."""
    classes = [kind for _, kind in inspect.getmembers(errors, inspect.isclass)]
    defined = {kind for kind in classes if kind.__module__ == errors.__name__}
    assert defined == {*TREE, errors.RemoteTraceback}  # which is never raised


def test_cancelled_is_not_failed() -> None:
    """Only cancellations are CancelledErrors."""
    cancelled = {kind for kind in TREE if issubclass(kind, concurrent.futures.CancelledError)}
    assert cancelled == {errors.TaskCancelled, errors.TaskHandedBack, errors.TaskKilled}


def test_attempts() -> None:
    """MaxRetriesExceeded carries the number of attempts."""
    assert errors.MaxRetriesExceeded("why", 4).attempts == 4
    assert errors.MaxRetriesExceeded("why").attempts == 0


def test_a_poison_task_has_its_history() -> None:
    """It travels with it, errors included."""
    attempt = Attempt(1, "pool-1", 1, 1, 0.0, 1.0, OSError("gone"), "quarantined")
    copy = pickle.loads(pickle.dumps(errors.PoisonTask("why", (attempt,))))
    assert str(copy) == "why"
    (again,) = copy.attempts
    assert (again.worker, again.verdict, str(again.error)) == ("pool-1", "quarantined", "gone")
    assert errors.PoisonTask("why").attempts == ()


@pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)
def test_pickle(kind: type[Exception]) -> None:
    """Each error can be sent to another process with its text and its attributes."""
    error = kind("why", 4) if kind is errors.MaxRetriesExceeded else made(kind)
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (kind, "why", vars(error))


@pytest.mark.parametrize("wrong", [-1, "5", None, True, float("nan"), float("inf"), 10**400])
def test_wrong_seconds(wrong: Any) -> None:
    """A task can only snooze for a time that comes to an end."""
    with pytest.raises(ValueError, match=r"Snooze\.seconds must be .*, got "):
        errors.Snooze(wrong)


def test_a_snooze_says_for_how_long() -> None:
    """Unless a reason is given."""
    assert str(errors.Snooze(2.5)) == "not before 2.5 seconds have passed"
    assert (errors.Snooze(2.5).seconds, errors.Snooze(0, "busy").reason) == (2.5, "busy")
