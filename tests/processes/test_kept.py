"""Large functions that go by value are pickled once, and seen in their present state all the same."""

from __future__ import annotations

import gc
import weakref
from pickle import PickleBuffer
from types import SimpleNamespace
from typing import Any

import pytest

from tasker.process.protocol import encoding
from tasker.process.protocol.encoding import TaskEncoder
from tasker.process.protocol.kept import Packed, snapshot_of
from tasker.process.protocol.pickling import unpack
from tasker.process.protocol.wire import MAPPED_SIZE

from .programs import Program
from .test_travel import by_value

LARGE = "DATA = list(range(20_000))\ndef task(ctx, thing, n): return DATA[n]"
CHANGES = {
    "item": "DATA[3] = -1",
    "more": "DATA.append(1)",
    "another": "DATA = list(DATA)",
    "set": "SET.add(7)",
    "dict": "DICT[1] = 2",
    "number": "NUMBER = 2",
    "function": "def helper(): return 2",
    "in a helper": "INSIDE.append(1)",
    "new": "ABSENT = 1",
    "gone": "del NUMBER",
}
MUCH = """
DATA, SET, DICT, NUMBER, INSIDE = list(range(20_000)), {1}, {}, 1, []
def helper(): return INSIDE
def task(ctx, thing, n): return DATA[n], SET, DICT, NUMBER, helper(), len(DATA), ABSENT
"""


def encoded(encoder: TaskEncoder, task: Any, number: int = 3) -> Any:
    """What the other side makes of a task."""
    encoder.new_message()
    future = SimpleNamespace(_task=task, _args=(number,), _variables=None, label="task")
    _, _, _, _, parts = encoder.encode(1, future)
    assert parts is not None
    function, args, _ = unpack([bytes(parts[0]), *parts[1:]])
    return function(None, None, *args)


@pytest.fixture
def pickled(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was pickled by value."""
    seen: list[Any] = []
    pack = encoding.pack_named

    def watched(value: Any, what: str) -> Any:
        seen.append(value)
        return pack(value, what)

    monkeypatch.setattr(encoding, "pack_named", watched)
    return seen


def test_it_is_pickled_once(pickled: list[Any]) -> None:
    """The first time with its arguments, then by itself, and then not again."""
    encoder, task = TaskEncoder(lambda future: future._args), by_value(LARGE)
    assert [encoded(encoder, task, n) for n in range(5)] == [*range(5)]
    assert [value is task or value[0] is task for value in pickled] == [True, True, False, False, False, False]


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_every_change_is_found(change: str) -> None:
    """Of whatever the function refers to, itself or through another one; also where a name was not there before."""
    task = by_value(MUCH)
    known = task.__globals__
    snapshot = snapshot_of(task)
    assert snapshot is not None
    assert snapshot.unchanged()
    exec(change, known)
    assert not snapshot.unchanged()


def test_a_change_is_sent(pickled: list[Any]) -> None:
    """The next task has it."""
    encoder, task = TaskEncoder(lambda future: future._args), by_value(LARGE)
    for _ in range(3):
        assert encoded(encoder, task) == 3
    task.__globals__["DATA"][3] = "changed"
    assert encoded(encoder, task) == "changed"
    assert encoded(encoder, task) == "changed"
    assert isinstance(pickled[-1][0], Packed)


@pytest.mark.parametrize(
    "body",
    ["DATA[3] += 1; return DATA[3]", "seen = globals().get('LATER', DATA[3]); globals()['LATER'] = 9; return seen"],
)
def test_what_a_task_has_changed_is_made_again(body: str) -> None:
    """The next one has what was sent, and not what the last one has left."""
    encoder = TaskEncoder(lambda future: future._args)
    task = by_value(f"DATA = list(range(20_000))\ndef task(ctx, thing, n): {body}")
    assert len({encoded(encoder, task) for _ in range(5)}) == 1


@pytest.mark.parametrize(
    "source",
    [
        "DATA = [[1]] * 20_000\ndef task(ctx, thing, n): return DATA[n]",
        "DATA = [object()]\ndef task(ctx, thing, n): return len(DATA)",
        "DATA = {1: []}\ndef task(ctx, thing, n): return len(DATA)",
        "DATA = ([],)\ndef task(ctx, thing, n): return len(DATA)",
        "class Kind: pass\ndef task(ctx, thing, n): return Kind",
        "def task(ctx, thing, n, known=[]): return known",
        "def task(ctx, thing, n): return 1\ntask.more = []",
        "def other(known=[]): return known\ndef task(ctx, thing, n): return other()",
    ],
)
def test_what_cannot_be_compared(source: str) -> None:
    """It is pickled for each task, as ever."""
    assert snapshot_of(by_value(source)) is None


def test_what_changes_while_it_is_compared() -> None:
    """Another thread changes it: then it has changed."""

    class Changing(dict[str, Any]):
        """Cannot be read now."""

        def get(self, *args: Any) -> Any:
            """Refuse."""
            raise RuntimeError("dictionary changed size during iteration")

    snapshot = snapshot_of(by_value(LARGE))
    assert snapshot is not None
    snapshot._held = [(Changing(), *entry[1:]) for entry in snapshot._held]
    assert not snapshot.unchanged()


def test_it_does_not_keep_the_function() -> None:
    """Neither the last one that was large nor the one that was pickled."""
    encoder, task = TaskEncoder(lambda future: future._args), by_value(LARGE)
    for _ in range(3):
        encoded(encoder, task)
    gone = weakref.ref(task)
    task.__globals__.clear()
    del task
    gc.collect()
    assert gone() is None


REFUSED = """
import gc, threading
from tasker import Config, ProcessBackend, TaskManager, TravelError

TABLE = [*range(20_000)]

def task(ctx, resource, value):
    return TABLE[value]

def main():
    with TaskManager(Config(on_create=dict, worker_count=1, backend=ProcessBackend())) as manager:
        print([*manager.map(task, range(5))])
        try:
            manager.queue_task(task, threading.Lock())
        except TravelError:
            print("refused")

main()
gc.collect()
print("alive")
"""


def test_a_task_that_is_refused_leaves_no_view_to_the_collector(program: Program) -> None:
    """The traceback of its error holds the pickle of the function, in a cycle; before 3.13 the program died of that."""
    assert program.run(REFUSED).splitlines() == ["[0, 1, 2, 3, 4]", "refused", "alive"]


def test_buffers_in_a_cycle() -> None:
    """No ``memoryview`` is under a ``PickleBuffer``: the pickle is bytes, and buffers stay what they were given as."""
    given = bytearray(MAPPED_SIZE)
    encoder = TaskEncoder(lambda future: future._args)
    future = SimpleNamespace(_task=by_value("def task(ctx, thing, n): return n"), _args=(PickleBuffer(given),))
    future._variables, future.label = None, "task"
    _, _, _, _, parts = encoder.encode(1, future)
    assert parts is not None
    assert [type(memoryview(part).obj) for part in parts] == [bytes, bytearray]
    assert memoryview(parts[1]).obj is given
