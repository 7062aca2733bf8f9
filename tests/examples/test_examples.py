"""Each example runs to the end, soon, without a warning, and says what it is there to say."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
PATIENCE = 120.0  # seconds; alone on a machine none takes ten
# Runs a script with what the library logs as an error on standard error, where an `on_destroy` that fails would show.
LOUDLY = (
    "import logging, runpy, sys; logging.basicConfig(level=logging.ERROR); del sys.argv[0];"
    " runpy.run_path(sys.argv[0], run_name='__main__')"
)


def run(script: str, *arguments: str, cwd: Path | None = None, logged: str = "") -> str:
    """Run a script as a user does, with warnings as errors; return what it printed. `logged` tells which errors belong to it."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", LOUDLY, str(EXAMPLES / script), *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
        cwd=cwd,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stderr.splitlines() if not logged or not re.search(logged, line)] == []
    return done.stdout


def numbers(pattern: str, text: str) -> tuple[int, ...]:
    found = re.search(pattern, text)
    assert found, f"{pattern!r} is not in\n{text}"
    return tuple(map(int, found.groups()))


def test_every_example_is_tested() -> None:
    tested = {
        "basic.py",
        "intermediate.py",
        "advanced.py",
        "custom_logging.py",
        "postgres.py",
        "http_clients.py",
        "asyncio_service.py",
        "asyncio_crawler.py",
        "embedding_processes.py",
    }
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested


def test_basic() -> None:
    """Results, an error that belongs to its task, a callback; both calculators are switched off at the end."""
    text = run("basic.py")
    assert "84 / 2 = 42.0" in text
    assert "[100.0, 50.0, 25.0, 20.0]" in text
    assert "1 / 0 failed: " in text
    assert "and still 9 / 3 = 3.0" in text
    assert "callback: 3.1429, error: None" in text
    for serial in (1, 2):
        assert text.count(f"calculator {serial}: on\n") == 1
        assert text.count(f"calculator {serial}: off\n") == 1
    assert "created=2, destroyed=2, alive=0, lost=0" in text


def test_intermediate() -> None:
    """Orders survive dropped sessions, a poison order is given up on, priorities are strict."""
    text = run("intermediate.py")
    for order in range(1, 9):
        assert f"order {order} through session" in text
    assert "(attempt 2)" in text
    assert "failed without a retry: there is no order -1" in text
    assert numbers(r"workers replaced: (\d+)", text) >= (2,)
    assert "attempts: 2, last error: SessionDropped(" in text
    assert "once: SessionDropped(" in text
    assert "payment 1, payment 2, page 1, page 2, report 1" in text
    # Sessions are numbered from 1 in order of opening; each one that was opened is closed.
    opened = re.findall(r"session (\d+) opened", text)
    closed = re.findall(r"session (\d+) closed", text)
    assert len(opened) > 2
    assert sorted(opened) == sorted(closed)


def test_advanced() -> None:
    """The pool grows and shrinks, a full queue refuses, kill and stop report what they did."""
    text = run("advanced.py")
    (most,) = numbers(r"most workers while the load lasted: (\d+)", text)
    assert 2 < most <= 8
    assert "workers when it was over: 2 base, 0 burst" in text
    assert "120 completed" in text
    accepted, refused = numbers(r"without waiting: (\d+) accepted, (\d+) refused", text)
    assert accepted >= 2
    assert refused > 0
    assert accepted + refused == 20
    assert "map waits for its turn: 45" in text
    assert "running: asked to end; queued: 3 killed" in text
    assert "TaskKilled(" in text
    assert "killed_tasks=3" in text
    done, killed = numbers(r"(\d+) done, (\d+) of the queue killed", text)
    assert 0 < done < 200
    assert 0 < killed < 200
    assert "all the same, 10 of 10 pages were rendered" in text
    assert "closed: True" in text


def test_custom_logging() -> None:
    """The logger and the collector of the user are told of arrivals, completions and the retry."""
    text = run("custom_logging.py")
    assert "hello world from resource 1" in text
    assert "hello breaker from resource 2" in text
    assert text.count("Metric: task arrived") == 2
    assert text.count("Metric: task completed") == 2
    assert text.count("Metric: task retried") == 1
    assert "completed 2, failed 0, retried 1" in text
    assert re.search(r"^\[(DEBUG|INFO|WARN|ERROR)\] \S", text, re.MULTILINE)
    assert text.count("destroyed") == 2


@pytest.mark.skipif(importlib.util.find_spec("pgserver") is None, reason="pgserver has no wheel for this Python")
def test_postgres() -> None:
    """Connections die in the middle of the load, every entry is booked, no connection is left open."""
    text = run("postgres.py")
    assert text.count("terminated a connection in use: ") == 3
    assert "300 tasks done, entries in the ledger: 300" in text
    assert numbers(r"tried more than once: (\d+) tasks", text) >= (1,)
    assert numbers(r"workers replaced: (\d+)", text) >= (1,)
    assert "alive=0, lost=0" in text
    assert "connections still open on the server: 0" in text


def test_http_clients() -> None:
    """Requests survive a server that hangs up; the answers come in order."""
    text = run("http_clients.py")
    assert "200 users fetched, in the order in which they were asked for" in text
    assert "not found, and not tried again: no user 'nobody'" in text
    retried, replaced = numbers(r"asked again: (\d+), workers replaced: (\d+)", text)
    assert retried == replaced
    assert retried >= 10
    assert "alive=0, lost=0" in text


