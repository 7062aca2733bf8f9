"""The view on a terminal: drawn, resized, printed over, and gone at every kind of end."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("rich")
pytest.importorskip("pty")

from support.terminal import Terminal

# Two tasks run until `go` exists. `BODY` is what the program does then.
PROGRAM = """
import sys, time
from pathlib import Path
from tasker import Config, TaskManager

def work(ctx, resource, name):
    Path(f"started-{name}").touch()
    while not Path("go").exists() and not ctx.wait(0.005):
        pass

def fails(ctx, resource):
    raise ValueError("[red]no such user[/red] \\x1b[2J\\x07")

def until(name):
    while not Path(name).exists():
        time.sleep(0.005)

config = Config(name="reports", on_create=object, worker_count=2, max_worker_count=2, burst_interval=0)
with TaskManager(config) as manager:
    stdout = sys.stdout
    with manager.live(interval=INTERVAL) as view:
        futures = [manager.submit(work, name) for name in "ab"]
        until("started-a"), until("started-b")
BODY
    assert sys.stdout is stdout and view.closed
    print("after the view")
"""


def program(body: str, interval: float = 0.05) -> str:
    return PROGRAM.replace("BODY", "\n".join(f"        {line}" for line in body.splitlines())).replace(
        "INTERVAL", str(interval)
    )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Terminal]]:
    started: list[Terminal] = []

    def start(code: str, width: int = 80, height: int = 24, **environment: str) -> Terminal:
        started.append(Terminal(tmp_path, code, width, height, **environment))
        return started[-1]

    yield start
    for terminal in started:
        terminal.close()


def is_drawn(shown: list[str]) -> bool:
    return any("running 2" in row for row in shown) and any("__main__.work" in row for row in shown)


def count(rows: list[str], first: str) -> int:
    return sum(row.startswith(first) for row in rows)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 20), (20, 6)])
def test_it_is_drawn_and_left_as_it_was(
    start: Callable[..., Terminal], tmp_path: Path, width: int, height: int
) -> None:
    """While it is drawn, the cursor is hidden and there is one view; at its end the cursor is there again, and so are the streams."""
    terminal = start(program('until("go")'), width, height)
    if height < 10:  # no room for the workers
        terminal.until(lambda shown: count(shown, "reports  running") == 1, "the first line")
    else:
        terminal.until(is_drawn, "the view")
    assert not terminal.screen.cursor_shown
    (tmp_path / "go").touch()
    assert terminal.wait() == 0
    assert terminal.screen.cursor_shown
    rows = [row for row in terminal.screen.all if row]
    assert rows[-1] == "after the view"
    assert count(rows, "reports  ") == 1


def test_prints_do_not_tear_it(start: Callable[..., Terminal], tmp_path: Path) -> None:
    """What several threads print at once is all there, line by line, above one view; markup in it is no markup."""
    body = """
import threading
def prints(name):
    for number in range(100):
        print(f"[bold]{name} {number}[/bold]")
    print("not yet ended [/x]", end="", file=sys.stderr, flush=True)
threads = [threading.Thread(target=prints, args=(name,)) for name in "xyz"]
for one in threads: one.start()
for one in threads: one.join()
until("go")"""
    terminal = start(program(body, 0.01))
    terminal.until(lambda shown: sum("not yet ended [/x]" in row for row in terminal.screen.all) == 3, "all prints")
    (tmp_path / "go").touch()
    assert terminal.wait() == 0
    rows = terminal.screen.all
    printed = "".join(row for row in rows if "[bold]" in row)
    for name in "xyz":
        assert [printed.count(f"[bold]{name} {number}[/bold]") for number in range(100)] == [1] * 100
    assert count(rows, "reports  ") == 1
    assert max(number for number, row in enumerate(rows) if "[bold]" in row) < rows.index("reports  running")


def test_it_follows_the_size(start: Callable[..., Terminal], tmp_path: Path) -> None:
    """On a narrower terminal its lines are cut anew, and nothing is left of the wider ones; then it grows again."""
    terminal = start(program('print("above")\nuntil("go")', 0.5))
    terminal.until(is_drawn, "the view")
    drawn = len(terminal.raw)
    # Half a second, from the last line of the next drawing on, to change the size between two drawings.
    terminal.until(lambda shown: len(terminal.raw) > drawn and count(shown, "0 → 2"), "another drawing")
    terminal.resize(40, 20)
    terminal.until(lambda shown: "workers " + "─" * 32 in shown, "the rule of 40 columns")
    assert count(terminal.screen.all, "reports  running") == 1
    assert count(terminal.screen.all, "above") == 1
    terminal.resize(100, 30)
    terminal.until(lambda shown: "workers " + "─" * 92 in shown, "the rule of 100 columns")
    (tmp_path / "go").touch()
    assert terminal.wait() == 0
    assert count(terminal.screen.all, "reports  ") == 1
    assert count(terminal.screen.all, "after the view") == 1


def test_ctrl_c(start: Callable[..., Terminal], tmp_path: Path) -> None:
    """The terminal is as it was, and the traceback is below the view."""
    terminal = start(program('until("never")'))
    terminal.until(is_drawn, "the view")
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.wait() == -signal.SIGINT
    assert terminal.screen.cursor_shown
    rows = [row for row in terminal.screen.all if row]
    assert rows[-1] == "KeyboardInterrupt"
    assert rows.index("reports  running") < rows.index("Traceback (most recent call last):")


def test_an_exception(start: Callable[..., Terminal]) -> None:
    """The same."""
    terminal = start(program('until("started-a")\nraise RuntimeError("boom")'))
    assert terminal.wait() == 1
    assert terminal.screen.cursor_shown
    assert [row for row in terminal.screen.all if row][-1] == "RuntimeError: boom"


def test_the_interpreter_exits(start: Callable[..., Terminal]) -> None:
    """A view that nobody has closed is closed at the exit."""
    code = """
