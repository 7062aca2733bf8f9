"""What the engine core is given in place of an engine: values that remember what was asked of them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

from support.observers import RecordingLogger
from tasker import Config, Quarantined
from tasker.context import Context
from tasker.control import actions as act
from tasker.control import events as ev
from tasker.control.attempts import Verdict
from tasker.control.retries import RetryPolicy
from tasker.control.retry_budget import Loan
from tasker.control.supervisor import View
from tasker.control.workers import WorkersTable, WorkerState
from tasker.core.ages import Ages
from tasker.core.counters import Counters, Shard
from tasker.core.engine import EngineCore
from tasker.core.hooks import Hooks
from tasker.core.quarantine import QuarantineRecord
from tasker.core.refreshes import Refreshes
from tasker.errors import TaskTimeout
from tasker.logs import GuardedLogger
from tasker.metrics.meter import Meter
from tasker.options import Priority
from tasker.stats import ProcessUsage, ShutdownCounts


def config(**fields: Any) -> Config[Any]:
    """A configuration with one base worker and no pool, unless the fields say otherwise."""
    return Config(**{"worker_count": 1, "resource_pool_size": 0, "on_create": object, "name": "pool", **fields})


def with_view(view: View, **fields: Any) -> View:
    """The view, with some fields changed."""
    return replace(view, **fields)


@dataclass
class FakeTask:
    """What the core reads of a task."""

    label: str = "task #7 (mod.fn)"
    id: int = 7
    attempts: int = 1
    queued_at: float = 0.0
    ended: bool = False
    _snoozes: int = 0
    _retry: RetryPolicy | None = None
    attempts_made: tuple[Any, ...] = ()
    was_cancelled: bool = False

    def cancelled(self) -> bool:
        """Whether its outcome is a cancellation."""
        return self.was_cancelled

    def _note_snooze(self) -> None:
        self._snoozes += 1

    def done(self) -> bool:
        """Whether it has its outcome."""
        return self.ended

    @property
    def _queued_at(self) -> float:
        return self.queued_at


@dataclass
class FakeWorker:
    """A worker that can be cut off, or not."""

    name: str = "pool-worker-1"
    state: WorkerState = WorkerState.READY
    seat: ev.Seat = field(default_factory=lambda: ev.Seat(1, 1))
    overdue: str = ""
    made_at: float | None = None
    served_before: int = 0
    shard: Shard = field(default_factory=Shard)
    obeys: bool = False
    cuts: int = 0
    surplus: bool = False
    place: str = ""
    shown: list[Callable[[str], object]] | None = None
    outdated: bool = False
    cooling: bool = False
    checking: bool = False
    sent_ahead: list[Any] = field(default_factory=list)
    given_up: list[bool] = field(default_factory=list)
    """For each `give_up`, whether it was making its resource."""

    def where(self, patience: float = 0.0) -> str:
        """Nothing, or what the test says."""
        return self.place

    def show(self, tell: Callable[[str], object]) -> None:
        """Tells it at once, or keeps the call for the test to make."""
        if self.shown is None:
            tell(self.place)
        else:
            self.shown.append(tell)

    def give_up(self, *, creating: bool, checking: bool = False) -> None:
        """Keeps the call."""
        self.given_up.append(creating)

    def renew(self) -> None:
        """Notes it."""
        self.outdated = True

    def cut_off(self) -> bool:
        """Counts the attempt."""
        self.cuts += 1
        return self.obeys

    def ahead(self) -> list[Any]:
        """What the test says."""
        return self.sent_ahead


class FakePool:
    """A pool of run_task."""

    def __init__(self) -> None:
        self.ages = Ages()


class FakeProber:
    """Keeps what is asked of it."""

    def __init__(self, note: Callable[..., None]) -> None:
        self.probe = lambda: note("probe")
        self.give_up = lambda: note("give_up_probe")
        self.abandon = lambda: note("abandon_probe")


class Recorder:
    """Keeps the names and arguments of calls, in order; a call whose name is in `faults` then raises that."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.faults: dict[str, BaseException] = {}

    def note(self, name: str, *args: Any) -> None:
        """Keep a call."""
        self.calls.append((name, *args))
        if name in self.faults:
            raise self.faults[name]


class FakeBackend(Recorder):
    """A backend whose processes use what `processes` says."""

    processes: tuple[ProcessUsage, ...] = ()

    def terminate_all(self) -> None:
        """Keep the call."""
        self.note("terminate_all")

    def kill_all(self) -> None:
        """Keep the call."""
        self.note("kill_all")

    def usage(self) -> tuple[ProcessUsage, ...]:
        """What the processes use."""
        return self.processes


class PutsOff:
    """Keeps what is reported, and the calls that are to be made later."""

    reported: list[ev.Event]
    later: list[Callable[[], None]]

    def report(self, event: ev.Event) -> None:
        """Keep the event."""
        self.reported.append(event)

    def soon(self, call: Callable[[], None]) -> None:
        """Keep the call, for `go_on`."""
        self.later.append(call)

    def go_on(self) -> None:
        """Make the calls that were put off."""
        later, self.later = self.later, []
        for call in later:
            call()


