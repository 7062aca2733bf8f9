"""What the quick ways of a run must not change: the text of JSON, and that each item gets its turn."""

from __future__ import annotations

import json
import math
import signal
from contextvars import ContextVar, copy_context
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasker import Context
from tasker.cli import strict_json
from tasker.cli.run.child_lane import run_items
from tasker.cli.run.chunk_slots import Slots
from tasker.cli.run.in_flight import InFlightItems
from tasker.cli.run.items import Item
from tasker.cli.run.records import Record, done_line, line_tail
from tasker.cli.run.result_encoder import NoJsonForm, ResultEncoder
from tasker.cli.run.result_lines import _read, parse

from .conftest import Workshop, wait_for

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters())
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text() | st.integers() | st.floats(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_values_are_encoded_as_json_does(value: Any) -> None:
    try:
        expected = json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        with pytest.raises(strict_json.ENCODE_ERRORS):
            strict_json.encode(value)
    else:
        assert strict_json.encode(value) == expected


@given(VALUES)
def test_the_quick_way_and_the_slow_one_agree(value: Any) -> None:
    encoder = ResultEncoder(None)
    try:
        text = encoder.encode(value)
    except NoJsonForm:
        with pytest.raises(NoJsonForm):
            encoder._encode_slowly(value)
    else:
        assert json.loads(text) == json.loads(encoder._encode_slowly(value))


@given(st.text(st.sampled_from('[]{}",:0123456789eE+-.aflnrstu \\NIy\n\ufeff'), max_size=12))
def test_texts_are_decoded_as_json_does(text: str) -> None:
    def refuse(name: str) -> None:
        raise ValueError

    try:
        expected = json.loads(text, parse_constant=refuse)
    except ValueError:
        with pytest.raises(ValueError):
            strict_json.decode(text)
    else:
        assert strict_json.decode(text) == expected


@given(VALUES, st.booleans())
def test_a_line_shows_its_input_whatever_wrote_it(value: Any, is_ascii: bool) -> None:
    """The fingerprint is that of the input, be the line the run's own or one that another program wrote anew."""
    try:
        text = strict_json.encode(value)
    except strict_json.ENCODE_ERRORS:
        return
    item = Item(3, value, text, b"", "")
    line = Record(item, "1", None).line("a-b")
    if is_ascii:
        line = json.dumps(json.loads(line)).encode() + b"\n"
    parsed = parse(line)
    assert parsed is not None
    again = strict_json.encode(json.loads(line)["input"])
    assert parsed == (3, strict_json.fingerprint(again), True, "a-b")
    if not is_ascii:
        assert parsed.fingerprint == item.fingerprint or again != text


NUMBERS = st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)
FLAT = NUMBERS | st.booleans() | st.none() | st.text(st.characters(), max_size=5)
RESULTS = FLAT | st.lists(FLAT, max_size=3) | st.dictionaries(st.text(max_size=3), FLAT, max_size=3)


@given(RESULTS, RESULTS, st.integers(0, 10**20))
def test_a_result_line_is_read_quickly_as_it_is_slowly(value: Any, result: Any, index: int) -> None:
    item = Item(index, value, strict_json.encode(value), b"", "")
    line = Record(item, strict_json.encode(result), None, 1, 0.5, 1e-06, 7.25, "jobs-1").line("a-b")
    assert parse(line) == _read(line)


@given(RESULTS, RESULTS, st.floats(0, 1e6), st.floats(0, 1e6), st.none() | st.text(max_size=5))
def test_a_line_is_the_same_whatever_made_it(
    value: Any, result: Any, began: float, took: float, worker: str | None
) -> None:
    item, text = Item(3, value, strict_json.encode(value), b"", ""), strict_json.encode(result)
    span, waited = (began, began + took), round(began, 6)
    quick = done_line(item, text, waited, span, line_tail(worker, "a-b"))
    slow = Record(item, text, None, 1, began, span[1] - span[0], began, worker).line("a-b")
    assert json.loads(quick) == json.loads(slow)
    assert list(json.loads(quick)) == list(json.loads(slow))


@given(st.data())
def test_a_damaged_line_is_no_result_either_way(data: st.DataObject) -> None:
    """Whatever is changed in a line: the quick way takes nothing that is not JSON."""
    item = Item(3, {"a": 1, "b": "x"}, '{"a": 1, "b": "x"}', b"", "")
    whole = Record(item, "[1.5, null]", None, 1, 0.5, 0.25, 7.25, "jobs-1").line("a-b")
    at, length = data.draw(st.integers(0, len(whole) - 2)), data.draw(st.integers(0, 3))
    line = whole[:at] + data.draw(st.binary(max_size=3)) + whole[at + length :]
    quick, slow = parse(line), _read(line)
    # Of a key that comes twice, only the slow way sees that.
    assert quick == slow or (slow is not None and line.count(b'"a": ') + line.count(b'"b": ') != 2)


