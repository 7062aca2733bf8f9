"""`tasker run --backend process`: the same results, and items that crash cost nothing but themselves."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
from importlib.util import find_spec
from typing import Any

import pytest

from .conftest import Workshop, finish, wait_for
from .jobfiles import DEAF, GATED, SQUARE

if find_spec("psutil") is None or find_spec("cloudpickle") is None:
    pytest.skip("ProcessBackend needs cloudpickle and psutil", allow_module_level=True)
import psutil

PROCESS = ("--backend", "process")
TWO = (*PROCESS, "--workers", 2, "--max-workers", 2)

WORKSHOP = """
    import os

    def on_create():
        return os.getpid()

    def on_destroy(pid):
        assert pid == os.getpid()

    def task(ctx, pid, item):
        assert pid == os.getpid()
        return pid
"""
CRASHING = """
    import ctypes, os

    def task(ctx, resource, item):
        if item == "crash":
            ctypes.string_at(0)
        if item == "leave":
            os._exit(3)
        return item
"""
# Writes down each start before it works; `started` is a log of item numbers.
LOGGED = """
    import os, time

    def task(ctx, resource, item):
        handle = os.open("started", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{item}\\n".encode())
        os.close(handle)
        time.sleep(0.001)
        return int(item) ** 2
"""


def descendants(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []


def all_gone(processes: list[psutil.Process]) -> bool:
    def there(one: psutil.Process) -> bool:
        try:
            return bool(one.is_running() and one.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    return not any(map(there, processes))


def test_the_same_results(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(300)
    done = shop.run("run", "jobs.py", "in.txt", *TWO, "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert shop.results() == {n: n**2 for n in range(300)}


def test_the_work_is_done_in_children(shop: Workshop) -> None:
    """Each worker has a process of its own, which makes, uses and ends its resource."""
    shop.write("jobs.py", WORKSHOP)
    shop.numbers(60)
    process = shop.start("run", "jobs.py", "in.txt", *TWO, "--output", "out.jsonl")
    code, errors = finish(process)
    assert code == 0, errors
    pids = {*shop.results().values()}
    assert 1 <= len(pids) <= 2
    assert process.pid not in pids
    assert {record["worker"] for record in shop.records()} <= {"jobs-1", "jobs-2"}


def test_settings_and_neighbours(shop: Workshop) -> None:
    """--set reaches the children, and the job file can import what lies beside it."""
    shop.write("helper.py", "def double(n):\n    return 2 * n\n")
    shop.write(
        "jobs.py", "import helper\nbase = 1\ndef task(ctx, r, item):\n    return base + helper.double(int(item))\n"
    )
    shop.numbers(5)
    done = shop.run("run", "jobs.py", "in.txt", *TWO, "--set", "base=10", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert shop.results() == {n: 10 + 2 * n for n in range(5)}


def test_what_the_job_prints_does_not_mix_with_the_results(shop: Workshop) -> None:
    """With results on standard output, each line there that is JSON is a result."""
    shop.write("jobs.py", 'def task(ctx, r, item):\n    print("hello", item)\n    return int(item)\n')
    shop.numbers(20)
    done = shop.run("run", "jobs.py", "in.txt", *TWO, "--quiet")
    assert done.returncode == 0, done.stderr
    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert sorted(record["result"] for record in results) == list(range(20))
    assert "hello 7" in done.stdout + done.stderr


def test_items_that_crash(shop: Workshop) -> None:
    """They fail by themselves, with the signal or the exit code in their line; all others are done."""
    shop.write("jobs.py", CRASHING)
    items = ["a", "crash", "b", "leave", *"cdefgh"]
    shop.write("in.txt", "".join(f"{item}\n" for item in items))
    options = ("--retries", 1, "--failed", "failed.txt", "--output", "out.jsonl")
    done = shop.run("run", "jobs.py", "in.txt", *TWO, *options)
    assert done.returncode == 1, done.stderr
    records = {record["input"]: record for record in shop.records()}
    assert {item for item, record in records.items() if record["status"] == "failed"} == {"crash", "leave"}
    assert "SIGSEGV" in json.dumps(records["crash"])
    assert "exit code 3" in json.dumps(records["leave"])
    assert sorted(shop.read("failed.txt").split()) == ["crash", "leave"]
    assert all(records[item]["result"] == item for item in "abcdefgh")


def test_deaths_count_as_replacements(shop: Workshop) -> None:
    shop.write("jobs.py", CRASHING)
    shop.write("in.txt", "leave\n" * 3)
    done = shop.run("run", "jobs.py", "in.txt", *TWO, "--retries", 3, "--output", "out.jsonl")
    assert done.returncode == 1, done.stderr
    assert ", 12 replaced (12 died), " in done.stderr


def test_a_crash_with_once(shop: Workshop) -> None:
    """--once: the item is started a single time."""
    shop.write("jobs.py", LOGGED.replace("time.sleep(0.001)", "os._exit(3)"))
    shop.numbers(3)
    done = shop.run("run", "jobs.py", "in.txt", *TWO, "--once", "--output", "out.jsonl")
    assert done.returncode == 1, done.stderr
    assert sorted(shop.read("started").split()) == ["0", "1", "2"]
    assert {record["error"]["type"].rpartition(".")[2] for record in shop.records()} == {"WorkerLost"}


def test_on_create_that_fails_is_reported(shop: Workshop) -> None:
    """A job whose resource can't be made in the child ends with the reason."""
    shop.write("jobs.py", 'def on_create():\n    raise OSError("no database")\ndef task(ctx, r, item):\n    return 1\n')
    shop.numbers(2)
    # Long enough for the interpreter of a child to start on a busy machine.
    done = shop.run("run", "jobs.py", "in.txt", *TWO, "--creation-timeout", 4, "--output", "out.jsonl")
    assert done.returncode != 0
    assert "no database" in done.stderr


def test_ctrl_c_in_a_terminal_reaches_the_children_too(shop: Workshop) -> None:
    """The first one finishes what runs, although the whole process group got it."""
    shop.write("jobs.py", GATED)
    shop.numbers(500)
    process = shop.start("run", "jobs.py", "in.txt", *TWO, "--output", "out.jsonl", start_new_session=True)
    wait_for(lambda: len(list(shop.folder.glob("started-*"))) == 2, "two running items")
    children = descendants(process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stderr is not None
    for line in process.stderr:
        if b"finishing 2 running items" in line:
            break
    (shop.folder / "go").touch()
    code, errors = finish(process)
    assert code == 130, errors
    assert shop.results() == {0: 0, 1: 1}
    assert not list(shop.folder.glob("cancelled-*"))
    wait_for(lambda: all_gone(children), "no child is left")


def test_the_second_ctrl_c_ends_deaf_items(shop: Workshop) -> None:
    """Threads would have to be left behind: processes are ended."""
    shop.write("jobs.py", DEAF)
    shop.numbers(500)
    process = shop.start("run", "jobs.py", "in.txt", *TWO, "--output", "out.jsonl")
    wait_for(lambda: len(list(shop.folder.glob("started-*"))) == 2, "two running items")
    children = descendants(process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    for line in process.stderr:
        if b"finishing 2 running items" in line:
            break
    process.send_signal(signal.SIGINT)
    code, errors = finish(process)
    assert code == 130, errors
    wait_for(lambda: all_gone(children), "no child is left")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("seed", range(4))
def test_resume_after_random_kills(shop: Workshop, seed: int) -> None:
    """Children are killed at random, then the parent, again and again: what was recorded as done is neither lost nor done
    again, and no process is left."""
    chance = random.Random(seed)
    count = 400
    shop.write("jobs.py", LOGGED)
    shop.numbers(count)
    command = ("run", "jobs.py", "in.txt", *TWO, "--retries", 50, "--output", "out.jsonl", "--resume", "--quiet")
    kept: list[tuple[set[int], int]] = []

    for _ in range(4):
        recorded = {record["index"] for record in whole_records(shop) if record["status"] == "done"}
        starts = shop.read("started").split() if (shop.folder / "started").exists() else []
        kept.append((recorded, len(starts)))
        process = shop.start(*command)
        children: list[psutil.Process] = []
        for _ in range(chance.randrange(1, 4)):
            enough = shop.lines() + chance.randrange(1, 30)
            wait_for(lambda: shop.lines() >= enough or process.poll() is not None, "more lines")  # noqa: B023
            children += descendants(process)
            for victim in chance.sample(children, min(len(children), 2)):
                try:
                    victim.kill()
                except psutil.NoSuchProcess:
                    continue
        enough = shop.lines() + chance.randrange(1, 30)
        wait_for(lambda: shop.lines() >= enough or process.poll() is not None, "more lines")  # noqa: B023
        children += descendants(process)
        process.send_signal(signal.SIGKILL)
        finish(process)
        wait_for(lambda: all_gone(children), "no child is left")  # noqa: B023
    done = shop.run(*command, timeout=90)
    assert done.returncode == 0, done.stderr
    assert shop.results() == {n: n**2 for n in range(count)}
    starts = shop.read("started").split()
    for recorded, before in kept:
        assert not recorded & {*map(int, starts[before:])}, "started again although it was done"


def whole_records(shop: Workshop) -> list[dict[str, Any]]:
    """The records of the output, without a last line that is cut off."""
    path = shop.folder / "out.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1] if line]
