"""`tasker run` on each kind of input, from one end to the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from tasker import RetryPolicy
from tasker.cli.run.command import _retry_policy

from .conftest import Workshop, finish, wait_for
from .jobfiles import SQUARE

ECHO = """
    def task(ctx, resource, item):
        return item
"""


def test_each_line_of_a_text_file_is_an_item(shop: Workshop) -> None:
    """Results say which input they are of, how long it took and who did it."""
    shop.write("jobs.py", SQUARE)
    shop.numbers(20)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--workers", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    records = sorted(shop.records(), key=lambda r: r["index"])
    assert [r["result"] for r in records] == [n**2 for n in range(20)]
    assert [r["input"] for r in records] == [str(n) for n in range(20)]
    one = records[0]
    assert list(one) == [
        "index", "input", "status", "result", "attempts", "wait_s", "execution_s", "started_at", "worker", "job",
    ]  # fmt: skip
    assert (one["status"], one["attempts"]) == ("done", 1)
    assert one["wait_s"] >= 0 and one["execution_s"] >= 0
    assert one["worker"].startswith("jobs-")


def test_results_go_to_stdout_and_everything_else_to_stderr(shop: Workshop) -> None:
    """Neither what the job prints nor what its child processes print gets between the results."""
    shop.write(
        "jobs.py",
        """
        import subprocess, sys

        def task(ctx, resource, item):
            print("printed by the job", flush=True)
            subprocess.run(["echo", "printed by a child"], check=True)
            return item
        """,
    )
    done = shop.run("run", "jobs.py", input="a\nb\n")
    assert done.returncode == 0
    assert sorted(json.loads(line)["result"] for line in done.stdout.splitlines()) == ["a", "b"]
    assert done.stderr.count("printed by the job") == 2
    assert done.stderr.count("printed by a child") == 2
    assert "2 done, 0 failed" in done.stderr


@pytest.mark.parametrize("name", ["in.jsonl", "in.ndjson"])
def test_jsonl_by_its_suffix(shop: Workshop, name: str) -> None:
    shop.write("jobs.py", ECHO)
    items = [{"a": 1}, [1, 2], "text", 3.5, None, True]
    shop.write(name, "".join(json.dumps(item) + "\n" for item in items))
    assert shop.run("run", "jobs.py", name, "--output", "out.jsonl").returncode == 0
    assert shop.results() == dict(enumerate(items))


def test_csv_records_are_dicts(shop: Workshop) -> None:
    """With a quoted comma and a line break inside a field."""
    shop.write("jobs.py", ECHO)
    shop.write("in.csv", 'name,note\nAda,"one, two"\nBob,"two\nlines"\n')
    assert shop.run("run", "jobs.py", "in.csv", "--output", "out.jsonl").returncode == 0
    assert shop.results() == {
        0: {"name": "Ada", "note": "one, two"},
        1: {"name": "Bob", "note": "two\nlines"},
    }


def test_files_by_glob_are_paths(shop: Workshop) -> None:
    shop.write("jobs.py", ECHO)
    for name in ("p/b.jpg", "p/a.jpg", "p/deep/er/c.jpg", "p/d.txt", "q/e.png"):
        shop.write(name, "")
    done = shop.run("run", "jobs.py", "--files", "p/**/*.jpg", "--files", "q/*.png", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    found = shop.results()
    assert [found[n] for n in range(4)] == ["p/a.jpg", "p/b.jpg", "p/deep/er/c.jpg", "q/e.png"]


def test_format_overrides_the_suffix(shop: Workshop) -> None:
    shop.write("jobs.py", ECHO)
    done = shop.run("run", "jobs.py", "-", "--format", "jsonl", "--output", "o", input="[1]\n[2]\n")
    assert done.returncode == 0
    assert shop.results("o") == {0: [1], 1: [2]}


def test_several_inputs_are_numbered_through(shop: Workshop) -> None:
    """An option may stand between them."""
    shop.write("jobs.py", ECHO)
    shop.write("a.txt", "a1\na2\n")
    shop.write("b.jsonl", '"b1"\n')
    done = shop.run("run", "jobs.py", "a.txt", "--workers", 1, "b.jsonl", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert shop.results() == {0: "a1", 1: "a2", 2: "b1"}


def test_results_appear_while_standard_input_is_still_open(shop: Workshop) -> None:
    """A slow producer does not hold back what is done."""
    shop.write("jobs.py", SQUARE)
    process = shop.start("run", "jobs.py", "--output", "out.jsonl", stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(b"3\n")
    process.stdin.flush()
    wait_for(lambda: shop.lines() == 1, "the first result")
    process.stdin.write(b"4\n")
    code, _ = finish(process)
    assert code == 0
    assert shop.results() == {0: 9, 1: 16}


@pytest.mark.parametrize(
    ("way", "more"), [("pipe", ()), ("pipe", ("-",)), ("pipe", ("/dev/stdin",)), ("file", ()), ("file", ("-",))]
)
def test_a_job_that_reads_standard_input_takes_no_items(shop: Workshop, way: str, more: tuple[str, ...]) -> None:
    """Nor does a program that it starts, when it is loaded, for a resource or for an item."""
    shop.write(
        "jobs.py",
        """
        import subprocess, sys

        def rest():
            return subprocess.run(["cat"], stdout=subprocess.PIPE).stdout.decode() + sys.stdin.read()

        LOADED = rest()
        on_create = rest

        def task(ctx, resource, item):
            return [item, LOADED + resource + rest()]
        """,
    )
    # More than the reader takes at once.
    items = [f"{n:0>1000}" for n in range(150)]
    path = shop.write("in.txt", "\n".join(items))
    with path.open() as file:
        given = {"stdin": file} if way == "file" else {"input": path.read_text()}
        done = shop.run("run", "jobs.py", *more, "--output", "out.jsonl", "--workers", 2, "--max-workers", 2, **given)
    assert done.returncode == 0, done.stderr
    assert shop.results() == {n: [item, ""] for n, item in enumerate(items)}


def test_a_job_may_read_longer_fields_of_csv(shop: Workshop) -> None:
    """The limit of the module `csv` is one for the job and the inputs."""
    shop.write(
        "jobs.py",
        """
        import csv

        csv.field_size_limit(1 << 30)

        def task(ctx, resource, item):
            return len(next(csv.reader([item["n"] * (2 << 20)]))[0])
        """,
    )
    shop.write("in.csv", "n\n1\n")
    done = shop.run("run", "jobs.py", "in.csv", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert shop.results() == {0: 2 << 20}


def test_an_empty_input_is_done(shop: Workshop) -> None:
    shop.write("jobs.py", ECHO)
    shop.write("in.csv", "")
    done = shop.run("run", "jobs.py", "in.csv", "--output", "out.jsonl")
    assert done.returncode == 0
    assert shop.read("out.jsonl") == ""


def test_resources_are_made_used_and_destroyed(shop: Workshop) -> None:
    shop.write(
        "jobs.py",
        """
        from pathlib import Path

        def on_create():
            made = Path(f"made-{len(list(Path().glob('made-*')))}")
            made.touch()
            return made

        def on_destroy(resource):
            resource.unlink()

        def task(ctx, resource, item):
            return resource.exists()
        """,
    )
    shop.numbers(30)
    done = shop.run("run", "jobs.py", "in.txt", "--workers", 1, "--max-workers", 1, "--output", "o")
    assert done.returncode == 0, done.stderr
    assert set(shop.results("o").values()) == {True}
    assert not list(shop.folder.glob("made-*"))
    assert "1 made, 0 replaced" in done.stderr


def test_a_resource_may_be_a_context_manager(shop: Workshop) -> None:
    shop.write(
        "jobs.py",
        """
        from contextlib import contextmanager
        from pathlib import Path

        @contextmanager
        def resource():
            yield "lent"
            Path("returned").touch()

        def task(ctx, resource, item):
            return resource
        """,
    )
    shop.numbers(3)
    assert shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl").returncode == 0
    assert set(shop.results().values()) == {"lent"}
    assert (shop.folder / "returned").exists()


UNHEALTHY_ONCE = """
    from pathlib import Path

    def check_health(error):
        return not isinstance(error, ConnectionError)

    def task(ctx, resource, item):
        marker = Path(f"tried-{item}")
        if not marker.exists():
            marker.touch()
            raise ConnectionError("went away")
        return item
