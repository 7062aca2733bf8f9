"""Bad usage: exit code 2, one clear line on standard error, and nothing touched."""

from __future__ import annotations

import subprocess

import pytest

from .conftest import Workshop
from .jobfiles import SQUARE


def refused(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    for word in words:
        assert word in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], ["no command given", "run"]),
        (["walk"], ["no command 'walk'"]),
        (["run"], ["no JOB.py given"]),
        (["run", "jobs.py", "--workers", "0"], ["--workers", "at least 1", "'0'"]),
        (["run", "jobs.py", "--workers", "many"], ["--workers", "'many'"]),
        (["run", "jobs.py", "--workers", "4", "--max-workers", "2"], ["--max-workers 2"]),
        (["run", "jobs.py", "--num-cpus", "2"], ["--num-cpus needs --backend ray"]),
        (["run", "jobs.py", "--backend", "process", "--address", "auto"], ["--address needs --backend ray"]),
        (["run", "jobs.py", "--backend", "ray", "--num-gpus", "-1"], ["--num-gpus", "at least 0"]),
        (["run", "jobs.py", "--backend", "ray", "--resources", "slot"], ["--resources", "a JSON object", "'slot'"]),
        (["run", "jobs.py", "--stop-timeout", "nan"], ["--stop-timeout"]),
        (["run", "jobs.py", "--creation-timeout", "0"], ["--creation-timeout", "more than 0"]),
        (["run", "jobs.py", "--set", "novalue"], ["--set", "NAME=VALUE"]),
        (["run", "jobs.py", "--set", "a-b=1"], ["--set", "NAME=VALUE"]),
        (["run", "jobs.py", "--set", "task=1"], ["--set task"]),
        (["run", "jobs.py", "--wrokers", "4"], ["--wrokers"]),
        (["run", "jobs.py", "--resume"], ["--resume needs --output"]),
        (["run", "jobs.py", "--resume", "--overwrite", "--output", "o"], ["exclude each other"]),
        (["run", "jobs.py", "--prune", "--output", "o"], ["--prune needs --resume"]),
        (["run", "jobs.py", "--files", "*.jpg", "--output", "o"], ["--files *.jpg matches no file", "--allow-empty"]),
        (["run", "jobs.py", "--files", "*.txt", "--files", "none/*", "--output", "o"], ["--files none/* matches no"]),
        (["run", "jobs.py", "in.txt", "--set", "databse=x", "--output", "o"], ["--set databse", "does not define"]),
        (["run", "jobs.py", "--files", "*", "--output", "new.txt"], ["new.txt is an output and also", "--files *"]),
        (["run", "jobs.py", "--files", "*", "--output", "o", "--failed", "f.txt"], ["an output and also an input"]),
        (["run", "jobs.py", "missing.txt"], ["missing.txt", "No such file"]),
        (["run", "jobs.py", "."], ["is a directory", "--files"]),
        (["run", "jobs.py", "in.json"], ["--format jsonl"]),
        (["run", "jobs.py", "in.txt", "--priority-field", "p"], ["--priority-field"]),
        (["run", "jobs.py", "-", "-"], ["only once"]),
        (["run", "jobs.py", "/dev/stdin", "-"], ["only once"]),
        (["run", "jobs.py", "in.txt", "--output", "none/o"], ["none/o", "No such file"]),
        (["run", "jobs.py", "in.txt", "--output", "."], ["cannot write", "directory"]),
        (["run", "jobs.py", "in.txt", "--output", "in.txt"], ["in.txt is also an input"]),
        (["run", "jobs.py", "in.txt", "--output", "jobs.py"], ["jobs.py is also an input"]),
        (["run", "jobs.py", "in.txt", "--output", "o", "--failed", "./o"], ["is also --output"]),
        (["run", "jobs.py", "in.txt", "in.csv", "--failed", "f"], ["one format"]),
    ],
    ids=" ".join,
)
def test_one_line(shop: Workshop, arguments: list[str], words: list[str]) -> None:
    shop.write("jobs.py", SQUARE)
    for name in ("in.txt", "in.json", "in.csv"):
        shop.write(name, "1\n")
    before = {path.name: path.read_bytes() for path in shop.folder.iterdir()}
    refused(shop.run(*arguments), *words)
    after = {path.name: path.read_bytes() for path in shop.folder.glob("*.*")}
    assert after == before


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("import nothing_like_this", ["does not import", "nothing_like_this", "line 1"]),
        ("def task(:", ["does not import", "SyntaxError", "line 1"]),
        ("x = 1\nraise RuntimeError('two\\nlines')", ["RuntimeError: two lines", "line 2"]),
        ("raise SystemExit(3)", ["does not import", "SystemExit"]),
        ("def work(): pass", ["defines no task(ctx, resource, item)"]),
        ("task = 3", ["task is int"]),
        ("async def task(ctx, resource, item): pass", ["async"]),
        ("def task(c, r, i): yield 1", ["task is a generator", "return"]),
        ("def task(c, r, i): pass\nasync def on_create(): pass", ["on_create is async"]),
        ("def task(c, r, i): pass\ndef resource():\n    yield 1", ["resource is a generator", "contextmanager"]),
        (
            "import contextlib as c\ndef task(c, r, i): pass\n@c.asynccontextmanager\nasync def resource(): yield",
            ["resource is async"],
        ),
        ("def task(c, r, i): pass\nencode = 'utf-8'", ["encode is str"]),
        ("def task(c, r, i): pass\ndef encode(): pass", ["encode(value)", "too many positional"]),
        ("def task(item): pass", ["task(ctx, resource, item)", "too many positional"]),
        ("def task(c, r, i): pass\ndef on_create(x): pass", ["on_create()", "missing"]),
        ("def task(c, r, i): pass\nresource = 5", ["resource is int"]),
        ("def task(c, r, i): pass\ndef on_destroy(r): pass", ["on_destroy without on_create"]),
        (
            "def task(c, r, i): pass\ndef on_create(): pass\ndef resource(): pass",
            ["choose one way"],
        ),
    ],
    ids=lambda value: value.splitlines()[0] if isinstance(value, str) else "",
)
def test_a_job_file_that_will_not_do(shop: Workshop, source: str, words: list[str]) -> None:
    """It is found out before the output is even opened."""
    (shop.folder / "jobs.py").write_text(source)
    refused(shop.run("run", "jobs.py", "--output", "out.jsonl"), "jobs.py", *words)
    assert not (shop.folder / "out.jsonl").exists()


