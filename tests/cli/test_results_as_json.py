"""Results of types that JSON lacks: the rules, the job's own `encode`, and the path to what cannot be written."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import json
import re
import sys
from collections.abc import Callable
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path, PureWindowsPath
from typing import Any, NamedTuple
from uuid import UUID

import pytest

from tasker.cli.run.result_encoder import NoJsonForm, ResultEncoder

from .conftest import Workshop

UTC = dt.UTC


class Colour(enum.Enum):
    RED = "red"
    DAY = dt.date(2024, 1, 2)


class Level(enum.IntEnum):
    HIGH = 3


@dataclasses.dataclass
class Point:
    x: int
    y: Any = None


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    name: str
    tags: frozenset[str] = frozenset()


class Pair(NamedTuple):
    a: int
    b: Decimal


class Array:
    """What numpy's arrays and scalars have in common, as far as the rules ask for it."""

    def __init__(self, plain: Any, kind: str = "f") -> None:
        self.plain = plain
        self._kind = kind

    @property
    def dtype(self) -> Any:
        return type("dtype", (), {"kind": self._kind})

    def tolist(self) -> Any:
        return self.plain

    def astype(self, kind: type) -> Array:
        assert kind is str
        return Array([str(one) for one in self.plain], "U")


class Hostile:
    """Raises at `__class__`, as a dead proxy does, and at `repr`."""

    @property  # type: ignore[misc]
    def __class__(self) -> Any:
        raise RuntimeError("dead")

    def __repr__(self) -> str:
        raise RuntimeError("no text")


def encoded(value: Any, encode: Callable[[Any], Any] | None = None) -> Any:
    return json.loads(ResultEncoder(encode).encode(value))


def fault(value: Any, encode: Callable[[Any], Any] | None = None) -> NoJsonForm:
    with pytest.raises(NoJsonForm) as caught:
        ResultEncoder(encode).encode(value)
    return caught.value


@pytest.mark.parametrize(
    ("value", "json_form"),
    [
        (dt.datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC), "2024-01-02T03:04:05.000006+00:00"),
        (dt.datetime(2024, 1, 2, tzinfo=UTC).replace(tzinfo=None), "2024-01-02T00:00:00"),
        (dt.date(2024, 1, 2), "2024-01-02"),
        (dt.time(3, 4), "03:04:00"),
        (Decimal("1.10"), "1.10"),
        (Decimal("NaN"), "NaN"),
        (UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (b"ab\xff", "YWL/"),
        (bytearray(b"ab\xff"), "YWL/"),
        (memoryview(b"ab\xff"), "YWL/"),
        ({3, 1, 2}, [1, 2, 3]),
        (frozenset("b"), ["b"]),
        (Point(1, Slotted("n", frozenset("z"))), {"x": 1, "y": {"name": "n", "tags": ["z"]}}),
        (Colour.RED, "red"),
        (Colour.DAY, "2024-01-02"),
        (Level.HIGH, 3),
        (Path("a/b"), "a/b"),
        (PureWindowsPath("a\\b"), "a\\b"),
        (Pair(1, Decimal(2)), [1, "2"]),
        (Array([1.5, 2.0]), [1.5, 2.0]),
        (Array(True), True),
        (Array([dt.date(2024, 1, 2)], "O"), ["2024-01-02"]),
        (Array(["2024-01-02T03:04:05.123456789"], "M"), ["2024-01-02T03:04:05.123456789"]),
        ({Colour.RED: 1, UUID(int=0): 2, dt.date(2024, 1, 2): 3, Array(4): 5, 6: 7, None: 8, b"k": 9},
         {"red": 1, str(UUID(int=0)): 2, "2024-01-02": 3, "4": 5, "6": 7, "null": 8, "aw==": 9}),
        ([{"deep": ({1},)}, [Decimal(1)]], [{"deep": [[1]]}, ["1"]]),
    ],
    ids=lambda value: re.sub(" at 0x[0-9a-f]+", "", repr(value)),  # the same in each process of pytest-xdist
)  # fmt: skip
def test_the_rules(value: Any, json_form: Any) -> None:
    assert encoded(value) == json_form