class FakeDriver(PutsOff, Recorder):
    """A `Driver` that keeps all calls, and answers as its attributes say."""

    def __init__(self, **fields: Any) -> None:
        super().__init__()
        self.logger = RecordingLogger()
        self.counters = Counters()
        self.log = GuardedLogger(self.logger, "pool", lambda: self.counters.note("user_errors"))
        self.hooks = Hooks(config(**fields), self.log)
        self.backend: FakeBackend | None = None
        self.workers: dict[ev.Seat, FakeWorker] = {}
        self.supervisor = SimpleNamespace(table=WorkersTable())
        self.shutdown_counts = ShutdownCounts()
        self.refusal = "the pool is shutting down: enough"
        self.creation_error: BaseException | None = None
        self.refreshes = Refreshes()
        self.pool = FakePool()
        self.prober: Any = FakeProber(self.note)
        self.quarantine = QuarantineRecord()
        self.failure: BaseException | None = OSError("gone")
        """What `claim` answers."""
        self.killed = False
        self.wanted = True
        """What `returned` answers."""
        self.queued: list[FakeTask] = []
        self.unstarted: list[tuple[Any, int]] = []
        self.later: list[Callable[[], None]] = []
        self.emptied = threading.Event()
        self.reported: list[ev.Event] = []
        self.outcome_is_new = True
        """What `abandon` answers."""
        self.callbacks: list[str] = []
        self.hangs: list[Any] = []
        """What `abandon_callbacks` answers."""

    def user_errors(self) -> int:
        """How many faults were counted."""
        self.counters.flow()
        return self.counters.user_errors

    def lend(self, task: Any, loan: Loan) -> None:
        """Keep the call."""
        self.note("lend", task, loan)

    def max_retries_of(self, task: Any) -> int:
        """As the configuration has it by default."""
        return 3

    def start_worker(self, seat: ev.Seat) -> None:
        """Keep the call."""
        self.note("start_worker", seat)

    def retire(self, count: int) -> None:
        """Keep the call."""
        self.note("retire", count)

    def left(self, worker: Any) -> None:
        """Keep the call."""
        self.note("left", worker)

    def hung(self, workers: list[Any]) -> list[Any]:
        """What the test says."""
        return [worker for worker in workers if worker in self.hangs]

    def claim(self, task: Any) -> BaseException | None:
        """Keep the call, and answer."""
        self.note("claim", task)
        return self.failure

    def remember(self, task: Any, error: BaseException, verdict: Verdict) -> None:
        """Keep the call."""
        self.note("remember", task, error, verdict)

    def call_of(self, task: Any) -> tuple[Any, tuple[Any, ...]]:
        """Answer."""
        return len, ("seven",)

    def quarantined(self, task: Any, info: Quarantined) -> None:
        """Keep the call."""
        self.note("quarantined", task, info)

    def returned(self, task: Any) -> bool:
        """Keep the call, and answer."""
        self.note("returned", task)
        return self.wanted

    def enqueue(self, task: Any, priority: int) -> None:
        """Keep the call."""
        self.note("enqueue", task, priority)

    def fail_returned(self, task: Any, error: BaseException) -> None:
        """Keep the call."""
        self.note("fail_returned", task, error)

    def drop_returned(self, task: Any) -> None:
        """Keep the call."""
        self.note("drop_returned", task)

    def waiting(self) -> Sequence[FakeTask]:
        """The queue."""
        return self.queued

    def fail_queued(self, task: Any, error: BaseException) -> None:
        """Keep the call."""
        self.note("fail_queued", task, error)

    def bar(self) -> None:
        """Keep the call."""
        self.note("bar")

    def take_queued(self, most: int) -> Sequence[FakeTask]:
        """Take from the head of the queue."""
        self.note("take_queued")
        taken, self.queued = self.queued[:most], self.queued[most:]
        return taken

    def drop(self, task: Any) -> None:
        """Keep the call."""
        self.note("drop", task)

    def take_unstarted(self, most: int) -> list[tuple[Any, int]]:
        """Keep the call, and take from the queued tasks."""
        self.note("take_unstarted", most)
        taken, self.unstarted = self.unstarted[:most], self.unstarted[most:]
        return taken

    def hand_back(self, task: Any, priority: Priority) -> None:
        """Keep the call."""
        self.note("hand_back", task, priority)

    def hold_tasks(self) -> None:
        """Keep the call."""
        self.note("hold_tasks")

    def release_tasks(self) -> None:
        """Keep the call."""
        self.note("release_tasks")

    def close(self, reason: str) -> None:
        """Keep the call."""
        self.note("close", reason)

    def check_drained(self) -> None:
        """Keep the call."""
        self.note("check_drained")

    def cancel_running(self) -> None:
        """Keep the call."""
        self.note("cancel_running")

    def abandon(self, task: Any, error: BaseException) -> bool:
        """Keep the call, and answer."""
        self.note("abandon", task, error)
        return self.outcome_is_new

    def abandon_callbacks(self) -> list[str]:
        """Keep the call, and answer."""
        self.note("abandon_callbacks")
        return self.callbacks

    def refill_pool(self) -> None:
        """Keep the call."""
        self.note("refill_pool")

    def renew_pool(self) -> None:
        """Keep the call."""
        self.note("renew_pool")

    def close_pool(self) -> None:
        """Keep the call."""
        self.note("close_pool")

    def abandon_pool(self) -> None:
        """Keep the call."""
        self.note("abandon_pool")

    def finish(self) -> None:
        """Keep the call."""
        self.note("finish")


