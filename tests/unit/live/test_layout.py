"""The view at several sizes: what is shown, what is left out, and that nothing is wider or longer than the screen."""

from __future__ import annotations

import io
from dataclasses import replace
from math import nan
from typing import Any

import pytest

pytest.importorskip("rich")

from rich.cells import cell_len
from rich.console import Console, Group
from rich.text import Text

from tasker.control import notices as say
from tasker.live.layout import screen
from tasker.live.lines import MOST_NEWS, Telling, summary
from tasker.live.look import Look
from tasker.metrics.protocol import TaskMetrics
from tasker.stats import ProcessUsage, TaskStats, WorkerStatus
from tasker.watch.frame import Durations, FailureGroup, Frame, Rates
from tasker.watch.telling import Notable

NOW = 1000.0


def worker(slot: int, task: str | None = None, seconds: float | None = None, **fields: Any) -> WorkerStatus:
    return WorkerStatus(
        **{
            "name": f"reports-{slot}",
            "slot": slot,
            "generation": slot,
            "state": "ready",
            "age": 5.0,
            "served": 10 * slot,
            "task": task,
            "task_seconds": seconds,
            "attempt": 0 if task is None else 1,
            **fields,
        }
    )


def frame(**fields: Any) -> Frame:
    return Frame(
        **{
            "at": NOW,
            "name": "reports",
            "state": "running",
            "stats": TaskStats(
                queued_tasks=1200, priority_tasks=34, running_tasks=2, active_workers=3, starting_workers=1
            ),
            "totals": TaskMetrics(total_tasks_completed=5678, total_tasks_failed=9, total_tasks_retried=3),
            "least": 2,
            "most": 8,
            "target": 4,
            "rates": Rates(120.4, 118.0, 0.5),
            "waits": Durations(0.0012, 0.25, (0.1, nan, 0.25)),
            "executions": Durations(0.1, 2.0, (1.0, 2.0)),
            "workers": (
                worker(1, "task #7 shop.fetch", 12.3),
                worker(2, "task #8 shop.fetch", 0.2, attempt=2, process=ProcessUsage("reports-2", 77, 52_000_000, 1.0)),
                worker(3),
                worker(4, state="starting", age=None),
            ),
            "failures": (
                FailureGroup("ConnectionError", "reset by peer", 4, 3, NOW - 2),
                FailureGroup("ValueError", "no such user", 5, 0, NOW - 75),
            ),
            "decisions": (say.Scaled(NOW - 3, "policy", 2, 4, "30 wait, each takes 2.0 s"),),
            "notables": (Notable(NOW - 4000, "bad", "reports-2 has crashed: exit code -11"),),
            **fields,
        }
    )


def drawn(shown: Frame, look: Look) -> list[str]:
    """Returns the lines as a console of that width records them, and checks that they fit."""
    lines = screen(shown, look)
    console = Console(record=True, width=look.width, height=look.height, file=io.StringIO(), legacy_windows=False)
    console.print(Group(*lines))
    recorded = console.export_text().rstrip("\n").split("\n")
    assert len(recorded) == len(lines) <= look.height
    assert max(map(cell_len, recorded)) <= look.width
    return [line.rstrip() for line in recorded]


def test_80_columns() -> None:
    """Everything is there."""
    assert drawn(frame(), Look(80, 24)) == [
        "reports  running",
        "tasks    queue 1,234  urgent 34  running 2  done 5,678  failed 9  retried 3",
        "workers  3 ready  4 wanted of 2 to 8  1 starting",
        "rate     in 120/s  done 118/s  failed 0.5/s",
        "wait                                                 ▄ █  p50 1.2 ms  p95 250 ms",
        "run                                                    ▅█  p50 100 ms  p95 2.0 s",
        "workers " + "─" * 72,
        "reports-1  #7 shop.fetch                          for 12 s               10 done",
        "reports-2  #8 shop.fetch, attempt 2              for 0.2 s     52 MB     20 done",
        "reports-3  idle                                                          30 done",
        "reports-4  starting                                                      40 done",
        "failures " + "─" * 71,
        "7 x ConnectionError: reset by peer                                     2.0 s ago",
        "5 x ValueError: no such user                                            75 s ago",
        "scaling " + "─" * 72,
        "2 → 4  30 wait, each takes 2.0 s                                       3.0 s ago",
        "events " + "─" * 73,
        "reports-2 has crashed: exit code -11                              1 h 06 min ago",
    ]