def test_a_set_of_several_types_has_its_elements_in_any_order() -> None:
    assert sorted(encoded({1, "a"}), key=str) == [1, "a"]


@pytest.mark.skipif(find_spec("numpy") is None, reason="numpy is not installed")
def test_numpy_itself() -> None:
    import numpy as np

    value = {
        "scalars": [np.float32(1.5), np.int64(2), np.bool_(True), np.str_("s"), np.float64(0.5), np.uint8(7)],
        "array": np.array([[1, 2], [3, 4]], dtype="int8"),
        "time": np.datetime64("2024-01-02T03:04:05.123456789"),
        "times": np.array(["2024-01-02"], dtype="datetime64[ns]"),
        "bytes": np.array([b"ab"]),
        np.int64(3): "key",
    }
    assert encoded(value) == {
        "scalars": [1.5, 2, True, "s", 0.5, 7],
        "array": [[1, 2], [3, 4]],
        "time": "2024-01-02T03:04:05.123456789",
        "times": ["2024-01-02T00:00:00.000000000"],
        "bytes": ["YWI="],
        "3": "key",
    }
    assert str(fault({"scores": np.array([1.0, np.nan])})) == "$.scores[1]: nan is not JSON"
    assert fault([np.timedelta64(5, "ns")]).is_misfit
    assert "complex" in str(fault(np.array([1j])))
    if np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant:
        assert "longdouble" in str(fault(np.longdouble(1)))


def test_numpy_is_not_imported_by_the_rules() -> None:
    """Neither is anything else that the job did not import."""
    assert "numpy" not in Path(sys.modules[ResultEncoder.__module__].__file__ or "").read_text().replace("# numpy", "")


@pytest.mark.parametrize(
    ("value", "message", "is_misfit"),
    [
        ({"items": [1, {"when": dt.timedelta(1)}]}, "$.items[1].when: datetime.timedelta has no JSON form", True),
        ({"a b": [float("nan")]}, '$["a b"][0]: nan is not JSON', False),
        ([[], [float("-inf")]], "$[1][0]: -inf is not JSON", False),
        (object(), "$: object has no JSON form", True),
        (Point(1, [object()]), "$.y[0]: object has no JSON form", True),
        ({1: {"x": object()}}, '$["1"].x: object has no JSON form', True),
        ({(1, 2): 3}, "$: a key is tuple, and keys in JSON are texts", True),
        ({Slotted("a"): 3}, "Slotted, and keys in JSON are texts", True),
        ({Colour.RED: 1, "red": 2}, "$: two keys are both 'red' in JSON", False),
        ({float("nan"): Decimal(1)}, "$: nan is not JSON", False),
        (["fine", "caf\udce9"], "$[1]: the text has a lone surrogate (U+DCE9), which is not UTF-8", False),
        ({"caf\udce9": 1}, "$: the text has a lone surrogate", False),
        ([10**5000], "$[0]: ValueError('Exceeds the limit", False),
        (int, "$: type has no JSON form", True),
        (Array(5, "m"), "has no JSON form", True),
        ([Hostile()], "$[0]: cli.test_results_as_json.Hostile has no JSON form", True),
    ],
    ids=range(16),
)
def test_the_path_to_the_culprit(value: Any, message: str, is_misfit: bool) -> None:
    """And whether the type is to blame: then every result of it will fail."""
    error = fault(value)
    assert message in str(error)
    assert error.is_misfit is is_misfit


def test_an_array_that_stays_what_it_is_does_not_loop() -> None:
    stubborn = Array(None)
    stubborn.plain = stubborn
    assert "has no JSON form" in str(fault({"x": stubborn}))


def test_values_that_contain_themselves_and_values_too_deep() -> None:
    loop: list[Any] = []
    loop.append({"again": loop})
    assert str(fault({"x": loop})) == "$.x[0].again: list contains itself"
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert str(fault(deep)) == "$: it is nested too deeply"
    shared = [Decimal(1)]
    assert encoded([shared, shared]) == [["1"], ["1"]], "what occurs twice is no loop"


