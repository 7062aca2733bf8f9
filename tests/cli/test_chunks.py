"""--chunk: one call of `task_many` for many items."""

from __future__ import annotations

import json
import signal
import threading
from collections import Counter
from importlib.util import find_spec

import pytest

from tasker import Context
from tasker.cli.run.result_encoder import ResultEncoder
from tasker.cli.run.task_wrapper import Encoded, NotEncodable, ResultCountError, outcomes_of

from .conftest import Workshop, finish, wait_for, wait_for_message

BACKENDS = [
    "thread",
    pytest.param("process", marks=pytest.mark.skipif(find_spec("cloudpickle") is None, reason="needs cloudpickle")),
]

# Notes the sizes of its chunks.
SIZES = """
    import os

    def task_many(ctx, resource, items):
        handle = os.open("sizes", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(handle, f"{len(items)}\\n".encode())
        os.close(handle)
        if "crash" in items:
            os._exit(3)
        if "raise" in items:
            raise ValueError("no")
        for item in items:
            yield object() if item == "odd" else int(item) ** 2
"""


def sizes(shop: Workshop) -> Counter[int]:
    return Counter(map(int, shop.read("sizes").split()))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("more", [(), ("--keep-order", "--timeout", 60)])
def test_each_item_has_its_result(shop: Workshop, backend: str, more: tuple[object, ...]) -> None:
    """The last chunk is a smaller one."""
    shop.write("jobs.py", SIZES)
    shop.numbers(105)
    done = shop.run("run", "jobs.py", "in.txt", "--chunk", 10, "--output", "out.jsonl", "--backend", backend, *more)
    assert done.returncode == 0, done.stderr
    assert shop.results() == {n: n**2 for n in range(105)}
    assert sizes(shop) == {10: 10, 5: 1}
    records = shop.records()
    assert all(record["attempts"] == 1 and record["execution_s"] >= 0 <= record["wait_s"] for record in records)
    if more:
        assert [record["index"] for record in records] == [*range(105)]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_the_call_raises_is_the_error_of_each_of_its_items(shop: Workshop, backend: str) -> None:
    """--resume runs them again; a result without a form fails its own item alone."""
    shop.write("jobs.py", SIZES)
    shop.write("in.txt", "".join(f"{item}\n" for item in ["1", "2", "3", "odd", "5", "raise", "7", "8", "9"]))
    command = ("run", "jobs.py", "in.txt", "--chunk", 3, "--workers", 1, "--max-workers", 1, "--output", "out.jsonl")
    done = shop.run(*command, "--backend", backend, "--failed", "failed.txt")
    assert done.returncode == 1, done.stderr
    errors = {r["index"]: r["error"]["type"] for r in shop.records() if r["status"] == "failed"}
    assert errors == {3: "ValueError", 4: "ValueError", 5: "ValueError"}
    assert sorted(shop.read("failed.txt").split()) == ["5", "odd", "raise"]
    shop.write("jobs.py", SIZES.replace('"raise" in items', "False").replace("int(item)", "len(item)"))
    done = shop.run(*command, "--backend", backend, "--resume")
    assert done.returncode == 1, done.stderr
    records = {record["index"]: record for record in shop.records()}
    assert (records[4]["result"], records[5]["result"]) == (1, 25)
    assert records[3]["error"]["type"] == "UnserialisableResult"
    assert sizes(shop) == {3: 4}


@pytest.mark.skipif(find_spec("cloudpickle") is None, reason="needs cloudpickle")
def test_a_crash_costs_its_chunk(shop: Workshop) -> None:
    shop.write("jobs.py", SIZES)
    shop.write("in.txt", "1\n2\ncrash\n4\n5\n6\n7\n")
    options = ("--chunk", 2, "--backend", "process", "--retries", 1, "--output", "out.jsonl")
    done = shop.run("run", "jobs.py", "in.txt", *options)
    assert done.returncode == 1, done.stderr
    records = {record["index"]: record for record in shop.records()}
    assert {n: record["status"] for n, record in records.items() if record["status"] == "failed"} == {
        2: "failed",
        3: "failed",
    }
    assert [record["attempts"] for n, record in sorted(records.items())] == [1, 1, 2, 2, 1, 1, 1]