"""


def test_an_unhealthy_error_is_retried(shop: Workshop) -> None:
    """The line shows how many attempts it took, the summary how many retries and replacements."""
    shop.write("jobs.py", UNHEALTHY_ONCE)
    shop.numbers(5)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert {r["attempts"] for r in shop.records()} == {2}
    assert "retried    5" in done.stderr
    assert "5 replaced" in done.stderr


def test_a_pause_before_a_retry(shop: Workshop) -> None:
    """With --retry-delay an item pauses, and is then tried again; the delay has to be a time."""
    shop.write("jobs.py", UNHEALTHY_ONCE)
    shop.numbers(5)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--retry-delay", 0.05)
    assert done.returncode == 0, done.stderr
    assert {r["attempts"] for r in shop.records()} == {2}
    assert shop.run("run", "jobs.py", "in.txt", "--retry-delay", "-1").returncode == 2


@pytest.mark.parametrize(
    ("delay", "policy"),
    [(0.0, None), (2.0, RetryPolicy(backoff=2.0)), (60.0, RetryPolicy(backoff=60.0, max_backoff=60.0))],
)
def test_the_policy_of_a_retry_delay(delay: float, policy: RetryPolicy | None) -> None:
    """The delay is the first limit, whatever the library says of the longest."""
    assert _retry_policy(delay) == policy


ALWAYS_UNHEALTHY = """
calls = iter(range(100))
check_health = lambda error: False