def test_a_long_path_is_cut_in_the_middle() -> None:
    value: Any = object()
    for _ in range(200):
        value = {"level": value}
    text = str(fault(value))
    assert text.startswith("$.level.level") and "...." not in text and "..." in text and len(text) < 400


def test_the_jobs_encode_serves_what_no_rule_covers() -> None:
    """What it returns goes by the rules again; it is not asked for the types that they cover."""
    asked: list[Any] = []

    def encode(value: Any) -> Any:
        asked.append(value)
        return {"seconds": Decimal(value.total_seconds())}

    assert encoded({"took": dt.timedelta(minutes=1), "at": dt.date(2024, 1, 2)}, encode) == {
        "took": {"seconds": "60"},
        "at": "2024-01-02",
    }
    assert asked == [dt.timedelta(minutes=1)]


@pytest.mark.parametrize(
    ("encode", "message"),
    [
        (lambda value: 1 / 0, "$.x: object cannot be encoded: ZeroDivisionError('division by zero')"),
        (lambda value: value, "$.x: encode(value) returned the object that it was called with"),
        (lambda value: [value], "$.x[0]: object contains itself"),
        (lambda value: object(), "$: it is nested too deeply"),
        (lambda value: {"y": float("nan")}, "$.x.y: nan is not JSON"),
    ],
)
def test_an_encode_that_will_not_do(encode: Callable[[Any], Any], message: str) -> None:
    assert str(fault({"x": object()}, encode)) == message


DURATIONS = """
    import datetime
    from pathlib import Path

    def task(ctx, resource, item):
        with open("started", "a") as log:
            log.write(item + "\\n")
        return {"items": [0, {"took": datetime.timedelta(seconds=int(item))}]}
"""


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_a_job_with_an_encode(shop: Workshop, backend: str) -> None:
    shop.write("jobs.py", DURATIONS + "\n    def encode(value):\n        return value.total_seconds()\n")
    shop.numbers(3)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--backend", backend)
    assert done.returncode == 0, done.stderr
    assert shop.results() == {n: {"items": [0, {"took": float(n)}]} for n in range(3)}


@pytest.mark.parametrize("backend", ["thread", "process"])
def test_the_first_result_that_cannot_be_written_ends_the_run(shop: Workshop, backend: str) -> None:
    """Before the rest of the work is done; with the path, exit code 2, and a line for each item that ran."""
    shop.write("jobs.py", DURATIONS)
    shop.numbers(2000)
    done = shop.run(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl", "--workers", 1, "--max-workers", 1, "--quiet",
        "--backend", backend,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr == (
        "tasker run: error: stopped at the first result: item 0: the result (dict) is not JSON:"
        " $.items[1].took: datetime.timedelta has no JSON form; the job file may define encode(value) for it\n"
    )
    assert len(shop.read("started").splitlines()) < 1000
    assert {record["status"] for record in shop.records()} == {"failed"}
    assert shop.lines() == len(shop.read("started").splitlines())


def test_a_later_result_that_cannot_be_written_fails_its_item_alone(shop: Workshop) -> None:
    """The job has shown that it can. A value such as NaN, which is no matter of the type, never ends the run."""
    shop.write("jobs.py", "def task(ctx, r, item):\n    return {'0': float('nan'), '2': object()}.get(item, item)\n")
    shop.numbers(4)
    done = shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--workers", 1, "--max-workers", 1)
    assert done.returncode == 1, done.stderr
    assert [record["status"] for record in shop.records()] == ["failed", "done", "failed", "done"]


def test_an_error_message_with_a_lone_surrogate_is_written_in_utf8(shop: Workshop) -> None:
    shop.write("jobs.py", "def task(ctx, r, item):\n    raise ValueError('caf\\udce9')\n")
    shop.numbers(1)
    assert shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl").returncode == 1
    (record,) = shop.records()
    assert record["error"]["message"] == "caf\\udce9"
    json.dumps(record, ensure_ascii=False).encode()
