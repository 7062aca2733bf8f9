"""The history of a task: what its attempts were, as far as they failed and another one followed.

A task that ends with its first attempt has no history, and costs none: what is known of that attempt, the future knows
anyway. Of a long history the first and the last attempts are kept, so a task that is tried for days takes no more memory than
one that is tried ten times.

The errors are kept without their tracebacks. A traceback holds the frames of the task, and they hold the resource, which may
be destroyed by then, and the arguments. In its place stand the names of files and functions.
"""

from __future__ import annotations

from collections import deque
from contextlib import suppress
from typing import Protocol

from tasker.attempt import Attempt
from tasker.control.attempts import Verdict
from tasker.control.wording import duration
from tasker.errors import TaskKilled
from tasker.logs import describe

from .outcomes import attribute

FIRST, LAST = 5, 5
"""How many attempts are kept of a long history, at its beginning and at its end."""
MOST_FRAMES = 30
_MOST_ERRORS = 30
_LONGEST = 300
"""Characters of an error in a note."""
History = tuple[Attempt, ...]
_EARLIER = ("try again", "killed")
"""The verdicts after which the outcome says nothing of the attempt's error."""


class Tried(Protocol):
    """The part of a future from which its present attempt is known. Besides these, the slots ``_worker``, ``_started_at`` and
    ``_finished_at``, which are not set from the beginning."""

    _queued_at: float

    @property
    def attempts(self) -> int: ...


def after(history: History, task: Tried, error: BaseException | None, verdict: Verdict) -> History:
    """Returns the history with the attempt that has just ended, in place of what it has of that attempt. Calls nothing of the
    user's."""
    number = task.attempts
    frames = () if error is None else _frames(error)
    if history and history[-1].number == number:
        frames = frames or history[-1].frames  # the error may have lost its own meanwhile
        history = history[:-1]
    before = history[-1].ended_at if history else task._queued_at
    started = getattr(task, "_started_at", before)
    # That of an earlier attempt, where the end of this one was not noted.
    ended = max(started, getattr(task, "_finished_at", started))
    worker = getattr(task, "_worker", "")
    attempt = Attempt(
        number=number,
        worker=str(worker),
        slot=getattr(worker, "slot", 0),
        generation=getattr(worker, "generation", 0),
        wait=max(0.0, started - before),
        run=ended - started,
        error=error,
        verdict=verdict.value,
        ended_at=ended,
        frames=frames,
    )
    return (*history[:FIRST], *history[FIRST:][1 - LAST :], attempt)


def with_last(history: History, task: Tried, error: BaseException | None, verdict: Verdict) -> History:
    """Returns the history of a task that is done, with the attempt that brought the outcome, unless that is in it or there was
    none."""
    known = history[-1].number if history else 0
    return history if task.attempts <= known else after(history, task, error, verdict)


def verdict_of(error: BaseException | None, *, cancelled: bool) -> Verdict:
    """Returns the verdict on the attempt that brought an outcome other than a result."""
    if not cancelled:
        return Verdict.ENDED
    return Verdict.KILLED if issubclass(type(error), TaskKilled) else Verdict.CANCELLED


def _frames(error: BaseException) -> tuple[tuple[str, int, str], ...]:
    found: deque[tuple[str, int, str]] = deque(maxlen=MOST_FRAMES)
    trace = attribute(error, "__traceback__")
    while trace is not None:
        code = trace.tb_frame.f_code
        found.append((code.co_filename, trace.tb_lineno or 0, code.co_qualname))
        trace = trace.tb_next
    return (*found,)


def forget_frames(error: BaseException) -> None:
    """Takes the tracebacks from an error and from those that it was raised from, and the error that happened to be handled
    when it was raised. Calls nothing of the user's."""
    seen: set[int] = set()
    due = [error]
    while due and len(seen) < _MOST_ERRORS:
        one = due.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        BaseException.with_traceback(one, None)
        # It may be handled to this moment, by who called the task, so its own traceback is left alone.
        BaseException.__dict__["__context__"].__set__(one, None)
        cause = attribute(one, "__cause__")
        if cause is not None:
            due.append(cause)
        if issubclass(type(one), BaseExceptionGroup):
            due += BaseExceptionGroup.__dict__["exceptions"].__get__(one)


def tell(error: BaseException, label: str, history: History) -> None:
    """Adds the earlier attempts of a task to the error that is its outcome, as one note. Never raises.

    The same error may be the outcome of several tasks. Then it has one note for each manager, on the task that ended last.
    """
    earlier = [attempt for attempt in history if attempt.verdict in _EARLIER]
    if not earlier:
        return
    head = f"{earlier[0].worker.rpartition('-')[0]}: earlier attempts of task "
    with suppress(BaseException):  # of the error's class, which may be anything; the outcome is delivered all the same
        _note(error, head, f"{head}{label.removeprefix('task ')}:\n" + "\n".join(_lines(earlier)))


def _note(error: BaseException, head: str, text: str) -> None:
    notes = getattr(error, "__notes__", None)
    for place, note in enumerate(notes if type(notes) is list else ()):
        if type(note) is str and note.startswith(head):
            notes[place] = text  # type: ignore[index]
            return
    BaseException.add_note(error, text)


def _lines(earlier: list[Attempt]) -> list[str]:
    lines = []
    last = earlier[0].number - 1
    for attempt in earlier:
        if attempt.number != last + 1:
            lines.append(f"  ... {attempt.number - last - 1} more ...")
        last = attempt.number
        # In one line, since one line is what most logs show of it.
        said = " ".join(describe(attempt.error).split()) if attempt.error is not None else "no error"
        said = said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."
        times = f"waited {duration(attempt.wait)}, ran {duration(attempt.run)}"
        lines.append(f"  {attempt.number}. on {attempt.worker} (generation {attempt.generation}), {times}: {said}")
    return lines
