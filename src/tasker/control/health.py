"""Health: what ``check_health`` says of a resource after an error."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import ClassVar

from .finite import is_finite


class HealthKind(enum.Enum):
    """The kinds of ``Health``."""

    OK = "ok"
    REPLACE = "replace"
    COOL_DOWN = "cool down"
    DEPENDENCY_DOWN = "dependency down"


@dataclass(frozen=True, slots=True)
class Health:
    """The state of a resource after an error; what ``Config.check_health`` may return in place of a bool. Immutable.

    Its values are ``Health.OK``, ``Health.REPLACE``, ``Health.COOL_DOWN(seconds)`` and ``Health.DEPENDENCY_DOWN``.
    """

    kind: HealthKind
    seconds: float = 0.0
    """How long the worker takes no task, after ``COOL_DOWN``."""

    OK: ClassVar[Health]
    """The error is the task's own. As True."""
    REPLACE: ClassVar[Health]
    """The resource is to blame. It is replaced, and the task is tried again. As False."""
    DEPENDENCY_DOWN: ClassVar[Health]
    """What the resource depends on is down. As ``REPLACE``, and a new resource is made as after a creation that has failed:
    after a pause, and by one worker at a time until one succeeds."""

    @staticmethod
    def COOL_DOWN(seconds: float) -> Health:  # noqa: N802  it stands beside constants
        """Returns the verdict that the resource is good, but must not be used for so many seconds, at least 0, as after a
        429 with ``Retry-After``. The task is tried again, by any worker. Raises ``ValueError``."""
        if not is_finite(seconds) or seconds < 0:
            raise ValueError(f"Health.COOL_DOWN takes a finite number of seconds, at least 0, got {seconds!r}")
        return Health(HealthKind.COOL_DOWN, float(seconds))

    @property
    def blames(self) -> bool:
        """Whether the error is the resource's fault, so that the task may be tried again."""
        return self.kind is not HealthKind.OK

    @property
    def replaces(self) -> bool:
        """Whether the resource must not be used any more."""
        return self.kind in (HealthKind.REPLACE, HealthKind.DEPENDENCY_DOWN)

    @property
    def harms(self) -> bool:
        """Whether the task has left the resource unusable, as far as is known. What it depends on is not the task's doing."""
        return self.kind is HealthKind.REPLACE

    def __repr__(self) -> str:
        return f"Health.{self.kind.name}" + (f"({self.seconds:g})" if self.kind is HealthKind.COOL_DOWN else "")


Health.OK = Health(HealthKind.OK)
Health.REPLACE = Health(HealthKind.REPLACE)
Health.DEPENDENCY_DOWN = Health(HealthKind.DEPENDENCY_DOWN)
