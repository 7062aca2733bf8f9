"""`tasker report`, from an output to a page: what it takes, what it refuses, and what the page's data say."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path
from typing import Any

import pytest

from tasker.cli.compression import codec_of
from tasker.cli.exit_codes import UsageError

from .conftest import Workshop
from .pages import data_in

JOB = """
def check_health(error):
    return not isinstance(error, ConnectionError)

def task(ctx, resource, item):
    if item % 10 == 3:
        raise ValueError(f"{item} is not a number of mine\\nand never was")
    if item == 15:
        raise ConnectionError("went away")
    ctx.wait(0.001)
    return item
"""


def data_of(page: Path | str) -> dict[str, Any]:
    """Returns the data in a page."""
    text = page if isinstance(page, str) else page.read_text(encoding="utf-8")
    return data_in(text)


def line(index: int, /, **more: Any) -> str:
    values = {
        "index": index, "input": index, "status": "done", "result": 0, "attempts": 1, "wait_s": 0.5, "execution_s": 0.25,
        "started_at": 1_000_000.0 + index, "worker": "jobs-1", "job": "a-b", **more,
    }  # fmt: skip
    return json.dumps({name: value for name, value in values.items() if value is not ...})


@pytest.fixture
def finished(shop: Workshop) -> Workshop:
    shop.write("jobs.py", JOB)
    shop.write("in.jsonl", "".join(f"{n}\n" for n in range(40)))
    done = shop.run("run", "jobs.py", "in.jsonl", "--output", "out.jsonl", "--workers", 3, "--retries", 1)
    assert done.returncode == 1, done.stderr
    return shop


def test_the_page_of_a_real_run(finished: Workshop) -> None:
    """Counts, times, workers, failures and retries are those of the lines."""
    done = finished.run("report", "out.jsonl")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "report.html: 40 items, 5 failed\n"
    found, records = data_of(finished.folder / "report.html"), finished.records()
    assert found["totals"] == {
        "items": 40, "done": 35, "failed": 5, "retries": 1, "retried": 1, "not_started": 0, "untimed": 0, "jobs": 1,
        "workers": len({record["worker"] for record in records}),
    }  # fmt: skip
    assert found["first"] == min(record["started_at"] for record in records)
    assert found["last"] == pytest.approx(max(record["started_at"] + record["execution_s"] for record in records))
    kinds = {(kind["type"], kind["message"]): kind for kind in found["kinds"]}
    assert kinds["tasker.errors.MaxRetriesExceeded (ConnectionError)", "went away"]["indices"] == [15]
    assert kinds["ConnectionError", "went away"]["retried"] == 1
    values = [kind for (name, _), kind in kinds.items() if name == "ValueError"]
    assert sorted(kind["indices"] for kind in values) == [[3], [13], [23], [33]]
    assert {kind["message"][-7:] for kind in values} == {"of mine"}
    assert "ValueError: 3 is not a number" in next(kind for kind in values if kind["indices"] == [3])["traceback"]
    assert [row["index"] for row in found["retried"]] == [15]
    slowest = sorted(records, key=lambda record: -record["execution_s"])[:25]
    assert [row["execution"] for row in found["slowest"]] == [record["execution_s"] for record in slowest]
    assert (found["problems"], found["foreign"], found["broken_off"], found["pauses"]) == ([], 0, False, [])


def test_sums_over_time_are_those_of_the_whole(finished: Workshop) -> None:
    """What the charts, the distributions and the rows of workers show adds up to all items and all their time."""
    finished.run("report", "out.jsonl")
    found, records = data_of(finished.folder / "report.html"), finished.records()
    busy = sum(record["execution_s"] for record in records)
    for name, field in (("wait", "wait_s"), ("execution", "execution_s")):
        bars = found[name]["bars"]
        assert sum(count for _, _, count in bars) == 40
        assert all(begin < end for begin, end, _ in bars)
        assert found[name]["greatest"] == max(record[field] for record in records)
    rows = found["gantt"]["rows"]
    assert sum(row["items"] for row in rows) == sum(span[3] for row in rows for span in row["spans"]) == 40
    assert sum(row["failed"] for row in rows) == sum(span[4] for row in rows for span in row["spans"]) == 5
    assert sum(span[2] for row in rows for span in row["spans"]) == pytest.approx(busy, rel=1e-3)


@pytest.mark.parametrize("way", ["file", "gz", "stdin"])
def test_where_results_come_from(finished: Workshop, way: str) -> None:
    """A file, a .gz and standard input give the same page."""
    data = (finished.folder / "out.jsonl").read_bytes()
    if way == "gz":
        (finished.folder / "out.jsonl.gz").write_bytes(gzip.compress(data))
        done = finished.run("report", "out.jsonl.gz", "-o", "page.html")
    elif way == "stdin":
        done = finished.run("report", "-", "-o", "page.html", input=data.decode())
    else:
        done = finished.run("report", "out.jsonl", "--output", "page.html")
    assert done.returncode == 0, done.stderr
    found = data_of(finished.folder / "page.html")
    assert found["name"] == {"file": "out.jsonl", "gz": "out.jsonl.gz", "stdin": "standard input"}[way]
    assert found["totals"]["items"] == 40


def test_the_page_goes_to_standard_output(shop: Workshop) -> None:
    """With -o -, and nothing else does."""
    shop.write("out.jsonl", line(0) + "\n")
    done = shop.run("report", "out.jsonl", "-o", "-")
    assert done.returncode == 0
    assert done.stdout.startswith("<!doctype html>")
    assert data_of(done.stdout)["totals"]["items"] == 1
    assert [path.name for path in shop.folder.iterdir()] == ["out.jsonl"]


FOREIGN = {
    "hello": "not JSON",
    "{": "not JSON",
    "[1]": "not an object",
    "7": "not an object",
    '{"level": "info"}': "no field 'index'",
    '{"index": 1, "status": "done"}': "no field 'input'",
    line(1, status="fine"): "neither done nor failed, but 'fine'",
    line(1, index=True): "index and attempts must be whole numbers",
    line(1, attempts=1.5): "index and attempts must be whole numbers",
    line(1, wait_s="soon"): "wait_s must be null or seconds, not 'soon'",
    line(1, execution_s=-1): "execution_s must be null or seconds, not -1",
    line(1, started_at=1e300): "started_at must be null or seconds, not 1e+300",
    line(1, worker=4): "worker must be null or text, not 4",
    line(1, earlier={}): "earlier must be an array",
    line(1, job=4): "job text",
    line(1, status="failed"): "failed, but without an error",
    line(1, error="oh"): "error an object",
    line(1, wait_s=float("nan")): "not JSON",
}


def test_lines_that_are_no_results(shop: Workshop) -> None:
    """Each is named with its number and the reason, counted, and left out; the others make the page."""
    lines = [each for text in FOREIGN for each in (line(0), text)]
    shop.write("out.jsonl", "\n".join(lines) + "\n\n")
    done = shop.run("report", "out.jsonl")
    assert done.returncode == 0
    found = data_of(shop.folder / "report.html")
    assert found["totals"]["items"] == found["foreign"] == len(FOREIGN)
    told = dict(found["problems"])
    for number, reason in enumerate(FOREIGN.values()):
        assert reason in told[2 * number + 2]
    assert "out.jsonl line 2: not JSON: " in done.stderr
    assert f"{len(FOREIGN)} lines in all are no results" in done.stderr


def test_bytes_that_are_no_text(shop: Workshop) -> None:
    """A line that is not UTF-8 is no result, and costs no other."""
    (shop.folder / "out.jsonl").write_bytes(b"\xff\xfe\n" + line(1).encode() + b"\n")
    assert shop.run("report", "out.jsonl").returncode == 0
    found = data_of(shop.folder / "report.html")
    assert (found["totals"]["items"], found["problems"][0][0]) == (1, 1)


@pytest.mark.parametrize("cut", [1, 20])
def test_an_incomplete_last_line(shop: Workshop, cut: int) -> None:
    """It is told and not counted as foreign: a run that is going on, or was killed, leaves one."""
    text = f"{line(0)}\n{line(1)}"
    shop.write("out.jsonl", text[:-cut])
    done = shop.run("report", "out.jsonl")
    assert done.returncode == 0
    assert done.stderr == "out.jsonl line 2: the last line is incomplete\n"
    found = data_of(shop.folder / "report.html")
    assert (found["totals"]["items"], found["foreign"], found["broken_off"]) == (1, 0, True)
    assert found["problems"] == [[2, "the last line is incomplete"]]


def test_a_last_line_that_lacks_only_its_end(shop: Workshop) -> None:
    """It is a result."""
    shop.write("out.jsonl", f"{line(0)}\n{line(1)}")
    assert shop.run("report", "out.jsonl").stderr == ""
    assert data_of(shop.folder / "report.html")["totals"]["items"] == 2


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
@pytest.mark.parametrize("damage", ["cut", "corrupt"])
def test_a_compressed_file_that_cannot_be_read_to_its_end(shop: Workshop, suffix: str, damage: str) -> None:
    """What was read makes the page, which says where it ends."""
    import random

    random.seed(1)
    name = f"out.jsonl{suffix}"
    try:
        codec = codec_of(name)
    except UsageError as error:
        pytest.skip(str(error))
    assert codec is not None
    # In members, as a run writes them.
    parts = [range(start, start + 500) for start in range(0, 3000, 500)]
    lines = ["".join(line(n, input=random.random()) + "\n" for n in part).encode() for part in parts]
    members = [codec.compress(each) for each in lines]
    data, middle = bytearray(b"".join(members)), len(b"".join(members[:3]))
    if damage == "cut":
        del data[middle + 100 :]
    else:  # where the fourth one begins: in the middle of one, not every format notices
        data[middle : middle + 40] = b"\xff" * 40
    (shop.folder / name).write_bytes(data)
    done = shop.run("report", name)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    found = data_of(shop.folder / "report.html")
    assert found["broken_off"]
    assert 0 < found["totals"]["items"] < 3000
    assert any("cannot be read from here on" in reason for _, reason in found["problems"])


def test_an_empty_file(shop: Workshop) -> None:
    """It makes a page, which says so: the inputs may have been empty."""
    shop.write("out.jsonl", "")
    done = shop.run("report", "out.jsonl")
    assert (done.returncode, done.stdout) == (0, "report.html: 0 items, 0 failed\n")
    assert data_of(shop.folder / "report.html")["steps"]["at"] == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.jsonl"], "cannot read nowhere.jsonl: No such file"),
        (["notes.txt"], "notes.txt has no result of tasker run; line 1: not JSON"),
        (["out.jsonl", "-o", "."], "--output . is a directory"),
        (["out.jsonl", "-o", "none/report.html"], "--output none/report.html: there is no such folder"),
        (["out.jsonl", "-o", "out.jsonl"], "--output out.jsonl is the results themselves"),
        (["out.jsonl", "-o", "link.jsonl"], "--output link.jsonl is the results themselves"),
        ([], "required: RESULTS"),
    ],
)
def test_bad_usage(shop: Workshop, arguments: list[str], words: str) -> None:
    """Is told in one line, with exit code 2; no page is written and no results are lost."""
    shop.write("out.jsonl", line(0) + "\n")
    shop.write("notes.txt", "Dear diary,\n")
    (shop.folder / "link.jsonl").symlink_to("out.jsonl")
    done = shop.run("report", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (shop.folder / "report.html").exists()
    assert shop.read("out.jsonl") == line(0) + "\n"


def test_a_report_that_cannot_be_written(shop: Workshop) -> None:
    """Is told, with exit code 1."""
    shop.write("out.jsonl", line(0) + "\n")
    done = shop.run("report", "out.jsonl", "-o", "/dev/full")
    assert (done.returncode, done.stderr) == (
        1,
        "tasker report: error: cannot write to /dev/full: No space left on device\n",
    )


def test_a_reader_that_goes_away(shop: Workshop) -> None:
    """Ends it without a word, as `tasker report ... -o - | head` does."""
    import subprocess

    shop.write("out.jsonl", line(0) + "\n")
    process = shop.start("report", "out.jsonl", "-o", "-", stdout=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert process.wait(30) == 141
    assert process.stderr.read() == b""


def test_the_old_report_is_replaced(shop: Workshop) -> None:
    """By the new one as a whole; --quiet says nothing."""
    shop.write("out.jsonl", f"{line(0)}\nfoo\n")
    shop.write("report.html", "old")
    done = shop.run("report", "out.jsonl", "--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert data_of(shop.folder / "report.html")["totals"]["items"] == 1
    assert sorted(path.name for path in shop.folder.iterdir()) == ["out.jsonl", "report.html"]


def test_lines_of_an_older_version(shop: Workshop) -> None:
    """Without started_at there is nothing over time; all else is there, and the page says what is missing."""
    shop.write("out.jsonl", "".join(line(n, started_at=...) + "\n" for n in range(3)))
    assert shop.run("report", "out.jsonl").returncode == 0
    found = data_of(shop.folder / "report.html")
    assert (found["totals"]["untimed"], found["first"], found["seconds"], found["steps"]["at"]) == (3, None, None, [])
    assert found["execution"]["count"] == 3
    assert found["gantt"]["rows"] == [{"name": "jobs-1", "items": 3, "failed": 0, "busy": 0.75, "spans": []}]


def test_items_that_were_never_started(shop: Workshop) -> None:
    """A malformed line has an error and no times; it is counted, and in no chart."""
    shop.write("jobs.py", "def task(ctx, resource, item): return 1")
    shop.write("in.jsonl", "1\n[\n")
    shop.run("run", "jobs.py", "in.jsonl", "--output", "out.jsonl")
    assert shop.run("report", "out.jsonl").returncode == 0
    found = data_of(shop.folder / "report.html")
    assert (found["totals"]["not_started"], found["totals"]["untimed"], found["execution"]["count"]) == (1, 0, 1)
    assert found["kinds"][0]["type"] == "MalformedInput"


HOSTILE = "</script><script>alert(1)</script><!--<script>&amp;\"'{{data}}{{script}}"


def test_nothing_of_a_run_is_markup(shop: Workshop) -> None:
    """An item, an error, a worker and a name that close the script, or that name a part of the page, are text."""
    error = {"type": HOSTILE, "message": HOSTILE, "traceback": HOSTILE}
    lines = [line(0, input=HOSTILE, worker=HOSTILE), line(1, input={HOSTILE: "\udc80"}, status="failed", error=error)]
    name = "<b>&{{data}}.jsonl"
    shop.write(name, "".join(f"{each}\n" for each in lines))
    assert shop.run("report", name).returncode == 0
    page = (shop.folder / "report.html").read_text()
    assert "<script>alert" not in page and "<b>" not in page
    assert page.count("</script>") == page.count("<script") == 3
    found = data_of(page)
    assert (found["slowest"][0]["input"], found["kinds"][0]["message"]) == (HOSTILE, HOSTILE)
    assert {row["name"] for row in found["gantt"]["rows"]} == {HOSTILE, "jobs-1"}


def test_the_page_needs_nothing_else(finished: Workshop) -> None:
    """It has no address but that of a licence and a name space, and a policy under which nothing could be loaded or added."""
    finished.run("report", "out.jsonl")
    page = (finished.folder / "report.html").read_text()
    assert "default-src 'none'" in page and "unsafe" not in page
    markup = re.sub(r"<(script|style)[^>]*>.*?</\1>|<!--.*?-->", "", page, flags=re.DOTALL)
    assert not re.findall(r'(?:src|href)="(?!data:|#main")', markup)
    assert "import " not in re.findall(r'<script type="module">(.*?)</script>', page, re.DOTALL)[0]
