"""Runs the step of another thread exactly before or after an append, to force a race."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from tasker.threads.future_log import Bridge


class HookedList(list[Any]):
    """Runs `before` or `after` once, at the append or insertion of the first entry that `when` accepts."""

    def __init__(
        self,
        items: Iterable[Any] = (),
        *,
        when: Callable[[Any], bool] = lambda entry: True,
        before: Callable[[], object] | None = None,
        after: Callable[[], object] | None = None,
    ) -> None:
        super().__init__(items)
        self.when = when
        self.before = before
        self.after = after
        self.ran = False

    def append(self, item: Any) -> None:
        """Appends, with the hook around it."""
        self._hooked(item, super().append)

    def insert(self, index: Any, item: Any) -> None:
        """Inserts, with the hook around it."""
        self._hooked(item, lambda item: super(HookedList, self).insert(index, item))

    def _hooked(self, item: Any, enter: Callable[[Any], object]) -> None:
        mine = not self.ran and self.when(item)
        if mine:
            self.ran = True
            if self.before is not None:
                self.before()
        enter(item)
        if mine and self.after is not None:
            self.after()


class HookedBridge(Bridge):
    """Runs a step before or after the first waiter is appended."""

    def __init__(
        self, future: Any, before: Callable[[], object] = lambda: None, after: Callable[[], object] = lambda: None
    ) -> None:
        super().__init__(future)
        self.steps = [before, after]
        future._made_bridge = self

    def append(self, waiter: Any) -> None:
        """Appends, with the hook around it."""
        before, after, *_ = self.steps
        self.steps = [lambda: None] * 2
        before()
        super().append(waiter)
        after()
