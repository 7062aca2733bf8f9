"""The history of a task: what is kept of its attempts, and what its outcome tells of them."""

from __future__ import annotations

import enum
import gc
import pickle
import weakref
from dataclasses import dataclass, field
from typing import Any, get_args

import pytest

from tasker import Attempt, TaskCancelled, TaskKilled
from tasker.attempt import AttemptVerdict
from tasker.control.attempts import Verdict
from tasker.control.events import Seat
from tasker.core.history import (
    FIRST,
    LAST,
    MOST_FRAMES,
    History,
    after,
    forget_frames,
    tell,
    verdict_of,
    with_last,
)
from tasker.core.identity import WorkerName


@dataclass
class Task:
    """What is read of a future."""

    attempts: int = 1
    _queued_at: float = 10.0
    _started_at: float = 12.0
    _finished_at: float = 15.0
    _worker: str = field(default_factory=lambda: WorkerName.of("crew", Seat(2, 7)))


def raised(error: BaseException, depth: int = 0) -> BaseException:
    """The error, raised so many calls below this one."""
    try:
        if depth:
            raised_below(error, depth)
        raise error
    except BaseException as caught:
        return caught


def raised_below(error: BaseException, depth: int) -> None:
    """Raise the error."""
    if depth > 1:
        raised_below(error, depth - 1)
    raise error


def tried(times: int) -> History:
    """The history after so many attempts that other ones follow, each of them 1 s of waiting and 2 s of work."""
    history: History = ()
    for n in range(1, times + 1):
        task = Task(n, 0.0, 3.0 * n - 2, 3.0 * n)
        history = after(history, task, OSError(f"no {n}"), Verdict.TRY_AGAIN)
    return history


def test_an_attempt() -> None:
    """What a future says of it."""
    error = OSError("gone")
    (attempt,) = after((), Task(), error, Verdict.TRY_AGAIN)
    assert attempt == Attempt(1, "crew-2", 2, 7, 2.0, 3.0, error, "try again", 15.0)
    assert type(attempt.worker) is str


def test_the_next_attempt_waits_from_the_end_of_the_one_before() -> None:
    """And not from the submission."""
    assert [(one.wait, one.run) for one in tried(3)] == [(1.0, 2.0)] * 3


def test_what_is_not_known() -> None:
    """No time ran for an attempt whose end was not noted, as that of an earlier one stands there; a name is but a name."""
    (attempt,) = after((), Task(_started_at=16.0, _worker="crew-2"), None, Verdict.SUCCEEDED)
    assert (attempt.run, attempt.ended_at, attempt.slot, attempt.generation) == (0.0, 16.0, 0, 0)

    class Unstarted:
        attempts = 1
        _queued_at = 3.0

    (attempt,) = after((), Unstarted(), None, Verdict.ENDED)
    assert (attempt.worker, attempt.wait, attempt.run) == ("", 0.0, 0.0)


def test_a_verdict_is_corrected() -> None:
    """An attempt that is there already is replaced, not added."""
    history = after(tried(2), Task(2, 0.0, 4.0, 6.0), OSError("no 2"), Verdict.ENDED)
    assert [(one.number, one.verdict, one.wait) for one in history] == [(1, "try again", 1.0), (2, "ended", 1.0)]


def test_a_correction_keeps_the_frames() -> None:
    """The error may have lost its own by then."""
    error = raised(OSError("gone"))
    history = after((), Task(), error, Verdict.TRY_AGAIN)
    forget_frames(error)
    (attempt,) = after(history, Task(), error, Verdict.ENDED)
    assert attempt.frames == history[0].frames != ()


@pytest.mark.parametrize("times", [1, 9, 10, 11, 12, 100])
def test_a_long_history_is_bounded(times: int) -> None:
    """The first and the last attempts are kept."""
    kept = [one.number for one in tried(times)]
    every = [*range(1, times + 1)]
    assert kept == (every if times <= FIRST + LAST else every[:FIRST] + every[-LAST:])


def test_the_last_attempt_is_computed() -> None:
    """Unless it is in the history, or there was none."""
    history = tried(1)
    assert [one.verdict for one in with_last(history, Task(2), None, Verdict.SUCCEEDED)] == ["try again", "succeeded"]
    assert with_last(history, Task(1), None, Verdict.CANCELLED) is history
    assert with_last((), Task(0), None, Verdict.CANCELLED) == ()


def test_the_verdicts_are_public() -> None:
    """Attempt.verdict has the value of each."""
    assert issubclass(Verdict, enum.Enum)
    assert {verdict.value for verdict in Verdict} == {*get_args(AttemptVerdict)}


@pytest.mark.parametrize(
    ("error", "cancelled", "verdict"),
    [
        (OSError(), False, Verdict.ENDED),
        (TaskKilled(), False, Verdict.ENDED),
        (TaskCancelled(), True, Verdict.CANCELLED),
        (TaskKilled(), True, Verdict.KILLED),
    ],
)
def test_the_verdict_on_an_outcome(error: BaseException, cancelled: bool, verdict: Verdict) -> None:
    """A kill is told from a cancellation by its error."""
    assert verdict_of(error, cancelled=cancelled) is verdict


# -- errors and their frames ------------------------------------------------------------------------------------------


def test_where_an_error_was_raised() -> None:
    """File, line and function, as values; a traceback as text is made of them when it is asked for."""
    (attempt,) = after((), Task(), raised(OSError("gone"), 2), Verdict.TRY_AGAIN)
    assert [name for _, _, name in attempt.frames] == ["raised", "raised_below", "raised_below"]
    assert {file for file, _, _ in attempt.frames} == {__file__}
    assert attempt.traceback.count("raise error") == 1
    assert after((), Task(), OSError("gone"), Verdict.TRY_AGAIN)[0].traceback == ""


