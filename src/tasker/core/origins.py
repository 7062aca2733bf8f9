"""Origins: where each resource that has not been destroyed yet was made. Kept with ``Config(debug=True)`` alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tasker.config import Config

from .stacks import stack_of_caller


class Origins:
    """Knows of each living resource who has it and where it was made. Thread-safe: a change is one step of a dictionary.

    It has a reference to each handle, so it keeps what was left behind from being collected, too.
    """

    __slots__ = ("_living",)

    def __init__(self) -> None:
        self._living: dict[object, str] = {}

    def made(self, handle: object, owner: str, config: Config[Any]) -> None:
        """Notes a resource, and where the present thread was called from. ``owner``: the name of its worker, or what else
        has it."""
        text = f"the resource of {owner}, made by {place_of(config.resource or config.on_create)}"
        stack = stack_of_caller()
        self._living[handle] = f"{text}\n{stack}" if stack else text

    def ended(self, handle: object) -> None:
        """The resource was destroyed, or its function was called and failed. Harmless if repeated."""
        self._living.pop(handle, None)

    @property
    def living(self) -> tuple[str, ...]:
        """Returns a text for each resource that was not destroyed: whose it is, and the lines of the stack that made it."""
        return tuple(self._living.copy().values())


def place_of(fn: Callable[..., Any] | None) -> str:
    """Returns the name of a function and where it is defined, as far as that is known."""
    name = getattr(fn, "__qualname__", None) or repr(fn)
    code = getattr(getattr(fn, "__wrapped__", fn), "__code__", None)
    return str(name) if code is None else f"{name} ({code.co_filename}:{code.co_firstlineno})"
