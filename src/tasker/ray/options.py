"""RayBackend: the options of actors in a Ray cluster."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, TypeVar

from tasker.control.finite import is_finite
from tasker.errors import ConfigError
from tasker.options import Backend

if TYPE_CHECKING:
    from tasker.remote.sharing import Shared

T = TypeVar("T")
NO_CLIENT = (
    "the Ray Client (ray://) cannot choose in which thread of an actor a call runs, without which no running task could be "
    "cancelled; run this program on a node of the cluster, or submit it to the cluster as a job of Ray's"
)


@dataclass(frozen=True)
class RayBackend(Backend):
    """``Config(backend=RayBackend())``: each worker's resource lives in an actor of a Ray cluster.

    ``on_create``, the tasks and ``on_destroy`` run in one thread of the actor; ``check_health``, callbacks, collectors and
    loggers in this process. Tasks, arguments and results are pickled, by cloudpickle where pickle cannot do it; ``tasker``, and
    what they import, must be installed on the nodes (or be in ``runtime_env``). A task costs about a millisecond, so tasks
    should take much longer. Where actors run, and when nodes are added, is Ray's decision; its restarts and retries are off.

    If this process has called ``ray.init``, that cluster is used, and goes on after the manager. Otherwise ``address`` says
    which; None: a local Ray is started with the first manager, which takes some seconds, and ended with the last.

    Needs the extra ``ray``. A wrong value raises ``ConfigError`` that names the field, the value and what is allowed.
    """

    _: KW_ONLY
    address: str | None = None
    """Of the cluster: ``"auto"`` or ``"host:port"``. None: a Ray of this process's own. ``"ray://host:port"`` is not possible,
    see ``NO_CLIENT``."""
    num_cpus: float | None = None
    """Processors of each actor, for Ray's placement. None: 1, or 0 in a local Ray that was started here, where nothing is to be
    placed."""
    num_gpus: float = 0.0
    """GPUs of each actor."""
    resources: Mapping[str, float] | None = None
    """Custom resources of each actor, by name."""
    scheduling_strategy: Any = None
    """As for ``ray.remote``: ``"SPREAD"``, a node affinity, a placement group. None: Ray's default."""
    runtime_env: Mapping[str, Any] | None = None
    """As for ``ray.remote``: what is to be installed or set for each actor."""
    namespace: str | None = None
    """Of the actors, if this process connects to the cluster. None: an anonymous one."""
    max_tasks: int | None = None
    """An actor is replaced after as many tasks. None: never for that reason."""
    max_age: float | None = None
    """... after as many seconds, between two tasks."""

    def share(self, value: T) -> Shared[T]:
        """Puts a value once into Ray's object store; returns its handle. Passed to tasks of managers with actors, the handle
        arrives as the value: each node fetches it once, and each actor makes it again once. Large arrays in it are not
        copied for that: the actors of a node see the same memory, and cannot change it.

        Connects to the cluster, or starts a local Ray, like the first manager; the connection lasts until the handle is
        closed. ``TravelError`` if the value cannot be pickled, ``ResourceError`` if there is no cluster. Blocks for as long
        as this takes. Thread-safe.
        """
        from .cluster import connection  # noqa: PLC0415  not for those who share nothing
        from .sharing import share  # noqa: PLC0415

        return share(value, lambda: connection.acquire(self), connection.release)

    @property
    def pipeline(self) -> bool:
        """False: each task is sent when the one before it has ended. Two in flight would gain little against the cost of a
        call, and a more urgent task could no longer overtake the second."""
        return False

    def __post_init__(self) -> None:
        self._check_texts()
        self._check_amounts()
        self._check_limits()
        for module in ("ray", "cloudpickle"):
            if find_spec(module) is None:
                raise ConfigError(f"RayBackend needs {module}: pip install 'tasker-pool[ray]'")

    def _check_texts(self) -> None:
        for field in ("address", "namespace"):
            text = getattr(self, field)
            if text is not None and (not isinstance(text, str) or not text):
                raise _wrong(field, text, "a non-empty string or None")
        if self.address is not None and self.address.startswith("ray://"):
            raise ConfigError(
                f"RayBackend.address must be 'auto', 'host:port' or None, got {self.address!r}: {NO_CLIENT}"
            )
        for field in ("resources", "runtime_env"):
            value = getattr(self, field)
            if value is not None and not (isinstance(value, Mapping) and all(isinstance(name, str) for name in value)):
                raise _wrong(field, value, "a mapping from names, or None")

    def _check_amounts(self) -> None:
        if self.num_cpus is not None:
            _check_amount("num_cpus", self.num_cpus)
        _check_amount("num_gpus", self.num_gpus)
        for name, amount in (self.resources or {}).items():
            _check_amount(f"resources[{name!r}]", amount)

    def _check_limits(self) -> None:
        most = self.max_tasks
        if most is not None and (isinstance(most, bool) or not isinstance(most, int) or most < 1):
            raise _wrong("max_tasks", most, "a positive integer or None")
        if self.max_age is not None and (not is_finite(self.max_age) or self.max_age <= 0):
            raise _wrong("max_age", self.max_age, "a finite number of seconds, more than 0 (or None)")


def _check_amount(field: str, value: Any) -> None:
    if not is_finite(value) or value < 0:
        raise _wrong(field, value, "a finite number, at least 0")


def _wrong(field: str, value: object, allowed: str) -> ConfigError:
    return ConfigError(f"RayBackend.{field} must be {allowed}, got {value!r}")
