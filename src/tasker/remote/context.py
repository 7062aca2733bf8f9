"""The ``Context`` of a task that runs in a session, as this process has it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from tasker.context import Cause, Context, nothing_due
from tasker.errors import TaskKilled

from .errand import interruptible
from .graces import graces
from .session import Session

PATIENCE = 1.0
"""Seconds between terminating a session and killing it."""


class RemoteContext(Context):
    """Cancelling it cancels the task's context in the session; a task that does not heed that is cut off after the grace."""

    __slots__ = ("_session", "number")

    def __init__(self, parent: Context, session: Session, number: int) -> None:
        super().__init__(parent)
        self._session: Session = session
        self.number: int = number

    def _strike(self, cause: Cause) -> Callable[[], None]:
        if self._cause is not None:
            return nothing_due
        callbacks = super()._strike(cause)
        try:
            self._tell()
        except BaseException:  # Ctrl-C, or no memory: what is due is called all the same
            callbacks()
            raise
        return callbacks

    def _tell(self) -> None:
        fired: BaseException | None = self._cause
        assert fired is not None
        if self._session.held() or interruptible():
            # In another thread, which waits until the session may be used again, and in which Ctrl-C cannot strike before all
            # of the order is sent.
            graces.soon(partial(self._session.cancel, self.number, fired))
        else:
            self._session.cancel(self.number, fired)
        if not isinstance(fired, TaskKilled):  # a kill has a deadline of its own
            self._session.cut_off_after(self._session.grace, self.number, PATIENCE)


def cancelled_there(context: Context, error: BaseException) -> None:
    """Cancels the context of a task that has cancelled it itself, in its session: that is not told of it."""
    Context._strike(context, error)()
