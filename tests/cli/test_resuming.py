"""--resume: after any end whatever, the same set of results as of one uninterrupted run."""

from __future__ import annotations

import json
import random
import signal

import pytest

from .conftest import Workshop, finish, wait_for, wait_for_message
from .jobfiles import GATED, SQUARE

SLOW_SQUARE = """
    import time

    def task(ctx, resource, item):
        time.sleep(0.0005)
        return int(item) ** 2
"""


def line(index: int, given: str, status: str = "done", result: object = "old") -> str:
    outcome = {"result": result} if status == "done" else {"error": {"type": "E", "message": "m"}}
    return json.dumps({"index": index, "input": given, "status": status, **outcome}) + "\n"


def outcomes(shop: Workshop) -> dict[tuple[int, str], object]:
    """Result by item; fails when an item has two lines."""
    found = {(r["index"], r["input"]): r["result"] for r in shop.records()}
    assert len(found) == shop.lines()
    return found


def resume(shop: Workshop, *options: object) -> str:
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--resume", *options)
    assert done.returncode == 0, done.stderr
    return done.stderr


@pytest.mark.parametrize("seed", range(4))
def test_sigkill_at_random_points(shop: Workshop, seed: int) -> None:
    """Killed again and again after a random number of lines, then left to end."""
    chance = random.Random(seed)
    count = 600
    shop.write("jobs.py", SLOW_SQUARE)
    shop.numbers(count)
    for _ in range(4):
        process = shop.start("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--resume", "--quiet")
        enough = shop.lines() + chance.randrange(1, 100)
        wait_for(lambda: shop.lines() >= enough or process.poll() is not None, "more lines")  # noqa: B023
        process.send_signal(signal.SIGKILL)
        finish(process)
        for record in (shop.folder / "out.jsonl").read_bytes().split(b"\n")[:-1]:
            json.loads(record)
    resume(shop)
    assert shop.results() == {n: n**2 for n in range(count)}


@pytest.mark.parametrize("cut", [1, 2, 20, 60, -1])
def test_a_half_written_last_line_is_cut_off(shop: Workshop, cut: int) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(10)
    whole = line(0, "0") + line(1, "1")
    shop.write("out.jsonl", whole + line(2, "2")[:cut])
    assert "2 skipped" in resume(shop)
    assert shop.results() == {0: "old", 1: "old", **{n: n**2 for n in range(2, 10)}}