def test_a_deep_stack() -> None:
    """The innermost calls are kept."""
    (attempt,) = after((), Task(), raised(OSError("gone"), 100), Verdict.TRY_AGAIN)
    assert [name for _, _, name in attempt.frames] == ["raised_below"] * MOST_FRAMES


def test_an_attempt_can_be_pickled() -> None:
    """With its frames and its error."""
    (attempt,) = after((), Task(), raised(OSError("gone")), Verdict.TRY_AGAIN)
    again = pickle.loads(pickle.dumps(attempt))
    assert again.error.args == ("gone",)
    assert (again.frames, again.worker, again.verdict) == (attempt.frames, "crew-2", "try again")


class Held:
    """A resource, in a frame."""


def failing(kind: str) -> tuple[BaseException, weakref.ref[Held]]:
    """An error in whose frames, or in those of an error that it is linked to, there is a resource."""
    resource = Held()
    try:
        try:
            raise OSError("gone")
        except OSError as behind:
            if kind == "cause":
                raise ValueError("up") from behind
            if kind == "group":
                raise ExceptionGroup("up", [behind]) from None
            raise ValueError("up")  # noqa: B904
    except Exception as error:
        return error, weakref.ref(resource)


@pytest.mark.parametrize("kind", ["cause", "context", "group"])
def test_an_error_does_not_keep_a_resource(kind: str) -> None:
    """Neither by its own frames, nor by those of the errors behind it."""
    gc.disable()  # what is let go of goes at once: there is no cycle
    try:
        error, resource = failing(kind)
        assert resource() is not None
        forget_frames(error)
        assert resource() is None
    finally:
        gc.enable()
    assert (error.__cause__ is not None) == (kind == "cause")


def test_errors_that_go_round_in_a_circle() -> None:
    """Each is looked at once, and of very many some."""
    one, other = raised(OSError("one")), raised(OSError("other"))
    one.__cause__, other.__cause__ = other, one
    forget_frames(one)
    assert one.__traceback__ is other.__traceback__ is None
    many = [raised(OSError()) for _ in range(100)]
    forget_frames(ExceptionGroup("many", many))  # type: ignore[type-var]
    assert any(error.__traceback__ for error in many)
    one.__cause__ = None


def test_what_is_being_handled_is_left_alone() -> None:
    """The error that the caller of a task handles at the time is not the task's."""
    handled = raised(OSError("handled"))
    error = raised(ValueError("up"))
    error.__context__ = handled
    forget_frames(error)
    assert error.__context__ is None
    assert handled.__traceback__ is not None


# -- notes ------------------------------------------------------------------------------------------------------------


def test_a_note() -> None:
    """One line for each earlier attempt."""
    error = ValueError("end")
    tell(error, "task #7 mod.fn", with_last(tried(2), Task(3), error, Verdict.ENDED))
    assert error.__notes__ == [
        (
            "crew: earlier attempts of task #7 mod.fn:\n"
            "  1. on crew-2 (generation 7), waited 1.0 s, ran 2.0 s: OSError: no 1\n"
            "  2. on crew-2 (generation 7), waited 1.0 s, ran 2.0 s: OSError: no 2"
        )
    ]


def test_no_note() -> None:
    """Nothing was tried before."""
    error = ValueError("end")
    tell(error, "task #7", after((), Task(), error, Verdict.ENDED))
    assert not hasattr(error, "__notes__")


def test_a_long_note() -> None:
    """It says how many are left out, and long messages and those of several lines are cut to one."""
    error = ValueError("end")
    history = after(tried(20), Task(21), OSError("a\nb " + "c" * 1000), Verdict.TRY_AGAIN)
    tell(error, "task #7", history)
    lines = error.__notes__[0].splitlines()
    assert lines[6] == "  ... 11 more ..."
    assert len(lines) == 1 + FIRST + 1 + LAST
    assert "OSError: a b ccc" in lines[-1]
    assert len(lines[-1]) < 400
    assert lines[-1].endswith("ccc...")


def test_an_attempt_without_an_error() -> None:
    """It is told all the same."""
    error = ValueError("end")
    tell(error, "task #7", after((), Task(), None, Verdict.KILLED))
    assert error.__notes__[0].endswith("ran 3.0 s: no error")


def test_an_error_has_one_note_of_each_manager() -> None:
    """That of the task that ended last. Other notes stay."""
    error = ValueError("end")
    error.add_note("mine")
    for number in range(3):
        tell(error, f"task #{number}", tried(1))
    other = after((), Task(_worker=WorkerName.of("else", Seat(1, 1))), OSError(), Verdict.TRY_AGAIN)
    tell(error, "task #7", other)
    heads = [note.splitlines()[0] for note in error.__notes__]
    assert heads == ["mine", "crew: earlier attempts of task #2:", "else: earlier attempts of task #7:"]


class Hostile(Exception):
    """It has its own ideas about attributes."""

    def __getattribute__(self, name: str) -> Any:
        raise SystemExit(name)


def test_a_hostile_error() -> None:
    """It can be kept and told about, and nothing of it is called but its text."""
    error = raised(Hostile("no"))
    history = after((), Task(), error, Verdict.TRY_AGAIN)
    assert history[0].frames
    forget_frames(error)
    tell(error, "task #7", history)
    told = ValueError("end")
    tell(told, "task #7", history)
    assert "Hostile" in told.__notes__[0]