@pytest.mark.parametrize(
    ("helper", "words"),
    [
        ("x = 1\n\nimport nothing_like_this", ["ModuleNotFoundError", "(helper.py line 3)"]),
        ("x = 1\ndef f(:", ["SyntaxError: invalid syntax (helper.py line 2)"]),
        ("import json\njson.loads('{')", ["JSONDecodeError", "(helper.py line 2)"]),
        ("import deep.er", ["ZeroDivisionError: division by zero (deep/er.py line 2)"]),
        ("import jobs_settings\n", ["ValueError", "(jobs_settings.py line 1)"]),
    ],
    ids=["missing", "syntax", "library", "package", "notes"],
)
def test_a_broken_neighbour_is_named_with_its_line(shop: Workshop, helper: str, words: list[str]) -> None:
    """The innermost line of the user's own code, and not one of a library."""
    shop.write("jobs/jobs.py", "import helper\n\ndef task(c, r, i): pass\n")
    (shop.folder / "jobs/helper.py").write_text(helper)
    shop.write("jobs/deep/er.py", "x = 0\n1 / x\n")
    shop.write("jobs/jobs_settings.py", "e = ValueError('broken'); e.add_note('a note'); raise e\n")
    refused(shop.run("run", "jobs/jobs.py", "--output", "out.jsonl"), "jobs/jobs.py: does not import: ", *words)


@pytest.mark.parametrize(
    ("source", "given", "words"),
    [
        ("database = 1", "databse=2", ["did you mean database?"]),
        ("database = 1", "x=2", ["--set x: jobs.py does not define x\n"]),
        ("y = settings['database']", "data=2", ["does not define"]),
        ("def on_create(database): pass", "database=2", ["does not define"]),
    ],
)
def test_a_setting_that_the_job_does_not_define(shop: Workshop, source: str, given: str, words: list[str]) -> None:
    shop.write("jobs.py", f"{source}\ndef task(c, r, i): pass\n")
    refused(shop.run("run", "jobs.py", "--set", given), *words)


