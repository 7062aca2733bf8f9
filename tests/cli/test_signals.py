"""SIGINT and SIGTERM: the first stops gracefully, the second kills, the third leaves at once."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from .conftest import Workshop, finish, wait_for, wait_for_message
from .jobfiles import DEAF, GATED

TWO = ("--workers", 2, "--max-workers", 2)


def started(shop: Workshop) -> int:
    return len(list(shop.folder.glob("started-*")))


def running_two(shop: Workshop, *options: object, job: str = GATED) -> subprocess.Popen[bytes]:
    """A run whose two workers are both busy until `go` exists."""
    shop.write("jobs.py", job)
    shop.numbers(500)
    process = shop.start("run", "jobs.py", "in.txt", *TWO, "--output", "out.jsonl", *options)
    wait_for(lambda: started(shop) == 2, "two running items")
    return process


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_first_signal_finishes_what_runs(shop: Workshop, signum: signal.Signals, code: int) -> None:
    """Nothing more is started, contexts are not cancelled, and --resume does exactly the rest."""
    process = running_two(shop)
    process.send_signal(signum)
    wait_for_message(process, b"finishing 2 running items")
    (shop.folder / "go").touch()
    got, errors = finish(process)
    assert got == code, errors
    assert f"stopped by {signum.name}" in errors
    assert shop.results() == {0: 0, 1: 1}
    assert started(shop) == 2
    assert not list(shop.folder.glob("cancelled-*"))

    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--resume")
    assert done.returncode == 0, done.stderr
    assert "2 skipped" in done.stderr
    assert shop.results() == {n: n for n in range(500)}


def test_the_second_signal_kills(shop: Workshop) -> None:
    """Running items are cancelled through their context and have no line; what is written stays."""
    process = running_two(shop)
    process.send_signal(signal.SIGINT)
    wait_for_message(process, b"finishing 2 running items")
    process.send_signal(signal.SIGINT)
    code, errors = finish(process)
    assert code == 130, errors
    assert shop.records() == []
    assert len(list(shop.folder.glob("cancelled-*"))) == 2


def test_the_second_signal_leaves_although_a_task_is_deaf(shop: Workshop) -> None:
    """A thread cannot be ended; the process ends all the same, and says what it left behind."""
    process = running_two(shop, job=DEAF)
    process.send_signal(signal.SIGINT)
    wait_for_message(process, b"finishing 2 running items")
    process.send_signal(signal.SIGINT)
    code, errors = finish(process, within=10)
    assert code == 130
    assert "abandoned" in errors
    assert shop.records() == []


def test_the_third_signal_leaves_at_once(shop: Workshop) -> None:
    process = running_two(shop, job=DEAF)
    process.send_signal(signal.SIGINT)
    wait_for_message(process, b"finishing 2 running items")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    code, _ = finish(process, within=10)
    assert code == 130


def test_stop_timeout_turns_a_stop_into_a_kill(shop: Workshop) -> None:
    process = running_two(shop, "--stop-timeout", 0.2)
    process.send_signal(signal.SIGINT)
    code, errors = finish(process, within=10)
    assert code == 130, errors
    assert len(list(shop.folder.glob("cancelled-*"))) == 2


def test_a_signal_is_answered_while_standard_input_is_silent(shop: Workshop) -> None:
    """The submitter is blocked in a read that never returns."""
    shop.write("jobs.py", "def task(ctx, resource, item):\n    return item\n")
    process = shop.start("run", "jobs.py", "--output", "out.jsonl", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"one\n")
    process.stdin.flush()
    wait_for(lambda: shop.lines() == 1, "the first result")
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    assert shop.results() == {0: "one"}


def test_a_signal_is_answered_while_no_resource_can_be_made(shop: Workshop) -> None:
    """What waits in the queue is let go, though no worker will ever take it."""
    shop.write(
        "jobs.py",
        """
        from pathlib import Path

        def on_create():
            Path("tried").touch()
            raise ConnectionError("nobody there")

        def task(ctx, resource, item):
            return item
        """,
    )
    shop.numbers(10)
    process = shop.start("run", "jobs.py", "in.txt", "--output", "out.jsonl")
    wait_for(lambda: (shop.folder / "tried").exists(), "a first creation")
    process.send_signal(signal.SIGINT)
    code, errors = finish(process, within=10)
    assert code == 130, errors
    assert shop.records() == []


def test_the_second_signal_ends_a_run_whose_results_are_not_read(shop: Workshop) -> None:
    """The main thread is blocked in a write to a full pipe; signals are received all the same."""
    shop.write("jobs.py", "def task(ctx, resource, item):\n    return 'x' * 100_000\n")
    shop.numbers(100)
    reading, writing = os.pipe()
    try:
        process = shop.start("run", "jobs.py", "in.txt", stdout=writing)
        os.close(writing)
        os.read(reading, 1)
        # Two kinds, because the system merges two of a kind while the first is pending.
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        code, _ = finish(process, within=15)
    finally:
        os.close(reading)
    assert code in (130, 143)


def test_an_ignored_sigint_stays_ignored(shop: Workshop) -> None:
    """As a shell starts a background job."""
    shop.write("jobs.py", GATED)
    shop.numbers(1)
    process = shop.start(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl",
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),
    )  # fmt: skip
    wait_for(lambda: started(shop) == 1, "a running item")
    process.send_signal(signal.SIGINT)
    (shop.folder / "go").touch()
    code, errors = finish(process)
    assert code == 0, errors