def test_40_columns() -> None:
    """The same, with what matters most of each line."""
    assert drawn(frame(), Look(40, 24)) == [
        "reports  running",
        "tasks    queue 1,234  urgent 34",
        "         running 2  done 5,678  failed 9",
        "         retried 3",
        "workers  3 ready  4 wanted of 2 to 8",
        "         1 starting",
        "rate     in 120/s  done 118/s",
        "         failed 0.5/s",
        "wait         ▄ █  p50 1.2 ms  p95 250 ms",
        "run            ▅█  p50 100 ms  p95 2.0 s",
        "workers " + "─" * 32,
        "reports-1  #7 shop.fetch        for 12 s",
        "reports-2  #8 shop.fetch, att… for 0.2 s",
        "reports-3  idle",
        "reports-4  starting",
        "failures " + "─" * 31,
        "7 x ConnectionError: reset by peer 2.0 s",
        "5 x ValueError: no such user        75 s",
        "scaling " + "─" * 32,
        "2 → 4  30 wait, each takes 2.0 s   3.0 s",
        "events " + "─" * 33,
        "reports-2 has crashed: exit…  1 h 06 min",
    ]


@pytest.mark.parametrize("width", [1, 7, 20, 40, 80, 200])
@pytest.mark.parametrize("height", [1, 2, 5, 7, 10, 24, 60])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_it_fits_every_screen(width: int, height: int, encoding: str) -> None:
    """No line is wider and there are no more than the screen has, whatever there is to show."""
    wide = frame(
        name="報告" * 30,
        workers=tuple(worker(slot, f"task #{slot} 模块.函数" * 3, slot / 7) for slot in range(1, 40)),
        stats=TaskStats(
            failing_creations=3, creation_error="OSError: " + "x" * 300, next_creation=2.0, restart_alarm=True
        ),
        dropped=7,
    )
    lines = screen(wide, Look(width, height, encoding))
    assert len(lines) <= height
    assert max(line.cell_len for line in lines) <= width
    if encoding == "ascii":
        assert all(line.plain.isascii() for line in lines)


def test_more_workers_than_lines() -> None:
    """Those that do not serve and those that have run for longest are shown, in the order of their slots; the others are counted."""
    workers = (
        *(worker(slot, f"task #{slot} f", 1.0) for slot in range(1, 10)),
        worker(10, "task #10 f", 99.0),
        worker(11),
        worker(12, state="stuck"),
        worker(13, cooling=True),
    )
    lines = drawn(frame(workers=workers, failures=(), decisions=(), notables=()), Look(80, 11))
    assert [line.split("  ")[0] for line in lines[7:]] == [
        "reports-1",
        "reports-10",
        "reports-12",
        "and 10 more, of which 8 run a task",
    ]


@pytest.mark.parametrize(
    ("height", "titles"),
    [
        (24, "workers failures scaling events"),
        (16, "workers failures scaling"),
        (14, "workers failures"),
        (11, "workers"),
        (7, ""),
    ],
)
def test_what_gives_way(height: int, titles: str) -> None:
    """On a low screen the events go first, the workers last."""
    lines = drawn(frame(), Look(80, height))
    assert [line.split(" ─")[0] for line in lines if "─" in line] == titles.split()


