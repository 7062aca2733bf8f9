"""The children of one manager, and what they have in common."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from tasker.config import Config
from tasker.logs import GuardedLogger
from tasker.stats import ProcessUsage

from .keeper import Keeper, borrow, give_back
from .link import Link
from .listening import Listener
from .messages import Setup

if TYPE_CHECKING:
    from tasker.backends.options import ProcessBackend

_LONGEST = 1e8
"""Seconds; timers and clocks do not take any number."""


class House:
    """Opens and closes links. Thread-safe."""

    def __init__(self, config: Config[Any], log: GuardedLogger, *, asynchronous: bool) -> None:
        assert config.backend is not None
        self.config: Config[Any] = config
        self.options: ProcessBackend = config.backend
        self._grace = min(config.cancel_grace, _LONGEST)
        self._preload: tuple[str, ...] = tuple(self.options.preload)
        self._asynchronous = asynchronous
        self._listener = Listener(config.name, log)
        self._lock = threading.Lock()
        self._keeping = threading.Lock()
        self._keeper: Keeper | None = None
        self._links: dict[Link, None] = {}
        self._finished = False
        self._closed = False

    def open(self, name: str, on_end: Callable[[int], object]) -> Link:
        """A new child, which makes its resource. ``on_end``: called once it is gone, in a thread of ours."""
        link = Link(name, self._grace)
        with self._lock:
            self._links[link] = None
        try:
            link.open(
                self._living_keeper(),
                self.options.start_method == "spawn",
                self._setup(name),
                lambda: self._listener.pipes(name),
                on_end,
            )
        except BaseException:
            self.close(link)
            raise
        return link

    def close(self, link: Link) -> None:
        """Waits for a child's end and forgets it."""
        try:
            link.close()
        finally:
            with self._lock:
                self._links.pop(link, None)
            self._close_if_empty()

    def finish(self) -> None:
        """There will be no more children: with the last one, or now, the nursery goes too. Blocks for the moment that it takes
        to end."""
        with self._lock:
            self._finished = True
        self._close_if_empty()

    def cancel_all(self, cause: BaseException) -> None:
        """Cancels whatever runs in a child; the tasks of ``run_task`` included, as in ``kill_all``."""
        for link in self._all():
            link.cancel(0, cause)

    def kill_all(self) -> None:
        """Ends every child at once."""
        for link in self._all():
            link.kill()

    def usage(self) -> tuple[ProcessUsage, ...]:
        """What the children take now."""
        from .usage import usage_of  # noqa: PLC0415  psutil is needed for this alone

        found = [usage_of(link.name, link.pid) for link in self._all() if link.pid and not link.gone]
        return tuple(usage for usage in found if usage is not None)

    def _all(self) -> list[Link]:
        with self._lock:
            return list(self._links)

    def _living_keeper(self) -> Keeper:
        with self._keeping:
            keeper = self._keeper
            if keeper is None or keeper.dead:
                if keeper is not None:
                    give_back(self._preload, keeper)
                keeper = self._keeper = borrow(self._preload)
            return keeper

    def _close_if_empty(self) -> None:
        with self._lock:
            if self._closed or not self._finished or self._links:
                return
            self._closed = True
            keeper, self._keeper = self._keeper, None
        self._listener.close()
        if keeper is not None:
            give_back(self._preload, keeper)

    def _setup(self, name: str) -> Setup:
        config, options = self.config, self.options
        affinity = options.affinity
        return Setup(
            name=name,
            create=config.on_create,
            destroy=config.on_destroy,
            resource=config.resource,
            values=_values(config),
            asynchronous=self._asynchronous,
            careful=config.check_health is not None,
            affinity=None if affinity is None else tuple(affinity),
            nice=options.nice,
            max_rss=options.max_rss,
            grace=self._grace,
            levels=_levels(),
        )


def _values(config: Config[Any]) -> list[tuple[Any, Any]]:
    """Those of ``Config.ctx`` that can travel, outermost first."""
    from .packing import pack  # noqa: PLC0415

    values = []
    for key, value in [] if config.ctx is None else config.ctx._items():
        try:
            pack((key, value))
        except Exception:  # noqa: S112  of no use over there
            continue
        values.append((key, value))
    return values


def _levels() -> dict[str, int]:
    loggers = logging.root.manager.loggerDict
    levels = {name: logger.level for name, logger in tuple(loggers.items()) if isinstance(logger, logging.Logger)}
    return {"": logging.root.level, **{name: level for name, level in levels.items() if level}}