@pytest.mark.parametrize(
    "source",
    [
        "x = None",
        "x: int",
        "from helper import x",
        "from helper import *",
        "y = settings['x']",
        "y = settings.get('x')",
        "y = settings.x",
        "y = dict(settings)",
        "y = [settings[name] for name in ('a', 'b')] if 0 else 0",
        "def f(): return x",
        "def f():\n    global x\n    x = 1",
    ],
)
def test_a_setting_that_the_job_may_use(shop: Workshop, source: str) -> None:
    shop.write("helper.py", "x = 1")
    shop.write("in.txt", "")
    (shop.folder / "jobs.py").write_text(f"{source}\ndef task(c, r, i): pass\n")
    done = shop.run("run", "jobs.py", "in.txt", "--set", "x=2", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")


def test_a_glob_without_a_match_is_allowed_by_allow_empty(shop: Workshop) -> None:
    shop.write("jobs.py", SQUARE)
    done = shop.run("run", "jobs.py", "--files", "*.jpg", "--allow-empty", "--output", "out.jsonl", "--quiet")
    assert (done.returncode, done.stderr) == (0, "")
    assert shop.read("out.jsonl") == ""


@pytest.mark.parametrize("option", ["--overwrite", "--resume"])
def test_an_output_that_is_read_as_well_is_kept(shop: Workshop, option: str) -> None:
    """As standard input, and as a match of --files, through a link, too."""
    shop.write("jobs.py", SQUARE)
    text = '{"index": 0, "input": "1", "status": "done", "result": 1}\n'
    output = shop.write("deep/out.jsonl", text)
    (shop.folder / "link").symlink_to("deep/out.jsonl")
    command = ("run", "jobs.py", "--output", "deep/out.jsonl", option)
    with output.open() as stream:
        refused(shop.run(*command, stdin=stream), "deep/out.jsonl is an output and also an input: standard input")
    for pattern in ("**/*.jsonl", "deep/*", "li*", f"{shop.folder}/*/out.*"):
        refused(shop.run(*command, "--files", pattern), "deep/out.jsonl is an output and also", f"--files {pattern}")
    failed = ("--output", "o", "--failed", "deep/out.jsonl", "--overwrite")
    refused(shop.run("run", "jobs.py", "--files", "deep/*", *failed), "deep/out.jsonl is an output and also")
    assert output.read_text() == text
    assert not (shop.folder / "o").exists()


def test_standard_output_that_is_read_as_well(shop: Workshop) -> None:
    """`tasker run jobs.py in.txt >> in.txt` would never end."""
    shop.write("jobs.py", SQUARE)
    path = shop.numbers(3)
    before = path.read_bytes()
    for arguments in (("in.txt",), ("--files", "*.txt")):
        with path.open("ab") as stream:
            done = shop.run("run", "jobs.py", *arguments, stdout=stream)
        assert done.returncode == 2
        assert "standard output is an output and also an input" in done.stderr
    assert path.read_bytes() == before


def test_a_missing_job_file(shop: Workshop) -> None:
    refused(shop.run("run", "jobs.py"), "jobs.py: no such job file")


def test_the_traceback_of_a_job_file_is_shown_when_debugging(shop: Workshop) -> None:
    shop.write("jobs.py", "raise RuntimeError('broken')\n")
    done = shop.run("run", "jobs.py", "--log-level", "debug")
    assert done.returncode == 2
    assert "Traceback" in done.stderr
    assert 'jobs.py", line 1' in done.stderr


def test_an_output_with_results_is_not_overwritten_by_accident(shop: Workshop) -> None:
    """Two ways out are named; --overwrite is one, and --force is another name for it."""
    shop.write("jobs.py", SQUARE)
    shop.numbers(2)
    shop.write("out.jsonl", "precious\n")
    refused(shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl"), "--resume", "--overwrite")
    assert shop.read("out.jsonl") == "precious\n"
    for option in ("--overwrite", "--force"):
        done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", option)
        assert done.returncode == 0, done.stderr
        assert shop.results() == {0: 0, 1: 1}


def test_csv_with_a_column_twice(shop: Workshop) -> None:
    """Found only when the header is read; still bad usage."""
    shop.write("jobs.py", SQUARE)
    shop.write("in.csv", "a,b,a\n1,2,3\n")
    done = shop.run("run", "jobs.py", "in.csv", "--output", "out.jsonl", "--quiet")
    refused(done, "in.csv", "column 'a' twice")


def test_help_and_version(shop: Workshop) -> None:
    assert "run" in shop.run("--help").stdout
    assert shop.run("--version").stdout.startswith("tasker ")
    help_text = shop.run("run", "--help").stdout
    assert "--resume" in help_text and "JOB.py" in help_text
