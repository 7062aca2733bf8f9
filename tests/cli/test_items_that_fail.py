"""What goes wrong with one item stays with that item."""

from __future__ import annotations

import pytest

from .conftest import Workshop

ECHO = """
    def task(ctx, resource, item):
        return item
"""


def by_index(shop: Workshop, name: str = "out.jsonl") -> dict[int, dict]:
    return {record["index"]: record for record in shop.records(name)}


def test_an_error_is_recorded_with_the_traceback_of_the_job_alone(shop: Workshop) -> None:
    """Frames of the pool are left out; errors of the job file go by their own name."""
    shop.write(
        "jobs.py",
        """
        class Trouble(Exception): pass

        def task(ctx, resource, item):
            if item == "1":
                raise Trouble("here it is")
            return item
        """,
    )
    shop.numbers(3)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl")
    assert done.returncode == 1
    assert "2 done, 1 failed" in done.stderr
    assert "1 x Trouble, index 1" in done.stderr
    record = by_index(shop)[1]
    assert record["status"] == "failed"
    assert "result" not in record
    error = record["error"]
    assert (error["type"], error["message"]) == ("Trouble", "here it is")
    lines = error["traceback"].splitlines()
    assert 'jobs.py"' in lines[1] and "in task" in lines[1]
    assert "task_wrapper.py" not in error["traceback"] and "worker_loop.py" not in error["traceback"]


@pytest.mark.parametrize("raised", ["SystemExit(3)", "KeyboardInterrupt()", "GeneratorExit()"])
def test_no_error_of_a_task_ends_the_run(shop: Workshop, raised: str) -> None:
    shop.write(
        "jobs.py",
        f"""
        def task(ctx, resource, item):
            if item == "0":
                raise {raised}
        """,
    )
    shop.numbers(3)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl")
    assert done.returncode == 1, done.stderr
    assert sorted(r["status"] for r in shop.records()) == ["done", "done", "failed"]


def test_an_error_whose_message_cannot_be_made(shop: Workshop) -> None:
    shop.write(
        "jobs.py",
        """
        class Broken(Exception):
            def __str__(self):
                raise RuntimeError("no message")

        def task(ctx, resource, item):
            raise Broken
        """,
    )
    shop.numbers(1)
    assert shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl").returncode == 1
    assert by_index(shop)[0]["error"]["type"] == "Broken"


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (
            "[1, {'when': timedelta(1)}]",
            "the result (list) is not JSON: $[1].when: datetime.timedelta has no JSON form",
        ),
        ("float('nan')", "the result (float) is not JSON: $: nan is not JSON"),
        ("{(1, 2): 3}", "the result (dict) is not JSON: $: a key is tuple"),
        ("loop", "the result (list) is not JSON: $[0]: list contains itself"),
        ("{'name': '\\udce9'}", "the result (dict) is not JSON: $.name: the text has a lone surrogate (U+DCE9)"),
        ("object()", "the result (object) is not JSON: $: object has no JSON form"),
    ],
)
def test_an_unserialisable_result_fails_its_item(shop: Workshop, result: str, words: str) -> None:
    """The message names the type and the place. The task is not run again for it, and the run goes on."""
    shop.write(
        "jobs.py",
        f"""
        from datetime import timedelta
        loop = []
        loop.append(loop)

        def check_health(error):
            return False

        def task(ctx, resource, item):
            return {result} if item == "1" else item
        """,
    )
    shop.numbers(3)
    # One worker, so that the first item is done before: a job whose first result is of such a type ends its run.
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--workers", 1, "--max-workers", 1)
    assert done.returncode == 1
    records = by_index(shop)
    assert [records[n]["status"] for n in range(3)] == ["done", "failed", "done"]
    error = records[1]["error"]
    assert error["type"] == "UnserialisableResult"
    assert words in error["message"]
    assert records[1]["attempts"] == 1
    assert "UnserialisableResult" in done.stderr


