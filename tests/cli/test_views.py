"""--live and --dashboard: what shows a run while it goes on."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from argparse import ArgumentTypeError
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from support.terminal import Terminal
from tasker.cli.argument_types import address

from .conftest import Workshop, finish, wait_for
from .jobfiles import GATED, SQUARE

# Ten quick items, one that fails, and then as many as there are until `go` exists.
BUSY = """
    from pathlib import Path

    def task(ctx, resource, item):
        if item == "3":
            raise ValueError("[red]three[/red]")
        while int(item) >= 10 and not Path("go").exists():
            ctx.wait(0.005)
        print("printed", item)
"""


@pytest.fixture
def start(shop: Workshop) -> Iterator[Callable[..., Terminal]]:
    """Starts `tasker run` on a terminal."""
    pytest.importorskip("rich")
    started: list[Terminal] = []

    def start(*arguments: object, width: int = 80, height: int = 24) -> Terminal:
        code = f"import sys; from tasker.cli import main; sys.exit(main({['run', *map(str, arguments)]!r}))"
        started.append(Terminal(shop.folder, code, width, height))
        return started[-1]

    yield start
    for terminal in started:
        terminal.close()


def has(shown: list[str], *patterns: str) -> bool:
    return all(any(re.search(pattern, row) for row in shown) for pattern in patterns)


@pytest.mark.parametrize("backend", ["thread", "process"])
@pytest.mark.parametrize("width", [80, 40])
def test_the_live_view(shop: Workshop, start: Callable[..., Terminal], backend: str, width: int) -> None:
    """The line of the run, its workers with their tasks, failures; at the end it is gone, and the summary and all prints are
    there."""
    if backend == "process":
        pytest.importorskip("cloudpickle")
    # One alone waits: what is sent to a process together, and taken back after a failure, may come behind any other item.
    shop.write("jobs.py", BUSY.replace("int(item) >= 10", 'item == "29"'))
    shop.numbers(30)
    arguments = ["jobs.py", "in.txt", "--output", "out.jsonl", "--workers", 2, "--max-workers", 2, "--backend", backend]
    terminal = start(*arguments, "--live", width=width)
    terminal.until(
        lambda shown: has(
            shown,
            r"━\S* +9[67]%  .*ETA",
            r"done 28\b",
            r"failed 1\b",
            r"^jobs-\d  #\d+ task",
            r"^1 x ValueError: \[red\]thr",
        ),
        "the view",
    )
    assert not terminal.screen.cursor_shown
    (shop.folder / "go").touch()
    assert terminal.wait() == 1
    rows = terminal.screen.all
    assert terminal.screen.cursor_shown
    assert sum("printed" in row for row in rows) == 29
    assert has(rows, "29 done, 1 failed")
    assert not has(rows, "ETA") and not has(rows, "^jobs  ")


def test_the_view_counts_items(shop: Workshop, start: Callable[..., Terminal]) -> None:
    """Not the tasks of the manager, each of which runs many items where they are short."""
    shop.write(
        "jobs.py", BUSY.replace("int(item) >= 10", "int(item) >= 9000").replace('print("printed", item)', "pass")
    )
    shop.numbers(9010)
    terminal = start("jobs.py", "in.txt", "--output", "out.jsonl", "--live")
    terminal.until(lambda shown: has(shown, "done 8,999  failed 1"), "the items")
    (shop.folder / "go").touch()
    assert terminal.wait() == 1


def test_ctrl_c_in_the_live_view(shop: Workshop, start: Callable[..., Terminal]) -> None:
    """The first one says what it does above the view, the third one leaves a cursor."""
    shop.write("jobs.py", "import time\ndef task(ctx, resource, item):\n    open('begun', 'w')\n    time.sleep(600)\n")
    shop.numbers(5)
    terminal = start("jobs.py", "in.txt", "--output", "out.jsonl", "--live", "--workers", 1)
    wait_for((shop.folder / "begun").exists, "the first item")
    terminal.until(lambda shown: has(shown, "^jobs  running"), "the view")
    terminal.process.send_signal(signal.SIGINT)
    terminal.until(lambda shown: has(shown, "a second signal kills", "stopping$"), "the notice")
    terminal.process.send_signal(signal.SIGINT)
    terminal.process.send_signal(signal.SIGINT)
    assert terminal.wait() == 130
    assert terminal.screen.cursor_shown


def test_live_without_a_terminal(shop: Workshop) -> None:
    """There are the lines of any run."""
    shop.write("jobs.py", GATED)
    shop.numbers(3)
    process = shop.start("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--live", "--progress-interval", 0.05)
    assert process.stderr is not None
    assert b"tasker run: 0%, 0 done, 0 failed" in process.stderr.readline()
    (shop.folder / "go").touch()
    assert finish(process)[0] == 0


def test_live_without_rich(shop: Workshop) -> None:
    """Is bad usage, and leaves the output as it is."""
    shop.write("jobs.py", SQUARE)
    shop.write("out.jsonl", "kept")
    shop.numbers(3)
    program = (
        "import importlib.util, sys; found = importlib.util.find_spec;"
        "importlib.util.find_spec = lambda name, *rest: None if name == 'rich' else found(name, *rest);"
        "from tasker.cli import main;"
        "sys.exit(main(['run', 'jobs.py', 'in.txt', '--output', 'out.jsonl', '--overwrite', '--live']))"
    )
    done = subprocess.run(
        [shop.command()[0], "-c", program], cwd=shop.folder, env=shop.environment(),
        capture_output=True, text=True, check=False, timeout=30,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == "tasker run: error: --live: a live view needs rich: pip install 'tasker-pool[cli]'\n"
    assert shop.read("out.jsonl") == "kept"


def test_live_and_quiet_exclude_each_other(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    done = shop.run("run", "jobs.py", "--live", "--quiet")
    assert (done.returncode, done.stderr) == (2, "tasker run: error: --live and --quiet exclude each other\n")


# -- the dashboard ----------------------------------------------------------------------------------------------------


def state_of(url: str) -> Any:
    with urllib.request.urlopen(f"{url}api/state", timeout=20) as answer:
        return json.load(answer)["managers"][0]


def dashboard_of(process: subprocess.Popen[bytes]) -> str:
    """Returns the address that a run prints."""
    assert process.stderr is not None
    found = re.fullmatch(rb"tasker run: dashboard at (http://127\.0\.0\.1:\d+/)\n", process.stderr.readline())
    assert found is not None
    return found[1].decode()


def test_the_dashboard(shop: Workshop) -> None:
    """Its address is printed, it has the numbers of items, and it ends with the run. With --resume it begins with what is left."""
    pytest.importorskip("starlette")
    shop.write("jobs.py", BUSY)
    shop.numbers(9)
    assert shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl").returncode == 1
    shop.numbers(30)
    process = shop.start(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--resume", "--dashboard", "127.0.0.1:0", "--workers", 2,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    url = dashboard_of(process)
    wait_for(lambda: state_of(url)["totals"]["completed"] == 1 and state_of(url)["totals"]["failed"] == 1, "the items")
    state = state_of(url)
    assert state["name"] == "jobs"
    assert [group["type"] for group in state["failures"]] == ["ValueError"]
    assert state["workers"][0]["task"].endswith(" task")
    (shop.folder / "go").touch()
    assert finish(process)[0] == 1
    with pytest.raises(OSError):
        state_of(url)


def test_the_dashboard_and_the_live_view(shop: Workshop, start: Callable[..., Terminal]) -> None:
    """Go together, and show the same."""
    pytest.importorskip("starlette")
    shop.write("jobs.py", BUSY)
    shop.numbers(30)
    terminal = start("jobs.py", "in.txt", "--output", "out.jsonl", "--live", "--dashboard", "127.0.0.1:0")
    terminal.until(lambda shown: has(shown, r"done 9\b"), "the view")
    url = next(row for row in terminal.screen.all if "dashboard at" in row).split()[-1]
    wait_for(lambda: state_of(url)["totals"]["completed"] == 9, "the page")
    (shop.folder / "go").touch()
    assert terminal.wait() == 1


def test_a_port_that_is_taken(shop: Workshop) -> None:
    """Is bad usage, and leaves the output as it is."""
    pytest.importorskip("starlette")
    shop.write("jobs.py", SQUARE)
    shop.write("out.jsonl", "kept")
    shop.numbers(3)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--overwrite", "--dashboard", port)
    assert done.returncode == 2
    assert f"tasker run: error: --dashboard: cannot listen on 127.0.0.1, port {port}: " in done.stderr
    assert shop.read("out.jsonl") == "kept"


def test_other_machines_need_a_token(shop: Workshop, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the environment, where no list of processes shows it; without it the page says nothing."""
    pytest.importorskip("starlette")
    shop.write("jobs.py", GATED)
    shop.numbers(3)
    command = ("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--dashboard", "0.0.0.0:0")
    done = shop.run(*command)
    assert done.returncode == 2
    assert "--dashboard 0.0.0.0: others than this machine need a token, in TASKER_DASHBOARD_TOKEN" in done.stderr
    monkeypatch.setenv("TASKER_DASHBOARD_TOKEN", "short")
    assert "token must be None or text of at least 16 characters" in shop.run(*command).stderr
    monkeypatch.setenv("TASKER_DASHBOARD_TOKEN", "correct-horse-battery")
    process = shop.start(*command)
    url = dashboard_of(process)
    with pytest.raises(urllib.error.HTTPError, match="401"):
        state_of(url)
    request = urllib.request.Request(f"{url}api/state", headers={"Authorization": "Bearer correct-horse-battery"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        assert answer.status == 200
    (shop.folder / "go").touch()
    code, errors = finish(process)
    assert code == 0
    assert "correct-horse" not in errors


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("localhost:80", "localhost", 80),
        (":80", None, 80),
        ("80", None, 80),
        ("0", None, 0),
        ("localhost:", "localhost", None),
        ("[::1]:80", "::1", 80),
    ],
)
def test_addresses(text: str, host: str | None, port: int | None) -> None:
    assert address(text) == (host, port)


@pytest.mark.parametrize("text", ["jobs.py", "", ":", "::1", "::1:80", "localhost:http", "localhost:65536", "1.5", "²"])
def test_wrong_addresses(text: str) -> None:
    with pytest.raises(
        ArgumentTypeError, match=r"must be HOST:PORT or PORT, not .* \(without either, put it behind JOB.py\)"
    ):
        address(text)


def test_a_job_file_behind_the_option(shop: Workshop) -> None:
    """Is not taken for an address in silence."""
    done = shop.run("run", "--dashboard", "jobs.py", "in.txt")
    assert done.returncode == 2
    assert (
        "argument --dashboard: must be HOST:PORT or PORT, not 'jobs.py' (without either, put it behind JOB.py)"
        in done.stderr
    )
