"""FunctionKit: makes the task bodies of the contract as plain functions.

`CoroutineKit` has the same methods and makes coroutine functions. A test takes the kit of its engine and never writes a body
that blocks itself, so that it runs over every engine.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from support.gates import Gate
from tasker import Context

Body = Callable[..., Any]


class FunctionKit:
    """Makes tasks that are plain functions."""

    def hook(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        """A user hook (`on_create`, ...) that calls `fn`, which must not block."""
        return fn

    def calls(self, fn: Callable[..., Any]) -> Body:
        """A task that calls `fn(ctx, resource, *args)`, which must not block."""

        def called(ctx: Context, resource: Any, *args: Any) -> Any:
            return fn(ctx, resource, *args)

        return called

    def returns(self, value: Any = None) -> Body:
        """A task that returns `value`."""
        return self.calls(lambda ctx, resource, *args: value)

    def echo(self) -> Body:
        """A task that returns its first argument."""
        return self.calls(lambda ctx, resource, value: value)

    def resource(self) -> Body:
        """A task that returns its resource."""
        return self.calls(lambda ctx, resource: resource)

    def raises(self, error: BaseException) -> Body:
        """A task that raises `error`."""

        def raising(ctx: Context, resource: Any, *args: Any) -> Any:
            raise error

        return raising

    def records(self, log: list[Any], tag: Any = None) -> Body:
        """A task that appends `tag` (or its first argument) to `log` and returns it."""

        def note(ctx: Context, resource: Any, *args: Any) -> Any:
            log.append(args[0] if tag is None else tag)
            return log[-1]

        return self.calls(note)

    def holds(self, gate: Gate, value: Any = None) -> Body:
        """A task that waits at `gate`, even if it is cancelled, then returns `value`."""

        def holding(ctx: Context, resource: Any, *args: Any) -> Any:
            gate.pass_through()
            return value

        return holding

    def holds_if(self, gate: Gate, item: Any) -> Body:
        """A task that returns its argument, and waits at `gate` first if that is `item`."""

        def holding(ctx: Context, resource: Any, argument: Any) -> Any:
            if argument == item:
                gate.pass_through()
            return argument

        return holding

    def watches(self, gate: Gate) -> Body:
        """A task that waits at `gate`, even if it is cancelled, and returns whether it was."""

        def watching(ctx: Context, resource: Any, *args: Any) -> Any:
            gate.pass_through()
            return ctx.cancelled

        return watching

    def fails_at(self, gate: Gate, error: BaseException) -> Body:
        """A task that waits at `gate`, even if it is cancelled, then raises `error`."""

        def failing(ctx: Context, resource: Any, *args: Any) -> Any:
            gate.pass_through()
            raise error

        return failing

    def pauses(self, seconds: float | None = None) -> Body:
        """A task that works for `seconds` (or its first argument) and returns that."""

        def pausing(ctx: Context, resource: Any, *args: Any) -> Any:
            length = args[0] if seconds is None else seconds
            ctx.wait(length)
            return length

        return pausing

    def in_turn(self, seconds: float) -> Body:
        """A task that works for `seconds` while it holds a lock that all tasks of this body share."""
        turn = threading.Lock()

        def working(ctx: Context, resource: Any, *args: Any) -> Any:
            with turn:
                ctx.wait(seconds)

        return working

    def until_cancelled(self, gate: Gate) -> Body:
        """A task that counts an arrival at `gate`, works until its context is cancelled, and raises that."""

        def obeying(ctx: Context, resource: Any, *args: Any) -> Any:
            gate.arrive()
            if not ctx.wait(60):
                raise AssertionError("the context was never cancelled")
            ctx.raise_if_cancelled()

        return obeying

    def both(self, fn: Callable[..., Any], task: Body) -> Body:
        """A task that calls `fn(ctx, resource)`, which must not block, then does what `task` does."""

        def chained(ctx: Context, resource: Any, *args: Any) -> Any:
            fn(ctx, resource)
            return task(ctx, resource, *args)

        return chained

    def script(self, *steps: Any) -> Body:
        """A task whose n-th attempt takes the n-th step: raises an error, passes a gate, or returns anything else."""
        todo = list(steps)
        lock = threading.Lock()

        def scripted(ctx: Context, resource: Any, *args: Any) -> Any:
            with lock:
                step = todo.pop(0)
            if isinstance(step, BaseException):
                raise step
            if isinstance(step, Gate):
                return step.pass_through()
            return step

        return scripted