def test_tasks_are_called_as_in_the_job_file(shop: Workshop) -> None:
    """In results, in warnings and in the summary: the module that a job file becomes has a made-up name. The summary escapes what
    would change the terminal."""
    shop.write(
        "jobs.py",
        """
        def check_health(error):
            return isinstance(error, LookupError)

        def task(ctx, resource, item):
            raise LookupError("red: \\x1b[31m") if item == "1" else ValueError
        """,
    )
    shop.numbers(2)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--retries", "1")
    assert done.returncode == 1
    assert by_index(shop)[0]["error"]["message"].startswith("max retries exceeded: task #1 task failed 2 times")
    warnings, _, summary = done.stderr.partition("failures")
    assert "task #1 task failed (attempt 1)" in warnings
    assert "task #1 task failed 2 times" in summary
    assert "_tasker_job_" not in done.stderr + (shop.folder / "out.jsonl").read_text()
    assert r"red: \x1b[31m" in summary and "\x1b" not in summary


def test_a_malformed_line_fails_its_item_and_names_its_place(shop: Workshop) -> None:
    shop.write("jobs.py", ECHO)
    shop.write("in.jsonl", '{"a": 1}\n{"a": \n\nNaN\n1e999\n"last"\n')
    done = shop.run("run", "jobs.py", "in.jsonl", "--output", "out.jsonl", "--failed", "again.jsonl")
    assert done.returncode == 1
    records = by_index(shop)
    assert [records[n]["status"] for n in range(5)] == ["done", *["failed"] * 3, "done"]
    assert records[1]["error"]["type"] == "MalformedInput"
    assert records[1]["error"]["message"].startswith("in.jsonl line 2: not JSON: ")
    assert records[1]["input"] == '{"a": '
    assert records[1]["attempts"] == 0
    assert records[2]["error"]["message"].startswith("in.jsonl line 4: not JSON: NaN")
    assert records[3]["error"]["message"].startswith("in.jsonl line 5: ")
    assert sorted(shop.read("again.jsonl").splitlines()) == ["1e999", "NaN", '{"a": ']
    assert "3 x MalformedInput, index 1, 2, 3" in done.stderr


def test_a_line_that_is_not_utf8(shop: Workshop) -> None:
    """It comes back through --failed byte for byte."""
    shop.write("jobs.py", ECHO)
    (shop.folder / "in.txt").write_bytes(b"good\nb\xe4d\nfine\n")
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--failed", "again.txt")
    assert done.returncode == 1
    assert by_index(shop)[1]["error"]["message"] == ("in.txt line 2: not text: byte 2 (0xe4) is not UTF-8")
    assert (shop.folder / "again.txt").read_bytes() == b"b\xe4d\n"


def test_a_malformed_csv_record(shop: Workshop) -> None:
    """Too many fields, too few, a quote that never ends; with the line where each begins."""
    shop.write("jobs.py", ECHO)
    shop.write("in.csv", 'a,b\n1,2\n1,2,3\n"x\ny",2\nz\n1,"open\n')
    done = shop.run("run", "jobs.py", "in.csv", "--output", "out.jsonl")
    assert done.returncode == 1
    messages = {n: r.get("error", {}).get("message", "") for n, r in by_index(shop).items()}
    assert messages[1] == "in.csv line 3: not CSV: 3 fields, but the header has 2"
    assert messages[2] == ""
    assert messages[3] == "in.csv line 6: not CSV: 1 fields, but the header has 2"
    assert messages[4].startswith("in.csv line 7: not CSV: ")


def test_a_csv_header_that_is_not_utf8_fails_its_records(shop: Workshop) -> None:
    """And not those of another input; --failed has the file as it was."""
    shop.write("jobs.py", ECHO)
    data = b"n\xe4me,b\n1,2\n3,4\n"
    (shop.folder / "in.csv").write_bytes(data)
    shop.write("more.jsonl", '"fine"\n')
    done = shop.run("run", "jobs.py", "in.csv", "more.jsonl", "--output", "out.jsonl")
    assert done.returncode == 1
    records = by_index(shop)
    assert [records[n]["status"] for n in range(3)] == ["failed", "failed", "done"]
    assert records[1]["error"]["message"] == "in.csv line 3: not CSV: in the header, byte 2 (0xe4) is not UTF-8"
    assert records[1]["input"] == "3,4"
    again = shop.run("run", "jobs.py", "in.csv", "--output", "o", "--failed", "again.csv", "--quiet")
    assert again.returncode == 1
    assert (shop.folder / "again.csv").read_bytes() == data