def test_failed_items_are_run_again_and_replace_their_lines(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(4)
    shop.write("out.jsonl", line(0, "0") + line(1, "1", "failed") + line(2, "2", "failed"))
    resume(shop)
    assert shop.results() == {0: "old", 1: 1, 2: 4, 3: 9}
    assert not list(shop.folder.glob("*tasker-tmp"))


def test_a_changed_input_is_noticed(shop: Workshop) -> None:
    """Item by item: what shows the same input is kept, what shows another is run again."""
    shop.write("jobs.py", SQUARE)
    shop.write("in.txt", "0\n7\n2\n")
    shop.write("out.jsonl", "".join(line(n, str(n)) for n in range(3)))
    errors = resume(shop)
    assert "2 skipped" in errors
    assert "kept       1 results that match none of the inputs (--prune drops them)" in errors
    assert outcomes(shop) == {(0, "0"): "old", (1, "1"): "old", (1, "7"): 49, (2, "2"): "old"}


@pytest.mark.parametrize("end", ["\n", "\0"])
def test_an_input_that_is_the_json_of_the_one_before(shop: Workshop, end: str) -> None:
    """As where a list is escaped afterwards."""
    before = ["C:\\dir", "a\tb", 'say "x"', "same"]
    after = [json.dumps(text)[1:-1] for text in before]
    shop.write("jobs.py", "def task(ctx, resource, item):\n    return 'new'\n")
    shop.write("in.txt", "".join(text + end for text in after))
    shop.write("out.jsonl", "".join(line(n, text) for n, text in enumerate(before)))
    assert "1 skipped" in resume(shop, *(["--null"] if end == "\0" else []))
    new = dict.fromkeys(enumerate(after[:3]), "new")
    assert outcomes(shop) == dict.fromkeys(enumerate(before), "old") | new


def test_results_are_never_dropped(shop: Workshop) -> None:
    """Those behind the end of a shorter input, those of another input, all of them if the input is empty."""
    shop.write("jobs.py", SQUARE)
    old = "".join(line(n, str(n)) for n in range(1000))
    shop.write("out.jsonl", old)
    for text, kept in (("", 1000), ("0\n1\n", 998), ("".join(f"{n + 1000}\n" for n in range(1000)), 1000)):
        shop.write("in.txt", text)
        assert f"kept       {kept:,} results that match none of the inputs" in resume(shop)
        assert shop.read("out.jsonl").startswith(old)
    assert shop.lines() == 2000
    shop.numbers(1000)
    assert "0 done, 0 failed, 1,000 skipped" in resume(shop), "the right inputs find their results again"
    assert shop.lines() == 2000


def test_failed_lines_of_other_inputs_are_kept_as_well(shop: Workshop) -> None:
    """While a line that another one of the same item supersedes goes."""
    shop.write("jobs.py", SQUARE)
    shop.write("in.txt", "2\n")
    shop.write("out.jsonl", line(0, "x", "failed") + line(0, "2", "failed") + line(0, "x", "failed") + line(0, "y"))
    assert "kept       2 results" in resume(shop)
    assert [(r["input"], r["status"]) for r in shop.records()] == [("x", "failed"), ("y", "done"), ("2", "done")]


def test_prune_drops_what_matches_no_input(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.write("in.txt", "0\n7\nbad\n")
    shop.write("out.jsonl", "".join(line(n, str(n)) for n in range(5)))
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--resume", "--prune")
    assert done.returncode == 1, done.stderr
    assert "pruned     4 results that matched none of the inputs" in done.stderr
    assert "kept" not in done.stderr
    assert [(r["input"], r["status"]) for r in sorted(shop.records(), key=lambda r: r["index"])] == [
        ("0", "done"), ("7", "done"), ("bad", "failed"),
    ]  # fmt: skip


def test_prune_drops_nothing_before_all_inputs_were_read(shop: Workshop) -> None:
    """What has not been read yet may match."""
    shop.write("jobs.py", GATED)
    old = "".join(line(n, str(n)) for n in range(300, 500))
    shop.write("out.jsonl", old)
    shop.numbers(500)
    process = shop.start(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--resume", "--prune",
        "--workers", 1, "--max-workers", 1, "--max-queue", 1,
    )  # fmt: skip
    wait_for((shop.folder / "started-0").exists, "a running item")
    process.send_signal(signal.SIGINT)
    wait_for_message(process, b"finishing")
    (shop.folder / "go").touch()
    assert finish(process)[0] == 130
    assert shop.read("out.jsonl").startswith(old)


def test_prune_does_not_empty_the_output_for_an_empty_input(shop: Workshop) -> None:
    """As it is behind a pipe whose beginning failed. --allow-empty does it all the same."""
    shop.write("jobs.py", SQUARE)
    shop.write("out.jsonl", line(0, "0"))
    command = ("run", "jobs.py", "--output", "out.jsonl", "--resume", "--prune", "--quiet")
    done = shop.run(*command)
    assert done.returncode == 2
    assert done.stderr == (
        "tasker run: error: --prune: the inputs are empty; nothing was dropped (--allow-empty drops all results)\n"
    )
    assert shop.lines() == 1
    assert shop.run(*command, "--allow-empty").returncode == 0
    assert shop.read("out.jsonl") == ""


def test_a_changed_job_is_noticed(shop: Workshop) -> None:
    """The file and --set each for itself. The results are kept, and a job that is the same again is no change."""
    shop.write("jobs.py", SQUARE + "\n    power = 2\n")
    shop.numbers(3)
    resume(shop)
    assert "were made" not in resume(shop)
    errors = resume(shop, "--set", "power=3")
    assert "3 results in out.jsonl were made with other values of --set; they are kept" in errors
    assert "another version" not in errors
    shop.write("jobs.py", SQUARE + "\n    power = 3\n")
    errors = resume(shop)
    assert "3 results in out.jsonl were made by another version of jobs.py; they are kept" in errors
    assert "--set" not in errors
    assert "3 skipped" in errors
    assert resume(shop, "--quiet") == ""


def test_lines_that_do_not_say_which_job_made_them_are_no_change(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(1)
    shop.write("out.jsonl", line(0, "0"))
    assert "were made" not in resume(shop)


def test_of_two_lines_the_last_one_holds(shop: Workshop) -> None:
    """As a run leaves them that was killed before it tidied up."""
    shop.write("jobs.py", SQUARE)
    shop.numbers(3)
    shop.write(
        "out.jsonl",
        line(0, "0", "failed") + line(1, "1", result="older") + line(2, "2")
        + line(0, "0") + line(1, "1", result="newer") + line(2, "2", "failed"),
    )  # fmt: skip
    assert "2 skipped" in resume(shop)
    assert shop.results() == {0: "old", 1: "newer", 2: 4}


def test_an_output_that_is_not_there_yet(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(3)
    resume(shop)
    assert shop.results() == {0: 0, 1: 1, 2: 4}


def test_resuming_what_is_complete_changes_nothing(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(3)
    resume(shop)
    before = shop.read("out.jsonl")
    assert "3 skipped" in resume(shop)
    assert shop.read("out.jsonl") == before


@pytest.mark.parametrize("foreign", ['{"a": 1}\n', "no json\n", "[]\n", line(-1, "x"), line(0, "0", "lost"), "\n"])
def test_a_file_of_something_else_is_refused_and_kept(shop: Workshop, foreign: str) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(3)
    shop.write("out.jsonl", line(0, "0") + foreign)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--resume")
    assert done.returncode == 2
    assert "out.jsonl line 2 is not a result of tasker run" in done.stderr
    assert shop.read("out.jsonl") == line(0, "0") + foreign


def test_an_index_beyond_all_bounds_costs_nothing(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    shop.numbers(2)
    shop.write("out.jsonl", line(10**15, "x"))
    resume(shop)
    assert shop.results() == {0: 0, 1: 1, 10**15: "old"}


def test_json_and_csv_inputs_are_recognised(shop: Workshop) -> None:
    """Whatever the spelling of numbers and texts in the input was."""
    shop.write("jobs.py", "def task(ctx, resource, item):\n    return 1\n")
    shop.write("in.jsonl", '{"b": 1.50, "a": "\\u00e9\\ud83d", "n": 1e3}\n[1,  2]\n')
    shop.write("in.csv", 'a,b\n"x, é",1\n')
    for name in ("in.jsonl", "in.csv"):
        command = ("run", "jobs.py", name, "--output", f"{name}.out", "--resume")
        assert shop.run(*command).returncode == 0
        done = shop.run(*command)
        assert "0 done, 0 failed" in done.stderr and "skipped" in done.stderr


def test_the_output_may_be_a_link(shop: Workshop) -> None:
    """Tidying replaces what the link leads to, and keeps its permissions."""
    shop.write("jobs.py", SQUARE)
    shop.numbers(2)
    target = shop.write("deep/target.jsonl", line(0, "0", "failed"))
    target.chmod(0o640)
    (shop.folder / "out.jsonl").symlink_to(target)
    resume(shop)
    assert (shop.folder / "out.jsonl").is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert shop.results() == {0: 0, 1: 1}


def test_failed_inputs_are_collected_anew(shop: Workshop) -> None:
    """After a resume that went to the end, --failed holds what is failed in the output."""
    shop.write("jobs.py", "def task(ctx, r, item):\n    return 1 / int(item)\n")
    shop.write("in.txt", "1\n0\n2\n")
    command = ("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--failed", "f.txt", "--resume")
    for _ in range(2):
        done = shop.run(*command)
        assert done.returncode == 1
        assert shop.read("f.txt") == "0\n"
        assert sorted(r["status"] for r in shop.records()) == ["done", "done", "failed"]


@pytest.mark.parametrize("name", ["in.txt", "in.jsonl", "in.csv"])
def test_inputs_are_compared_in_every_way_of_writing_them(shop: Workshop, name: str) -> None:
    """Plain ones without being read, the others by their value; what has changed is run again."""
    texts = ["plain", "with space ", 'a "quote"', "back\\slash", "grün", "tab\there"]
    write = {
        "in.txt": lambda text: text,
        "in.jsonl": lambda text: json.dumps({"n": text}) + " " * len(text[:2]),
        "in.csv": lambda text: '"' + text.replace('"', '""') + '"',
    }[name]
    head = "n\n" if name == "in.csv" else ""
    shop.write("jobs.py", "def task(ctx, r, item):\n    open('started', 'a').write('x')\n    return item\n")
    command = ("run", "jobs.py", name, "--output", "out.jsonl", "--resume")
    for round_texts, runs in ((texts, 6), (texts, 6), ([*texts[:2], "new", *texts[3:]], 7), ([*texts, "more"], 8)):
        (shop.folder / name).write_text(head + "".join(write(text) + "\n" for text in round_texts))
        done = shop.run(*command)
        assert done.returncode == 0, done.stderr
        assert len(shop.read("started")) == runs
    dry = shop.run(*command, "--dry-run")
    assert dry.stdout == ""


def test_progress_while_results_are_read(shop: Workshop) -> None:
    """On a terminal a bar, elsewhere a line now and then."""
    shop.write("jobs.py", SQUARE)
    shop.numbers(200_000)
    with (shop.folder / "out.jsonl").open("w") as output:
        output.writelines(line(n, str(n)) for n in range(200_000))
    text = resume(shop, "--progress-interval", 0.01)
    assert "reading the results in out.jsonl: " in text
    assert "reading" not in resume(shop, "--quiet")
