"""-0 and --delimiter: items that end with something else than a line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest

from tasker.cli.argument_types import delimiter
from tasker.cli.sources import DelimitedSource

from .conftest import Workshop

ECHO = """
    def task(ctx, resource, item):
        if item == "fail\\n":
            raise ValueError("no")
        return item
"""


def test_texts_that_end_with_nul(shop: Workshop) -> None:
    """As of find -print0: they may contain ends of lines and blanks. Failed ones can be fed in again."""
    shop.write("jobs.py", ECHO)
    given = b"one\0two\nlines\0\0 \0fail\n\0gr\xc3\xbcn\0\xff\0last"
    (shop.folder / "in").write_bytes(given)
    done = shop.run("run", "jobs.py", "in", "-0", "--output", "out.jsonl", "--failed", "failed")
    assert done.returncode == 1, done.stderr
    records = {record["index"]: record for record in shop.records()}
    results = [records[n].get("result") for n in range(len(records))]
    assert results == ["one", "two\nlines", " ", None, "grün", None, "last"]
    assert records[5]["error"]["message"] == "in item 7: not text: byte 1 (0xff) is not UTF-8"
    assert sorted((shop.folder / "failed").read_bytes().split(b"\0")) == [b"", b"fail\n", b"\xff"]
    again = shop.run("run", "jobs.py", "failed", "--null", "--dry-run")
    assert '"input": "fail\\n"' in again.stdout


def test_what_has_a_result_is_passed_over(shop: Workshop) -> None:
    shop.write("jobs.py", ECHO)
    (shop.folder / "in").write_bytes(b"a;b\n;c")
    command = ("run", "jobs.py", "in", "--delimiter", ";", "--output", "out.jsonl")
    assert shop.run(*command).returncode == 0
    (shop.folder / "in").write_bytes(b"a;b\n;x;c")
    dry = shop.run(*command, "--resume", "--dry-run")
    assert [line.split(",")[0] for line in dry.stdout.splitlines()] == ['{"index": 2', '{"index": 3']


def test_csv_with_another_separator(shop: Workshop) -> None:
    shop.write("jobs.py", "def task(ctx, r, item):\n    return item['b']\n")
    shop.write("in.csv", 'a;b\n1;"x;y"\n2;z,z\n')
    done = shop.run("run", "jobs.py", "in.csv", "--delimiter", ";", "--output", "out.jsonl")
    assert done.returncode == 0, done.stderr
    assert shop.results() == {0: "x;y", 1: "z,z"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("in.jsonl", "-0"), "in.jsonl: --delimiter and --null are not for jsonl"),
        (("in.csv", "--delimiter", "ab"), "fields of CSV are separated by one ASCII character, not b'ab'"),
        (("in.csv", "-0"), "fields of CSV are separated by one ASCII character"),
        (("in.txt", "--delimiter", ""), "must be a text such as"),
    ],
)
def test_what_it_is_not_for(shop: Workshop, arguments: tuple[str, ...], message: str) -> None:
    shop.write("jobs.py", ECHO)
    for name in ("in.jsonl", "in.csv", "in.txt"):
        shop.write(name, "a\n")
    done = shop.run("run", "jobs.py", *arguments, "--output", "out.jsonl")
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize(
    ("text", "value"),
    [(";", b";"), ("\\0", b"\0"), ("\\n", b"\n"), ("\\x1e", b"\x1e"), ("ab", b"ab"), ("ü", "ü".encode())],
)
def test_escapes(text: str, value: bytes) -> None:
    assert delimiter(text) == value


@pytest.mark.parametrize("text", ["", "\\x1"])
def test_no_delimiters(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        delimiter(text)


@pytest.mark.parametrize("separator", [b"\0", b"<>", b"aab"])
def test_it_may_stand_anywhere(tmp_path: Path, separator: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a read ends in the middle of it."""
    monkeypatch.setattr("tasker.cli.sources._CHUNK", 3)
    texts = ["x" * length for length in (1, 2, 3, 50, 4, 7)] + ["a<x>aa"]
    path = tmp_path / "in"
    path.write_bytes(separator.join(text.encode() for text in texts) + separator)
    source = DelimitedSource(str(path), separator)
    items: list[Any] = list(source.items())
    assert [item.value for item in items] == texts
    assert source.position == source.size