def test_failed_inputs_can_be_fed_in_again(shop: Workshop) -> None:
    """CSV comes back with its header, JSON as it was written, files as paths."""
    shop.write(
        "jobs.py",
        """
        def task(ctx, resource, item):
            if "bad" in str(item):
                raise ValueError(item)
        """,
    )
    shop.write("in.csv", 'name,note\n"good",1\n"bad, one","two\nlines"\nfine,2\nbad,3\n')
    shop.write("in.jsonl", '{"x":   "bad"}\n{"x": "good"}\n')
    shop.write("files/bad.txt", "")
    shop.write("files/good.txt", "")
    run = ("run", "jobs.py", "--workers", 1, "--max-workers", 1, "--quiet")
    done = shop.run(*run, "in.csv", "--output", "1", "--failed", "again.csv")
    assert done.returncode == 1
    assert shop.read("again.csv") == 'name,note\n"bad, one","two\nlines"\nbad,3\n'
    shop.run(*run, "in.jsonl", "--output", "2", "--failed", "again.jsonl")
    assert shop.read("again.jsonl") == '{"x":   "bad"}\n'
    shop.run(*run, "--files", "files/*", "--output", "3", "--failed", "again.txt")
    assert shop.read("again.txt") == "files/bad.txt\n"
    for name in ("again.csv", "again.jsonl", "again.txt"):
        shop.run(*run, name, "--output", f"{name}.out")
    assert [r["input"] for r in shop.records("again.csv.out")] == [
        {"name": "bad, one", "note": "two\nlines"},
        {"name": "bad", "note": "3"},
    ]
    assert [r["input"] for r in shop.records("again.jsonl.out")] == [{"x": "bad"}]
    assert [r["input"] for r in shop.records("again.txt.out")] == ["files/bad.txt"]


def test_the_line_shows_the_input_as_it_came_in(shop: Workshop) -> None:
    """Also when the task changes its item, and the result is taken before the next task changes it."""
    shop.write(
        "jobs.py",
        """
        shared = []

        def task(ctx, resource, item):
            item["x"] = "changed"
            shared.append(1)
            return shared
        """,
    )
    shop.write("in.jsonl", '{"x": "a"}\n' * 5)
    done = shop.run("run", "jobs.py", "in.jsonl", "--output", "o", "--workers", 1, "--max-workers", 1)
    assert done.returncode == 0
    assert {r["input"]["x"] for r in shop.records("o")} == {"a"}
    assert sorted(len(r["result"]) for r in shop.records("o")) == [1, 2, 3, 4, 5]


def test_a_file_name_that_is_not_utf8(shop: Workshop) -> None:
    """It reaches the task as Python spells it, and the line is still valid UTF-8."""
    shop.write("jobs.py", "def task(ctx, r, item):\n    return open(item).read()\n")
    name = b"caf\xe9.dat"
    try:
        (shop.folder / name.decode(errors="surrogateescape")).write_text("inside")
    except OSError:
        pytest.skip("the file system takes UTF-8 names only")
    done = shop.run("run", "jobs.py", "--files", "*.dat", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert by_index(shop)[0]["result"] == "inside"
    assert by_index(shop)[0]["input"] == "caf\udce9.dat"


def test_settings_reach_the_job_file(shop: Workshop) -> None:
    """JSON where it is JSON, else text; above the file's own defaults; also as `settings`."""
    shop.write(
        "jobs.py",
        """
        database = "default.db"
        early = settings["depth"]

        def task(ctx, resource, item):
            return [database, depth, early, settings.plain, settings.get("other", "none")]
        """,
    )
    shop.numbers(1)
    done = shop.run(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl",
        "--set", "database=x.db", "--set", 'depth={"a": [1]}', "--set", "plain=a=b",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert shop.results() == {0: ["x.db", {"a": [1]}, {"a": [1]}, "a=b", "none"]}


def test_a_job_file_finds_its_neighbours(shop: Workshop) -> None:
    """Also from another folder; its own name may be that of a module."""
    shop.write("jobs/helper.py", "VALUE = 5\n")
    shop.write(
        "jobs/json.py",
        """
        import dataclasses, pickle
        import helper

        @dataclasses.dataclass
        class Point:
            x: int

        def task(ctx, resource, item):
            return pickle.loads(pickle.dumps(Point(helper.VALUE))).x
        """,
    )
    shop.numbers(1)
    done = shop.run("run", "jobs/json.py", "in.txt", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert shop.results() == {0: 5}