from tasker import Config, TaskManager
manager = TaskManager(Config(name="reports", on_create=object, worker_count=1))
view = manager.live(interval=60)
manager.submit(lambda ctx, resource: 1).result()
"""
    terminal = start(code)
    assert terminal.wait() == 0
    assert terminal.screen.cursor_shown
    assert "reports  ended" in terminal.screen.all


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_the_manager_ends(start: Callable[..., Terminal], end: str) -> None:
    """The view shows that, and ends by itself."""
    body = f'Path("go").touch()\nmanager.{end}()\nassert view.wait(20)\nassert sys.stdout is stdout'
    terminal = start(program(body))
    assert terminal.wait() == 0
    assert terminal.screen.cursor_shown
    assert "reports  ended" in terminal.screen.all


def test_what_users_write_is_escaped(start: Callable[..., Terminal], tmp_path: Path) -> None:
    """Markup is shown as it is, and no control character reaches the terminal: the screen of this test refuses those."""
    body = 'Path("go").touch()\nmanager.submit(fails).exception()\nuntil("end")'
    terminal = start(program(body))
    wanted = r"1 x ValueError: [red]no such user[/red] \x1b[2J\x07"
    terminal.until(lambda shown: any(row.startswith(wanted) for row in shown), wanted)
    (tmp_path / "end").touch()
    assert terminal.wait() == 0


def test_no_color(start: Callable[..., Terminal], tmp_path: Path) -> None:
    """With NO_COLOR there is no colour; without, there is."""
    colour = "\x1b[32m"
    for environment, has_colour in (({"NO_COLOR": "1"}, False), ({}, True)):
        terminal = start(program('until("go")'), **environment)
        terminal.until(is_drawn, "the view")
        assert (colour in terminal.raw) is has_colour
        terminal.process.kill()


def test_a_dumb_terminal(start: Callable[..., Terminal], tmp_path: Path) -> None:
    """It gets lines, and no control character."""
    terminal = start(program('until("started-b")'), TERM="dumb")
    terminal.until(lambda shown: "after the view" in shown, "the end of the view")
    (tmp_path / "go").touch()
    assert terminal.wait() == 0
    assert "\x1b" not in terminal.raw
    assert any(row.startswith("reports: running, queue 0, running 2,") for row in terminal.screen.all)


def test_a_terminal_without_unicode(start: Callable[..., Terminal], tmp_path: Path) -> None:
    """Everything is ASCII there."""
    terminal = start(program('until("go")'), PYTHONIOENCODING="ascii")
    terminal.until(is_drawn, "the view")
    (tmp_path / "go").touch()
    assert terminal.wait() == 0
    assert terminal.raw.isascii()
    assert any(row.startswith("workers -----") for row in terminal.screen.all)


def test_two_views_on_one_terminal(start: Callable[..., Terminal]) -> None:
    """The second one is refused, until the first one is closed."""
    body = """
try:
    manager.live()
except RuntimeError as error:
    print(error)
view.close()
manager.live().close()
Path("go").touch()"""
    terminal = start(program(body))
    assert terminal.wait() == 0
    assert "there is a live view on the terminal already: close it first" in terminal.screen.all


def test_a_terminal_that_is_gone(start: Callable[..., Terminal], tmp_path: Path) -> None:
    """The program goes on, and ends as it would have."""
    terminal = start(
        program('until("go")\nassert view.wait(20)\nsys.stdout = sys.stderr = open("rest", "w")\nstdout = sys.stdout')
    )
    terminal.until(is_drawn, "the view")
    terminal.hang_up()
    (tmp_path / "go").touch()
    assert terminal.process.wait(20) == 0
    assert (tmp_path / "rest").read_text() == "after the view\n"


def test_a_fork(start: Callable[..., Terminal], tmp_path: Path) -> None:
    """What a forked child prints goes to the terminal, and its end leaves the view alone."""
    body = """
import os, warnings
warnings.simplefilter("ignore")
child = os.fork()
if not child:
    print("of the child", flush=True)
    view.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
until("go")"""
    terminal = start(program(body))
    # Among what was written: the view knows nothing of it, and draws over it at once.
    terminal.until(lambda shown: "of the child" in terminal.raw, "the print")
    terminal.until(is_drawn, "the view")
    (tmp_path / "go").touch()
    assert terminal.wait() == 0


def test_asyncio(start: Callable[..., Terminal]) -> None:
    """The same view, around the start of the manager and in an ``async with``."""
    code = """
import asyncio, sys
from pathlib import Path
from tasker import AsyncTaskManager, Config

async def work(ctx, resource):
    while not Path("go").exists():
        await asyncio.sleep(0.005)

async def main():
    manager = AsyncTaskManager(Config(name="reports", on_create=lambda: None, worker_count=2))
    async with manager.live(interval=0.05) as view:
        await asyncio.sleep(0.2)
        async with manager:
            await asyncio.gather(*(manager.submit(work) for _ in range(2)))
    assert view.closed
    print("after the view")

asyncio.run(main())
"""
    terminal = start(code)
    terminal.until(lambda shown: "reports  not started" in shown, "the view before the start")
    terminal.until(is_drawn, "the view")
    Path(terminal.folder, "go").touch()
    assert terminal.wait() == 0
    assert "reports  ended" in terminal.screen.all
    assert [row for row in terminal.screen.all if row][-1] == "after the view"