def test_a_chunk_that_is_not_full_is_run_all_the_same(shop: Workshop) -> None:
    """When no more items come for a while."""
    shop.write("jobs.py", SIZES)
    process = shop.start("run", "jobs.py", "--chunk", 100, "--output", "out.jsonl", stdin=-1)
    assert process.stdin is not None
    process.stdin.write(b"1\n2\n3\n")
    process.stdin.flush()
    wait_for(lambda: shop.lines() == 3, "three results")
    code, errors = finish(process)
    assert code == 0, errors
    assert sizes(shop) == {3: 1}


def test_priorities_are_chunks_of_their_own(shop: Workshop) -> None:
    shop.write("jobs.py", "def task_many(ctx, r, items):\n    return [sorted({i['p'] for i in items})] * len(items)\n")
    items = [{"p": ("high", "low")[n % 2]} for n in range(40)]
    shop.write("in.jsonl", "".join(json.dumps(item) + "\n" for item in items))
    done = shop.run("run", "jobs.py", "in.jsonl", "--chunk", 7, "--priority-field", "p", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert shop.results() == {n: [item["p"]] for n, item in enumerate(items)}


def test_a_signal_lets_the_chunk_that_runs_end(shop: Workshop) -> None:
    """The others get no line, nor do items that wait for their chunk to be full."""
    shop.write(
        "jobs.py",
        """
        from pathlib import Path

        def task_many(ctx, resource, items):
            Path("started").touch()
            while not Path("go").exists():
                ctx.wait(0.005)
            return items
        """,
    )
    shop.numbers(11)
    options = ("--chunk", 4, "--workers", 1, "--max-workers", 1, "--output", "out.jsonl")
    process = shop.start("run", "jobs.py", "in.txt", *options)
    wait_for(lambda: (shop.folder / "started").exists(), "the first chunk")
    process.send_signal(signal.SIGINT)
    wait_for_message(process, b"finishing 1 running items")
    (shop.folder / "go").touch()
    code, errors = finish(process)
    assert code == 130, errors
    assert shop.results() == {n: str(n) for n in range(4)}


@pytest.mark.parametrize(
    ("job", "options", "message"),
    [
        (
            "def task(ctx, r, item): ...\n",
            ("--chunk", 5),
            "--chunk: jobs.py defines no task_many(ctx, resource, items)",
        ),
        ("def task_many(ctx, r, items): ...\n", (), "jobs.py: defines task_many, and no task: say --chunk N"),
        ("async def task_many(ctx, r, items): ...\n", ("--chunk", 5), "task_many is async"),
        ("def task_many(ctx, r): ...\n", ("--chunk", 5), "must be callable as task_many(ctx, resource, items)"),
        (
            "def task_many(ctx, r, items): ...\n",
            ("--chunk", 5, "--max-queue", 4),
            "--max-queue 4 is less than --chunk 5",
        ),
    ],
)
def test_bad_usage(shop: Workshop, job: str, options: tuple[object, ...], message: str) -> None:
    shop.write("jobs.py", job)
    shop.numbers(3)
    done = shop.run("run", "jobs.py", "in.txt", *options, "--output", "out.jsonl")
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ([1], "task_many gave 1 results for 2 items"),
        ([1, 2, 3], "task_many gave more than 2 results for 2 items"),
        (None, "task_many returned NoneType, not the results of 2 items"),
        ("ab", "task_many returned str, not"),
        ({1: 2, 3: 4}, "task_many returned dict, not"),
    ],
)
def test_there_is_one_result_for_each_item(results: object, message: str) -> None:
    with pytest.raises(ResultCountError, match=message):
        outcomes_of(lambda ctx, resource, items: results, Context(), None, [1, 2], ResultEncoder(None))


def test_outcomes_are_encoded_as_they_come() -> None:
    """A result may be owned by the resource, and change with the next one."""
    buffer: list[int] = []

    def task_many(ctx: Context, resource: object, items: list[int]) -> object:
        for item in items:
            buffer[:] = [item]
            yield buffer if item != 2 else threading.Lock()

    first, second, third = outcomes_of(task_many, Context(), None, [1, 2, 3], ResultEncoder(None))
    assert (first, third) == (Encoded("[1]"), Encoded("[3]"))
    assert isinstance(second, NotEncodable)