def create():
    return None

def task(ctx, resource, number):
    raise ConnectionError(f"went away {next(calls)}")
"""


def test_what_was_tried_before(shop: Workshop) -> None:
    """The line of an item that failed after several attempts tells of those before the last one; any other has no such field."""
    shop.write("jobs.py", ALWAYS_UNHEALTHY)
    shop.numbers(1)
    assert shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--retries", 2).returncode == 1
    (record,) = shop.records()
    assert [one["attempt"] for one in record["earlier"]] == [1, 2]
    assert [one["error"] for one in record["earlier"]] == [
        {"type": "ConnectionError", "message": f"went away {number}"} for number in range(2)
    ]
    assert record["error"]["cause"]["message"] == "went away 2"
    assert record["earlier"][0].keys() == {"attempt", "worker", "wait_s", "execution_s", "error"}
    assert shop.run("run", "jobs.py", "in.txt", "--output", "once.jsonl", "--retries", 0).returncode == 1
    assert "earlier" not in shop.records("once.jsonl")[0]


RETRIED_ONCE = """
import itertools

calls = itertools.count()

def check_health(error):
    return False

def task(ctx, resource, item):
    if item == "slow":
        ctx.wait(0.05)
    if item == "retried" and next(calls) == 0:
        raise ConnectionError
    return {1, 2} if item == "settled" else item