def test_the_progress_of_tasks() -> None:
    """In percent, or as it was said where its total is not known."""
    workers = (
        worker(1, "task #7 shop.fetch", 1.0, progress=(30, 120)),
        worker(2, "task #8 shop.fetch", 1.0, progress=(1234.5, None)),
        worker(3, "task #9 shop.fetch", 1.0, progress=(0, 0)),
    )
    lines = drawn(frame(workers=workers), Look(40, 24))
    assert [line.split("for ")[0].split() for line in lines if "#" in line] == [
        ["reports-1", "25%", "#7", "shop.fetch"],
        ["reports-2", "1,234", "#8", "shop.fet…"],
        ["reports-3", "0", "#9", "shop.fetch"],
    ]


def test_what_users_write_is_shown_as_it_is() -> None:
    """Markup has no effect, control characters are escaped, a line stays a line."""
    nasty = "[red]x[/red] \x1b[2J \x07 a\nb \u202e \udc80"
    lines = drawn(
        frame(
            name=nasty,
            workers=(worker(1, f"task #1 {nasty}", 1.0, arguments=nasty, name=nasty),),
            failures=(FailureGroup(nasty, nasty, 1, 0, NOW),),
            decisions=(say.Scaled(NOW, "policy", 1, 2, nasty),),
            notables=(Notable(NOW, "bad", nasty),),
        ),
        Look(200, 40),
    )
    shown = r"[red]x[/red] \x1b[2J \x07 a b \u202e \udc80"
    assert lines[0] == f"{shown}  running"
    assert sum(shown in line for line in lines) == 5
    assert f"#1 {shown}({shown})" in lines[7]


def test_trouble_is_said() -> None:
    """Creations that fail, and events that were too many."""
    stats = TaskStats(failing_creations=3, creation_error="OSError: refused", next_creation=2.0, restart_alarm=True)
    lines = drawn(frame(stats=stats, dropped=1234), Look(80, 24))
    assert lines[6:9] == [
        "creations fail (3 in a row, next in 2.0 s): OSError: refused",
        "workers are replaced too often",
        "1,234 events came too fast to be counted below",
    ]


def test_before_the_start() -> None:
    """There are no numbers yet."""
    lines = drawn(Frame(at=NOW, name="reports", state="not started"), Look(80, 24))
    assert lines[0] == "reports  not started"
    assert lines[3].split() == ["rate", "-"]
    assert lines[4].split() == ["wait", "-"]
    assert len(lines) == 6


def test_lines_above() -> None:
    """They come first, and take their room."""
    lines = screen(frame(), Look(80, 12), [Text("one"), Text("two")])
    assert [line.plain for line in lines[:2]] == ["one", "two"]
    assert len(lines) == 12


def test_the_summary_of_plain_lines() -> None:
    """The numbers, on one line."""
    assert summary(frame()) == (
        "running, queue 1,234, running 2, done 5,678, failed 9, workers 3 of 4, 118/s, wait p95 250 ms, run p95 2.0 s"
    )
    stuck = Frame(at=NOW, name="reports", state="running", stats=TaskStats(stuck_workers=1))
    assert summary(stuck).endswith("workers 0 of 0, stuck 1")


def test_plain_lines_tell_news_once() -> None:
    """Each decision, event and failure is told in the order in which it happened, and not again."""
    telling = Telling(Look())
    assert list(telling.lines(frame()))[:-1] == [
        "reports: reports-2 has crashed: exit code -11",
        "reports: 5 x ValueError: no such user",
        "reports: 2 → 4 workers: 30 wait, each takes 2.0 s",
        "reports: 7 x ConnectionError: reset by peer",
    ]
    again = frame()
    assert len(list(telling.lines(again))) == 1
    later = replace(again, notables=(Notable(NOW, "good", "resumed"), *again.notables))
    assert list(telling.lines(later))[:-1] == ["reports: resumed"]


def test_plain_lines_are_not_flooded() -> None:
    """Of many events at once, the last ones are told."""
    many = tuple(Notable(NOW - count, "bad", f"event {count}") for count in range(100))
    told = list(Telling(Look()).lines(frame(notables=many, failures=(), decisions=())))
    assert told[:-1] == [f"reports: event {count}" for count in reversed(range(MOST_NEWS))]