class NoWaits:
    """No worker waits."""

    moment: float | None = None

    def judge(self, now: float, *, tick: bool) -> None:
        """Do nothing."""


Script = Callable[[ev.Event], list[act.Action]]


class ScriptedSupervisor:
    """Answers each event as the script says, and shows the view that it is given."""

    def __init__(self, view: View, script: Script = lambda event: []) -> None:
        self.shown = view
        self.script = script
        self.handled: list[tuple[ev.Event, float]] = []
        self.moment: float | None = None
        """What `wakeup` answers."""

    def handle(self, event: ev.Event, now: float) -> list[act.Action]:
        """The script's actions."""
        self.handled.append((event, now))
        return self.script(event)

    def wakeup(self, now: float) -> float | None:
        """When to be woken."""
        return self.moment

    def view(self) -> View:
        """The view."""
        return self.shown


class ToyEngine(PutsOff, EngineCore[FakeWorker]):
    """An engine that does nothing but remember; its supervisor is scripted, its effects are recorded."""

    def __init__(self, script: Script = lambda event: [], **fields: Any) -> None:
        self.later: list[Callable[[], None]] = []
        self.logger = RecordingLogger()
        super().__init__(config(**{"logger": self.logger, **fields}))
        self.inline_meter = Meter()
        self.scripted = ScriptedSupervisor(self.view, script)
        self.supervisor = self.scripted  # type: ignore[assignment]
        self.effects = self  # type: ignore[assignment]
        self.backend = None
        self.waits: Any = NoWaits()
        self.pool = FakePool()
        self.over = False
        self.kept: int | None = None
        """What `ended` answers."""
        self.queue: list[list[FakeTask]] = [[], [], []]
        self.reported: list[ev.Event] = []
        self.carried_out: list[tuple[act.Action, View]] = []
        """Each action with the view that others had at its moment."""
        self.drain_checks = 0
        self.quiet = False
        self.wakeups = 0
        self.timed_out: list[tuple[str, Any, str]] = []
        """What was done about tasks whose limit has passed."""
        self.gone: list[FakeWorker] = []
        self.contexts: list[Context] = []
        """Those of the tasks that run."""
        self.watched: list[tuple[Any, Callable[[], None]]] = []

    def on_success(self, task: Any, call: Callable[[], None]) -> None:
        """Keep the call."""
        self.watched.append((task, call))

    def running_contexts(self) -> list[Context]:
        """Those that the test has put there."""
        return self.contexts

    def is_quiet(self) -> bool:
        """What the test says."""
        return self.quiet

    def check_drained(self) -> None:
        """Count the call."""
        self.drain_checks += 1

    def keep_workers(self, count: int) -> None:
        """Keep the number."""
        self.kept = count

    def wake_up(self) -> None:
        """Count the call."""
        self.wakeups += 1

    def expire(self, task: Any, error: TaskTimeout) -> None:
        """End the task."""
        self.timed_out.append(("expired", task, str(error)))
        task.ended = True

    def cancel_attempt(self, task: Any, context: Context, error: TaskTimeout) -> None:
        """Keep the call, and cancel the context."""
        self.timed_out.append(("cancelled", task, str(error)))
        context.cancel(error)

    def end_overdue(self, task: Any, error: TaskTimeout) -> None:
        """End the task."""
        self.timed_out.append(("given up", task, str(error)))
        task.ended = True

    @property
    def ended(self) -> bool:
        """As the test says."""
        return self.over

    @property
    def levels(self) -> Sequence[Sequence[Any]]:
        """The queue."""
        return self.queue

    @property
    def run_task_meter(self) -> Meter:
        """A meter that has measured nothing, or what the test says."""
        return self.inline_meter

    @property
    def urgent_tasks(self) -> int:
        """The length of the first level."""
        return len(self.queue[0])

    def left(self, worker: FakeWorker) -> None:
        """Keep the worker."""
        super().left(worker)
        self.gone.append(worker)

    def carry_out(self, action: act.Action) -> None:
        """Keep the action."""
        self.carried_out.append((action, self.view))

    def user_errors(self) -> int:
        """How many faults were counted."""
        self.counters.flow()
        return self.counters.user_errors
