"""The lower part of the view: workers, failures, scaling decisions, events."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.text import Text

from tasker.stats import WorkerStatus
from tasker.watch.frame import Frame
from tasker.watch.wording import progress

from .look import Look, Piece
from .room import Wish

_STATES = {"starting": "yellow", "ending": "dim", "parked": "dim", "stuck": "bold red"}
NARROW = 60
"""Columns below which a line has only what matters most."""
_TONES = {"info": "", "good": "green", "warning": "yellow", "bad": "red"}


@dataclass(frozen=True, slots=True)
class Section:
    """A part with a title. Immutable. ``rows`` returns at most so many lines, for at least one."""

    title: str
    count: int
    least: int
    rows: Callable[[int], list[Text]]

    @property
    def wish(self) -> Wish:
        """The lines that it needs, with its title."""
        return Wish(self.count + 1, min(self.count, self.least) + 1) if self.count else Wish(0, 0)

    def lines(self, count: int, look: Look) -> list[Text]:
        """Returns its lines, ``count`` of them."""
        if count < 2:
            return []
        return [look.line((f"{self.title} ".ljust(look.width, look.rule), "dim")), *self.rows(count - 1)]


def sections(frame: Frame, look: Look) -> tuple[Section, ...]:
    """Returns the parts, the most important one first."""
    return (
        Section("workers", len(frame.workers), 4, lambda most: _workers(frame, look, most)),
        Section("failures", len(frame.failures), 2, lambda most: _failures(frame, look, most)),
        Section("scaling", len(frame.decisions), 2, lambda most: _decisions(frame, look, most)),
        Section("events", len(frame.notables), 1, lambda most: _events(frame, look, most)),
    )


# -- workers ----------------------------------------------------------------------------------------------------------


def _workers(frame: Frame, look: Look, most: int) -> list[Text]:
    workers = frame.workers
    rest: list[Text] = []
    if len(workers) > most:
        # Those that people look for: what does not serve, and what has run for longest.
        ranked = sorted(workers, key=_rank)
        workers = tuple(sorted(ranked[: most - 1], key=lambda one: (one.slot, one.generation)))
        rest = [_others(ranked[most - 1 :], look)]
    names = [look.cut(look.clean(one.name), max(8, look.width // 4)) for one in workers]
    width = max(map(cell_len, names), default=0)
    return [*(_worker(one, name, width, look) for one, name in zip(workers, names, strict=True)), *rest]


def _rank(one: WorkerStatus) -> tuple[int, float]:
    return (0 if one.state in _STATES else 1 if one.task is not None else 2), -(one.task_seconds or 0.0)


def _worker(one: WorkerStatus, name: str, width: int, look: Look) -> Text:
    what = (_task(one, look), "") if one.task is not None else (_idle(one), _STATES.get(one.state, "dim"))
    left: list[Piece] = [(name + " " * (width - cell_len(name) + 2), _STATES.get(one.state, ""))]
    if one.progress is not None:  # in front: what is called how is known, and may be long
        left.append((f"{progress(*one.progress)}  ", "cyan"))
    return look.split([*left, what], _figures(one, look))


def _task(one: WorkerStatus, look: Look) -> str:
    label = look.clean((one.task or "").removeprefix("task "))
    arguments = "" if one.arguments is None else f"({look.clean(one.arguments)})"
    return f"{label}{arguments}" if one.attempt <= 1 else f"{label}{arguments}, attempt {one.attempt}"


def _idle(one: WorkerStatus) -> str:
    if one.state != "ready":
        return one.state
    return "cooling down" if one.cooling else "idle"


def _figures(one: WorkerStatus, look: Look) -> list[Piece]:
    """What stands at the right: for how long it has been at it; and where there is room, how much it has done before."""
    since = "" if one.task_seconds is None else f"for {_short(one.task_seconds)}"
    if look.width < NARROW:
        return [(since, "")] if since else []
    memory = "" if one.process is None else f"{one.process.rss / 1e6:,.0f} MB"
    return [(since, ""), (memory.rjust(10), "dim"), (f"{one.served:,} done".rjust(12), "dim")]


def _others(workers: Sequence[WorkerStatus], look: Look) -> Text:
    busy = sum(one.task is not None for one in workers)
    return look.line((f"and {len(workers)} more, of which {busy} run a task", "dim"))


# -- what has happened ------------------------------------------------------------------------------------------------


def _failures(frame: Frame, look: Look, most: int) -> list[Text]:
    return [
        look.split(
            [
                (f"{one.count + one.retried:,} x ", "bold"),
                (look.clean(one.type), "red"),
                (f": {look.clean(one.message)}" if one.message else "", ""),
            ],
            [(_ago(frame.at - one.last, look), "dim")],
        )
        for one in frame.failures[:most]
    ]


def _decisions(frame: Frame, look: Look, most: int) -> list[Text]:
    return [
        look.split(
            [(f"{one.before} {look.arrow} {one.target}  ", "bold"), (look.clean(one.why), "")],
            [(_ago(frame.at - one.at, look), "dim")],
        )
        for one in frame.decisions[:most]
    ]


def _events(frame: Frame, look: Look, most: int) -> list[Text]:
    return [
        look.split([(look.clean(one.text), _TONES[one.tone])], [(_ago(frame.at - one.at, look), "dim")])
        for one in frame.notables[:most]
    ]


def _ago(seconds: float, look: Look) -> str:
    shown = _short(max(0.0, seconds))
    return shown if look.width < NARROW else f"{shown} ago"


def _short(seconds: float) -> str:
    """Returns a duration of which nobody needs more than whole seconds, or tenths."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min {rest:02} s"
