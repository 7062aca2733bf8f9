"""Resources that cannot be made."""

from __future__ import annotations

import signal

import pytest

from .conftest import Workshop, finish, wait_for

REFUSED = """
def on_create():
    raise ConnectionRefusedError("port 5432")

def task(ctx, resource, item):
    return item
"""


def test_on_create_that_always_fails_ends_the_run(shop: Workshop) -> None:
    """In bounded time, with the reason; items that were never run have no line."""
    shop.write("jobs.py", REFUSED)
    shop.numbers(10_000)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--creation-timeout", 0.5)
    assert done.returncode == 1
    assert "error: no resource could be made for 0.5 s" in done.stderr
    assert "ConnectionRefusedError: port 5432" in done.stderr
    assert "Traceback" not in done.stderr
    assert shop.records() == []


@pytest.mark.parametrize("order", [(), ("--keep-order",)])
def test_halt_does_not_count_what_had_no_resource(shop: Workshop, order: tuple[str, ...]) -> None:
    """The reason for the end is that of the creation."""
    shop.write("jobs.py", REFUSED)
    shop.numbers(10)
    command = ("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--creation-timeout", 0.5, "--timeout", 5)
    done = shop.run(*command, "--halt", 1, *order)
    assert done.returncode == 1
    assert "ConnectionRefusedError: port 5432" in done.stderr.splitlines()[-1]


def test_nothing_already_written_is_lost_when_creation_begins_to_fail(shop: Workshop) -> None:
    """The resource goes bad at the tenth item and no other can be made; --resume goes on later."""
    shop.write(
        "jobs.py",
        """
        from pathlib import Path

        def on_create():
            if Path("down").exists():
                raise ConnectionError("down")

        def check_health(error):
            return False

        def task(ctx, resource, item):
            if item == "10" and not Path("repaired").exists():
                Path("down").touch()
                raise ConnectionError("went down")
            return int(item)
        """,
    )
    shop.numbers(50)
    command = (
        "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--workers", 1, "--max-workers", 1,
        "--creation-timeout", 0.5,
    )  # fmt: skip
    done = shop.run(*command)
    assert done.returncode == 1
    assert "no resource could be made" in done.stderr
    assert shop.results() == {n: n for n in range(10)}
    (shop.folder / "down").unlink()
    (shop.folder / "repaired").touch()
    done = shop.run(*command, "--resume")
    assert done.returncode == 0, done.stderr
    assert shop.results() == {n: n for n in range(50)}


def test_progress_shows_why_no_worker_comes_up(shop: Workshop) -> None:
    shop.write("jobs.py", REFUSED)
    shop.numbers(10)
    done = shop.run(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--creation-timeout", 1,
        "--progress-interval", 0.1,
    )  # fmt: skip
    assert "on_create fails: ConnectionRefusedError: port 5432" in done.stderr


def test_one_failing_creation_does_no_harm(shop: Workshop) -> None:
    shop.write(
        "jobs.py",
        """
        from pathlib import Path

        def on_create():
            if not Path("tried").exists():
                Path("tried").touch()
                raise ConnectionError("not yet")
            return "made"

        def task(ctx, resource, item):
            return resource
        """,
    )
    shop.numbers(10)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert set(shop.results().values()) == {"made"}


HANGING = """
    import time
    from pathlib import Path

    def on_create():
        Path("tried").touch()
        while not Path("never").exists():
            time.sleep(0.01)

    def task(ctx, resource, item):
        return item
"""


def test_on_create_that_never_returns_ends_the_run(shop: Workshop) -> None:
    shop.write("jobs.py", HANGING)
    shop.numbers(10)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--creation-timeout", 0.3)
    assert done.returncode == 1
    assert "error: no resource could be made for 0.3 s" in done.stderr
    assert shop.records() == []


def test_one_signal_is_enough_while_on_create_hangs(shop: Workshop) -> None:
    """Nothing runs that would have to be finished."""
    shop.write("jobs.py", HANGING)
    shop.numbers(10)
    process = shop.start("run", "jobs.py", "in.txt", "--output", "out.jsonl")
    wait_for((shop.folder / "tried").exists, "a creation")
    process.send_signal(signal.SIGINT)
    code, errors = finish(process, within=15)
    assert code == 130, errors


def test_two_signals_end_a_run_whose_on_destroy_hangs(shop: Workshop) -> None:
    shop.write(
        "jobs.py",
        """
        import time
        from pathlib import Path

        def on_create():
            return 1

        def on_destroy(resource):
            Path("destroying").touch()
            while not Path("never").exists():
                time.sleep(0.01)

        def task(ctx, resource, item):
            return int(item)
        """,
    )
    shop.numbers(10)
    process = shop.start("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--burst-interval", 0)
    wait_for((shop.folder / "destroying").exists, "the end of the work")
    process.send_signal(signal.SIGINT)
    process.send_signal(signal.SIGTERM)
    code, errors = finish(process, within=15)
    assert code in (130, 143), errors
    assert shop.results() == {n: n for n in range(10)}


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_a_resource_that_is_no_context_manager_ends_the_run_at_once(shop: Workshop, backend: str) -> None:
    """No retry would mend it: exit code 2, long before --creation-timeout."""
    shop.write("jobs.py", "def resource():\n    return 1\n\ndef task(ctx, resource, item):\n    return item\n")
    shop.numbers(10)
    done = shop.run(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--backend", backend, "--quiet",
        "--creation-timeout", 1000,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "tasker run: error: jobs.py: resource() returned int, and no context manager (or define on_create)\n"
    )
    assert shop.records() == []