def test_a_key_that_comes_twice_has_its_item_run_again() -> None:
    line = b'{"index": 0, "input": {"a": 1, "a": 2}, "status": "done", "result": 1, "attempts": 1, "wait_s": 0.1, '
    line += b'"execution_s": 0.1, "worker": "w", "job": "a-b"}\n'
    parsed = parse(line)
    assert parsed is not None
    assert parsed.fingerprint != strict_json.fingerprint('{"a": 2}')


def test_a_list_in_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(strict_json.ENCODE_ERRORS):
        strict_json.encode(value)


@pytest.mark.parametrize("retries", [0, 1])
def test_items_behind_one_that_fails_have_their_turn(shop: Workshop, retries: int) -> None:
    """With a single worker, behind many quick items, and after the last one was read."""
    shop.write(
        "jobs.py",
        """
        def check_health(error):
            return False

        def task(ctx, resource, item):
            if int(item) >= 2000:
                raise ValueError(item)
        """,
    )
    shop.numbers(2020)
    done = shop.run(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl",
        "--workers", 1, "--max-workers", 1, "--max-queue", 500, "--retries", retries,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    records = {record["index"]: record for record in shop.records()}
    assert sorted(records) == list(range(2020))
    assert {records[index]["attempts"] for index in range(2000, 2020)} == {retries + 1}
    assert {records[index]["status"] for index in range(2000)} == {"done"}


def test_context_variables_of_an_item_do_not_reach_the_next_one(shop: Workshop) -> None:
    shop.write(
        "jobs.py",
        """
        from contextvars import ContextVar

        seen = ContextVar("seen", default=None)

        def task(ctx, resource, item):
            before = seen.get()
            if int(item) % 3 == 0:
                seen.set(item)
            return before
        """,
    )
    shop.numbers(300)
    assert shop.run("run", "jobs.py", "in.txt", "--output", "out.jsonl", "--workers", 2).returncode == 0
    assert set(shop.results().values()) == {None}


def test_items_that_set_context_variables_go_on_in_their_lane() -> None:
    """Each in a context of its own: as decimal numbers set one, for instance."""
    seen: ContextVar[int | None] = ContextVar("seen", default=None)

    def task(ctx: Any, resource: Any, item: int) -> Any:
        before = seen.get()
        seen.set(item)
        return [before, Seen()]

    class Seen:
        """Its JSON is what is set when it is asked for."""

    job: Any = SimpleNamespace(task=task, encoder=ResultEncoder(lambda value: seen.get()))
    slots = Slots()
    slot = slots.take()
    slot.grant(5)
    assert copy_context().run(run_items, job, Context(), None, slot.address, math.inf, [*map(str, range(5))]) is None
    assert [text for _, _, text in slot.results(slot.done)] == [f"[null, {n}]" for n in range(5)]
    slots.give_back(slot, again=True)
    slots.close()


def test_callbacks_of_an_item_that_has_ended_are_not_called(shop: Workshop) -> None:
    """`ctx` is that of one item, although many of them run in one task of the manager."""
    shop.write(
        "jobs.py",
        """
        from pathlib import Path

        def task(ctx, resource, item):
            def note():
                with open("called", "a") as file:
                    file.write(item + " ")
            ctx.on_cancel(note)
            if item == "299":
                Path("there").touch()
                ctx.wait(60)
        """,
    )
    shop.numbers(300)
    run = shop.start(
        "run", "jobs.py", "in.txt", "--output", "out.jsonl",
        "--workers", 1, "--max-workers", 1, "--stop-timeout", 0,
    )  # fmt: skip
    wait_for((shop.folder / "there").exists, "the last item")
    run.send_signal(signal.SIGINT)
    assert run.wait(30) == 130
    assert shop.read("called") == "299 "


def test_few_free_slots_are_filled_now_and_then() -> None:
    in_flight = InFlightItems(3, 2)
    assert in_flight.acquire_slot() and in_flight.acquire_slot() and in_flight.acquire_slot()
    in_flight._waits = True  # as the submitter does
    in_flight.top_up()
    assert in_flight._room.empty(), "nothing is free"
    in_flight.release(1)
    in_flight.top_up()
    assert in_flight._room.qsize() == 1