"""


@pytest.mark.parametrize("options", [(), ("--timeout", 30)], ids=["lanes", "a task each"])
def test_when_an_item_was_started(shop: Workshop, options: tuple[object, ...]) -> None:
    """The time of day of the last attempt, however the item was run; null for one that was not."""
    shop.write("jobs.py", RETRIED_ONCE)
    (shop.folder / "in.jsonl").write_text('"slow"\n"retried"\n"settled"\n"plain"\n[\n')
    before = time.time()
    assert shop.run("run", "jobs.py", "in.jsonl", "--output", "out.jsonl", *options).returncode == 1
    after = time.time()
    started = {record["input"]: record for record in shop.records()}
    assert started.pop("[")["started_at"] is None
    assert len(started) == 4
    for record in started.values():
        # The two clocks are read one after the other, with a few microseconds between.
        assert before - 0.01 <= record["started_at"] <= record["started_at"] + record["execution_s"] <= after + 0.01
    assert started["retried"]["attempts"] == 2


def test_no_retries_when_none_are_wanted(shop: Workshop) -> None:
    """--retries 0 fails with the attempts and the cause; --once with the error itself."""
    shop.write("jobs.py", UNHEALTHY_ONCE)
    shop.numbers(1)
    assert shop.run("run", "jobs.py", "in.txt", "--output", "a", "--retries", 0).returncode == 1
    (record,) = shop.records("a")
    assert record["error"]["type"].endswith("MaxRetriesExceeded")
    assert record["error"]["cause"] == {"type": "ConnectionError", "message": "went away"}
    assert record["attempts"] == 1
    (shop.folder / "tried-0").unlink()
    done = shop.run("run", "jobs.py", "in.txt", "--output", "b", "--once")
    assert done.returncode == 1
    (record,) = shop.records("b")
    assert record["error"]["type"] == "ConnectionError"


def test_priorities_come_from_a_field(shop: Workshop) -> None:
    """What waits is started in the order of its priority; a wrong value fails its item only."""
    shop.write(
        "jobs.py",
        """
        from pathlib import Path

        def task(ctx, resource, item):
            if item["name"] == "first":
                Path("busy").touch()
                while not Path("read-all").exists():
                    ctx.wait(0.005)
            return item["name"]
        """,
    )
    rows = ["low,low", "normal,1", "high,HIGH", "none,", "wrong,urgent"]
    pipe = shop.folder / "pipe"
    os.mkfifo(pipe)
    process = shop.start(
        "run", "jobs.py", pipe, "--format", "csv", "--workers", 1, "--max-workers", 1,
        "--priority-field", "p", "--output", "out.jsonl",
    )  # fmt: skip
    with pipe.open("w") as stream:
        stream.write("name,p\nfirst,\n")
        stream.flush()
        wait_for((shop.folder / "busy").exists, "the only worker to be busy")
        stream.write("\n".join(rows) + "\n")
    # The malformed one is written first: it shows that all before it have been submitted.
    wait_for(lambda: shop.lines() == 1, "the malformed item")
    (shop.folder / "read-all").touch()
    code, errors = finish(process)
    assert code == 1, errors
    records = shop.records()
    assert [r["input"]["name"] for r in records] == [
        "wrong",
        "first",
        "high",
        "normal",
        "none",
        "low",
    ]
    assert "field 'p' must be high, normal, low or 0 to 2, not 'urgent'" in records[0]["error"]["message"]
    assert "line 7" in records[0]["error"]["message"]


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_a_job_may_change_the_working_directory(shop: Workshop, backend: str) -> None:
    """Paths of the command line stay what they were, also for the file that --resume rewrites."""
    shop.write("jobs.py", 'import os\nos.chdir("/")\n\ndef task(ctx, r, item):\n    return [item, os.getcwd()]\n')
    shop.numbers(2)
    shop.write("out.jsonl", '{"index": 0, "input": "0", "status": "failed"}\n')
    done = shop.run(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--failed", "failed", "--resume", "--backend", backend
    )
    assert done.returncode == 0, done.stderr
    assert shop.results() == {0: ["0", "/"], 1: ["1", "/"]}
    assert shop.read("failed") == ""
    done = shop.run("run", "jobs.py", "--files", "*.txt", "--output", "o", "--backend", backend)
    assert done.returncode == 0, done.stderr
    assert shop.results("o") == {0: ["in.txt", "/"]}


def test_a_working_directory_that_is_gone(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(2)
    (shop.folder / "gone").mkdir()
    run = f'exec "{sys.executable}" -m tasker run $0/jobs.py $0/in.txt --output $0/out.jsonl'
    done = subprocess.run(
        ["bash", "-c", f"cd gone; rmdir ../gone; {run}", str(shop.folder)],
        cwd=shop.folder, env=shop.environment(), capture_output=True, text=True, check=False, timeout=20,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert shop.results() == {0: 0, 1: 1}