@pytest.mark.skipif(importlib.util.find_spec("pgserver") is None, reason="pgserver has no wheel for this Python")
def test_asyncio_service() -> None:
    """A full queue answers 503, run_task goes past it, dropped connections do not show, none is left open."""
    text = run("asyncio_service.py")
    assert "one after the other: item 7 404" in text
    answered, refused = numbers(r"60 at once: (\d+) answered, (\d+) told to come again", text)
    assert answered >= 8
    assert refused > 0
    assert answered + refused == 60
    assert "asked past the queue: 100 items" in text
    assert numbers(r"connections dropped: (\d+)", text) >= (1,)
    assert "answers: [200, 200, 200, 200]" in text
    assert "alive=0, lost=0" in text
    assert "connections still open on the server: 0" in text


def test_asyncio_crawler() -> None:
    """Every page is fetched, but for those that fail or hang; cut connections cost a client and no page."""
    text = run("asyncio_crawler.py")
    (failed,) = re.findall(r"HTTPStatusError: pages \[(.*)\]", text)
    (late,) = re.findall(r"TimeoutError: pages \[(.*)\]", text)
    failed, late = ({*map(int, pages.split(", "))} for pages in (failed, late))
    assert late >= {49, 149}  # 99 and 199 are behind 49; on a busy machine others may be late
    assert failed <= {31, 71, 111, 151, 191} <= failed | late
    again, replaced = numbers(r"hung up: (\d+), clients replaced: (\d+)", text)
    assert again == replaced == 10
    assert "alive=0, lost=0" in text


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("cloudpickle", "psutil")),
    reason="needs the extra `process`",
)
def test_embedding_processes() -> None:
    """Every text has its vector although two crashed their process; each crash is told, and nothing else is lost."""
    text = run("embedding_processes.py", logged=r"^ERROR:tasker:.* was lost: ")
    (texts,) = numbers(r"^(\d+) docstrings", text)
    assert texts > 500
    assert numbers(r"(\d+) vectors, although two texts crashed their model", text) == (texts,)
    assert re.search(r"given up after 2 models: WorkerLost\(.*signal SIGSEGV", text)
    assert re.search(r"not tried again: .*signal SIGSEGV", text)
    assert "the endless one was ended" in text
    assert re.search(r"the median of some numbers: .*statistics\.median", text)
    assert re.search(r"insert into a sorted list: .*bisect\.insort", text)
    assert len(re.findall(r"^tasker-\d+: \d+ MiB", text, re.MULTILINE)) == 2
    made, ended, lost = numbers(r"models: (\d+) made, (\d+) ended, (\d+) lost", text)
    assert made == ended + lost
    assert lost in {3, 4}  # three crashes; whether the endless one still ends its model is its process's affair


def test_stdlib_search(tmp_path: Path) -> None:
    """The jobs of `make demo`, on a few files: indexing twice changes nothing, the search finds `shutil.copytree`."""
    sources = run("stdlib_search/sources.py").splitlines()
    assert len(sources) > 300
    few = [path for path in sources if Path(path).name in {"shutil.py", "bisect.py", "heapq.py"}]
    (tmp_path / "sources.txt").write_text("".join(f"{path}\n" for path in few))
    (tmp_path / "queries.txt").write_text("copy a directory tree\n")
    for _ in range(2):
        tasker_run(tmp_path, "index.py", "sources.txt", "indexed.jsonl")
        tasker_run(tmp_path, "search.py", "queries.txt", "found.jsonl")
        (answer,) = map(json.loads, (tmp_path / "found.jsonl").read_text().splitlines())
        assert answer["status"] == "done"
        assert [hit["name"] for hit in answer["result"]].count("copytree") == 1
        assert answer["result"][0]["name"] == "copytree"
    assert "copytree  (shutil.py:" in run("stdlib_search/show.py", str(tmp_path / "found.jsonl"))


def tasker_run(folder: Path, jobs: str, inputs: str, output: str) -> None:
    (folder / output).unlink(missing_ok=True)
    command = [sys.executable, "-m", "tasker", "run", str(EXAMPLES / "stdlib_search" / jobs), inputs]
    options = ["--workers", "2", "--set", "database=stdlib.db", "--output", output, "--quiet"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, timeout=50, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_testing(tmp_path: Path) -> None:
    """The application imports; its tests pass, and fail if they leave a manager behind."""
    script = EXAMPLES / "testing" / "prices.py"
    command = [sys.executable, "-W", "error", str(script), "prices.db"]
    done = subprocess.run(
        command, input="a,1\nb,x\n", capture_output=True, text=True, timeout=50, check=True, cwd=tmp_path
    )
    assert (done.stdout, done.stderr) == ("1 prices imported\nrejected: no price in 'b,x'\n", "")
    folder = shutil.copytree(EXAMPLES / "testing", tmp_path / "testing")
    assert "25 passed" in example_tests(folder)
    leaves = "\n\ndef test_leaves(database: FakeDatabase) -> None:\n    left.append(TaskManager(database.config()))\n\n\nleft: Any = []\n"
    with (folder / "test_prices.py").open("a") as file:
        file.write(leaves)
    assert "test_leaves left managers behind" in example_tests(folder)


def example_tests(folder: Path) -> str:
    """Runs the tests of the example; by the name of the plugin, because the distribution may be installed without it."""
    command = [sys.executable, "-m", "pytest", "-p", "tasker.testing.plugin", "-p", "no:cacheprovider", str(folder)]
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTEST_ADDOPTS": ""}
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, check=False, env=environment)
    assert done.returncode in {0, 1}, done.stdout + done.stderr
    return done.stdout
