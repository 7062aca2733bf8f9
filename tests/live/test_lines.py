"""``manager.live()`` where there is no terminal; wrong arguments; managers that have ended or not begun."""

from __future__ import annotations

import asyncio
import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("rich")

import tasker
from support.waiting import wait_until
from tasker import AsyncTaskManager, Config, TaskManager

CONFIG: Config[Any] = Config(name="reports", on_create=object, worker_count=2, max_worker_count=2, burst_interval=0)


def fails(ctx: Any, resource: object) -> None:
    raise ValueError("no such user")


def test_lines_where_there_is_no_terminal() -> None:
    """One at once, one for each interval, one for each thing that has happened, and one at the end."""
    file = io.StringIO()
    with TaskManager(CONFIG) as manager, manager.live(file=file, interval=0.02):
        assert isinstance(manager.submit(fails).exception(), ValueError)
        wait_until(lambda: "failed 1" in file.getvalue(), what="the failure")
    lines = file.getvalue().splitlines()
    assert "reports: 1 x ValueError: no such user" in lines
    assert "reports: 0 → 2 workers: 2 base workers" in lines
    assert any(
        line.startswith("reports: running, queue 0, running 0, done 0, failed 1, workers 2 of 2") for line in lines
    )


def test_standard_output_is_the_default(capsys: pytest.CaptureFixture[str]) -> None:
    """And the interval is long enough for a log."""
    with TaskManager(CONFIG) as manager:
        with manager.live() as view:
            pass
        assert view.closed
        assert view.wait(0)
    out = capsys.readouterr().out.splitlines()
    assert 1 <= sum(line.startswith("reports: running") for line in out) <= 2


def test_it_ends_with_the_manager() -> None:
    """Without a ``close``; what was then is told."""
    file = io.StringIO()
    manager = TaskManager(CONFIG)
    view = manager.live(file=file, interval=0.02)
    manager.kill()
    assert view.wait(20)
    assert "reports: ended" in file.getvalue()


def test_a_manager_that_has_ended() -> None:
    """Is shown as that, once."""
    manager = TaskManager(CONFIG)
    manager.stop()
    file = io.StringIO()
    assert manager.live(file=file, interval=60).wait(20)
    assert sum(line.startswith("reports: ended") for line in file.getvalue().splitlines()) == 1


def test_a_file_that_fails() -> None:
    """Ends the view, and nothing else."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError("no space left")

    with TaskManager(CONFIG) as manager:
        assert manager.live(file=Full(), interval=0.01).wait(20)
        assert manager.submit(lambda ctx, resource: 7).result() == 7


def test_a_manager_that_can_not_be_read(caplog: pytest.LogCaptureFixture) -> None:
    """Is logged once, and the view goes on with the next reading."""

    class Broken(TaskManager[Any]):
        failures = 3

        def explain(self) -> Any:
            self.failures -= 1
            if 0 <= self.failures < 2:
                raise RuntimeError("not now")
            return super().explain()

    file = io.StringIO()
    with Broken(CONFIG) as manager, manager.live(file=file, interval=0.01):
        wait_until(lambda: "reports: running" in file.getvalue(), what="a line")
    assert [record.getMessage() for record in caplog.records] == ["a manager could not be read for its live view"]


@pytest.mark.parametrize("interval", [0, -1, float("nan"), float("inf"), "1", True])
def test_a_wrong_interval(interval: Any) -> None:
    """Is named."""
    with (
        TaskManager(CONFIG) as manager,
        pytest.raises(ValueError, match=r"interval must be a positive number of seconds"),
    ):
        manager.live(interval=interval)


def test_a_wrong_file() -> None:
    """Is named."""
    with TaskManager(CONFIG) as manager, pytest.raises(TypeError, match="file must be a text stream, got 7"):
        manager.live(file=7)  # type: ignore[arg-type]


def test_asyncio() -> None:
    """The view of an ``AsyncTaskManager`` may begin before it, as a plain context manager too, and ends with it."""
    file = io.StringIO()

    async def main() -> None:
        manager = AsyncTaskManager(CONFIG)
        with manager.live(file=file, interval=0.02) as view:
            while "reports: not started" not in file.getvalue():
                await asyncio.sleep(0.005)
            async with manager:
                while "reports: running" not in file.getvalue():  # then it is subscribed
                    await asyncio.sleep(0.005)
                await asyncio.gather(*(manager.submit(fails) for _ in range(3)), return_exceptions=True)
            while not view.closed:
                await asyncio.sleep(0.005)

    asyncio.run(main())
    assert "reports: 3 x ValueError: no such user" in file.getvalue()
    assert "reports: ended" in file.getvalue()


def test_without_rich(tmp_path: Path) -> None:
    """The error says which extra to install, and the manager goes on."""
    program = """
import importlib.util, sys
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "rich" else found(name, *rest)
from tasker import Config, ConfigError, TaskManager
with TaskManager(Config(on_create=object, worker_count=1)) as manager:
    assert "rich" not in sys.modules
    try:
        manager.live()
    except ConfigError as error:
        print(error)
    print(manager.submit(lambda ctx, resource: 7).result())
"""
    source = str(Path(tasker.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": source},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.stdout + done.stderr == "a live view needs rich: pip install 'tasker-pool[cli]'\n7\n"
