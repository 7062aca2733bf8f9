"""No loop turns outside of the ``try`` or ``with`` that it is in.

At a jump back CPython looks for signals and for asynchronous exceptions. From 3.13 on, it looks for the handler where the jump is, and
a jump that a condition decides on is left out of the exception table: at the end of ``while x:``, of a loop that ends with an ``if``,
and of a comprehension with one. What strikes there passes by the ``finally``, and a lock stays locked (docs/decisions/0043).
"""

from __future__ import annotations

import ast
import dis
import gc
import itertools
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import tasker

from .interrupts import each_moment

SOURCE = Path(str(tasker.__file__)).parent

_UNIT = 2  # bytes of an instruction

_LOOPS = ast.While | ast.For | ast.AsyncFor | ast.ListComp | ast.SetComp | ast.DictComp
_FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.ClassDef | ast.GeneratorExp


def found(source: str) -> list[int]:
    """Returns the lines of the loops with a jump back that is left out of what has to hold at any moment."""
    loops = [*_loops(ast.parse(source), False)]
    every = [loop for loop, _ in loops]
    guarded = {loop.lineno for loop, has_guard in loops if has_guard}
    lines = {loop.lineno for code in _codes(compile(source, "", "exec")) for loop in _left_out(code, every)}
    return sorted(lines & guarded)


def _codes(code: types.CodeType) -> Iterator[types.CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _codes(constant)


def _left_out(code: types.CodeType, loops: list[Any]) -> Iterator[Any]:
    """Yields the loops with a jump back at which not all handlers are found that are around the loop."""
    bytecode = dis.Bytecode(code)
    steps, table = [*bytecode], bytecode.exception_entries  # type: ignore[attr-defined]
    places = {step.offset: index for index, step in enumerate(steps)}

    def handlers(offset: int) -> set[int]:
        covered: set[int] = set()
        while True:
            target = next((entry.target for entry in table if entry.start <= offset < entry.end), None)
            if target is None or target in covered:
                return covered
            covered.add(target)
            offset = target

    def is_around(handler: int, loop: Any) -> bool:
        index = places[handler]
        if steps[index].opname != "PUSH_EXC_INFO":  # it belongs to a generator or a comprehension
            return False
        line = next(filter(None, map(_line, steps[index:])))
        return not loop.lineno <= line <= loop.end_lineno

    for step in steps:
        if not step.opname.startswith(("JUMP_BACKWARD", "POP_JUMP_BACKWARD")) or step.opname.endswith("NO_INTERRUPT"):
            continue
        line, start = _line(step), places[step.argval]
        while steps[start].opname == "NOP":
            start += 1
        looks_at = step.offset if sys.version_info >= (3, 13) else step.argval - _UNIT
        missed = handlers(steps[start].offset) - handlers(looks_at)
        loop = _innermost(loops, line)
        if loop is not None and any(is_around(handler, loop) for handler in missed):
            yield loop


def _line(step: dis.Instruction) -> int | None:
    return step.positions.lineno if step.positions else None


def _loops(node: ast.AST, has_guard: bool) -> Iterator[tuple[Any, bool]]:
    """Yields the loops, and whether each is in a ``with``, or in a ``try`` that catches more than the errors it expects."""
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST):
                continue
            inside = not isinstance(child, _FUNCTIONS) and (has_guard or _is_guard(node, name))
            if isinstance(child, _LOOPS):
                yield child, inside
            yield from _loops(child, inside)


def _is_guard(node: ast.AST, field: str) -> bool:
    if isinstance(node, ast.With | ast.AsyncWith):
        return field == "body"
    if not isinstance(node, ast.Try):
        return False
    catches_all = any(
        handler.type is None
        or "BaseException" in ast.dump(handler.type)
        or "KeyboardInterrupt" in ast.dump(handler.type)
        for handler in node.handlers
    )
    return (field == "body" and catches_all) or (field in ("body", "handlers", "orelse") and bool(node.finalbody))


def _innermost(loops: list[Any], line: int | None) -> Any:
    around = [loop for loop in loops if line is not None and loop.lineno <= line <= loop.end_lineno]
    return min(around, key=lambda loop: (loop.end_lineno - loop.lineno, -loop.lineno), default=None)


def test_each_loop_turns_inside_of_what_it_is_in() -> None:
    """``while True:`` with a ``break``, or ``for`` that does not end with an ``if``; comprehensions with one in functions of their own."""
    paths = sorted(SOURCE.rglob("*.py"))
    assert len(paths) > 100
    gc.disable()  # a finalizer of what other tests have left may print a traceback, and so parse in the middle of parsing
    try:
        lines = {str(path.relative_to(SOURCE)): found(path.read_text(encoding="utf-8")) for path in paths}
    finally:
        gc.enable()
    assert {path: of_it for path, of_it in lines.items() if of_it} == {}


WHILE = """
while more():
    pass
"""
WHILE_TRUE = """
while True:
    if not more():
        break
"""
WHILE_WITH_TRY = """
while more():
    try:
        more()
    except ValueError:
        pass
"""
WHILE_WITH_LAST_IF = """
while True:
    if not more():
        break
    if not more():
        more()
"""
WITH_CONTINUE = """
while True:
    if more():
        continue
    break
"""
FOR = """
for _ in iter(more, False):
    pass
"""
FOR_IF = """
for _ in iter(more, False):
    if not more():
        more()
"""
COMPREHENSION = """
[one for one in iter(more, False) if not more()]
"""

LOOPS = {name: text for name, text in globals().items() if name.isupper() and isinstance(text, str)}


@pytest.mark.parametrize("loop", LOOPS.values(), ids=LOOPS)
@pytest.mark.parametrize("first", ["", "more()\n"], ids=["alone", "second"])
@pytest.mark.parametrize("guard", ["finally", "except BaseException", "with"])
def test_what_is_found_is_what_happens(loop: str, first: str, guard: str) -> None:
    """Ctrl-C at each moment passes by the guard if, and only if, the loop is one of those that are found."""
    source = _guarded(first + loop, guard)
    names: dict[str, Any] = {}
    exec(source, names)  # the interpreter's own answer
    missed = []
    for answers in itertools.product([True, False], repeat=5):
        for struck, _, raised in each_moment(lambda: names["run"](*_world(names, answers)), names["run"]):  # noqa: B023
            assert raised is None or isinstance(raised, KeyboardInterrupt), raised
            if names["asked"] and not names["ended"]:
                missed.append((struck, answers))
    assert bool(missed) == bool(found(source)), missed


def _guarded(body: str, guard: str) -> str:
    ends = {
        "with": "",
        "finally": "    finally:\n        end()\n",
        "except BaseException": "    except BaseException:\n        end()\n        raise\n    end()\n",
    }
    begins = "    with end:\n" if guard == "with" else "    try:\n"
    return f"def run(more, end):\n{begins}{textwrap.indent(body, ' ' * 8)}{ends[guard]}"


class _End:
    """Notes that the guard has done its part."""

    def __init__(self, names: dict[str, Any]) -> None:
        self._names = names

    def __call__(self) -> None:
        self._names["ended"] = True

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self._names["ended"] = True


def _world(names: dict[str, Any], answers: tuple[bool, ...]) -> tuple[Callable[[], bool], _End]:
    names.update(asked=False, ended=False)
    turns = iter(answers)

    def more() -> bool:
        names["asked"] = True  # what strikes before is not meant
        return next(turns, False)

    return more, _End(names)
