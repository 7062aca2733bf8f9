"""When a resource that lives elsewhere is to be replaced though no task has found it unhealthy."""

from __future__ import annotations

import random
from time import monotonic
from typing import Any

from tasker.config import Config
from tasker.control.disuse import Disuse
from tasker.control.wear import Wear, end_of_life
from tasker.core.probing import disuse_of

from .session import SessionOptions


class RecycleLimits:
    """The limits of one session: those of the backend and those of the configuration, whichever come first."""

    __slots__ = ("_wear", "disuse", "large", "unfit")

    def __init__(self, options: SessionOptions, config: Config[Any] | None = None) -> None:
        now = monotonic()
        most, ends = [options.max_tasks], [None if options.max_age is None else now + options.max_age]
        if config is not None:
            most.append(config.max_tasks_per_resource)
            ends.append(end_of_life(config.max_resource_lifetime, now, random.random()))
        self._wear = Wear(
            min((number for number in most if number is not None), default=None),
            min((end for end in ends if end is not None), default=None),
        )
        self.disuse: Disuse | None = None if config is None else disuse_of(config, now)
        """When it was used last; None: that is of no interest."""
        self.large: bool = False
        """Whether it is to be replaced anyway: it holds more memory than it may, or may wait for the judgement of an error
        that could not be read."""
        self.unfit: bool = False
        """Whether ``on_return`` or ``check_resource`` has failed."""

    @property
    def served(self) -> int:
        """Tasks that have ended there."""
        return self._wear.served

    @served.setter
    def served(self, number: int) -> None:
        self._wear.served = number

    def note_use(self) -> None:
        """Notes that a task has ended there, or that it was checked."""
        if self.disuse is not None:
            self.disuse.used = monotonic()

    def idle_too_long(self, *, wanted: bool = True) -> bool:
        """Returns whether it has to be checked. ``wanted``: before it gets a task."""
        return self.disuse is not None and self.disuse.due(monotonic(), wanted=wanted)

    def reached(self) -> bool:
        """Returns whether it gets no more tasks."""
        return self.large or self.unfit or self._wear.worn(monotonic())

    def remaining(self, wanted: int) -> int:
        """Returns how many of the wanted tasks it may have."""
        return self._wear.remaining(wanted)
