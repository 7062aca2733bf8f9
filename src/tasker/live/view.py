"""LiveView: what ``manager.live()`` returns. A thread reads the manager and draws; the pool does nothing for it."""

from __future__ import annotations

import atexit
import logging
import math
import os
import sys
import time
from types import TracebackType
from typing import Self, TextIO

from tasker.core.checks import check_timeout
from tasker.core.daemon import Daemon
from tasker.core.flag import Flag
from tasker.watch.frame import Frame, frame_of
from tasker.watch.pacing import pause
from tasker.watch.reading import Watched
from tasker.watch.watch import PoolWatch

from .painters import Above, LinePainter, Painter, ScreenPainter
from .redirect import can_draw

_log = logging.getLogger("tasker.live")
DRAWN_EVERY = 0.5
WRITTEN_EVERY = 5.0
_GRACE_S = 2.0
_drawing: dict[str, object] = {}
"""The view that is on the terminal of this program, if there is one."""


class LiveView:
    """A manager that is shown, from ``manager.live()`` on until this is closed or the manager has ended. As a context manager,
    plain or asynchronous, it is closed at the end of the block. Thread-safe.

    The thread that draws also leaves the terminal as it was, so Ctrl-C in the program can't come between.
    """

    def __init__(self, watch: PoolWatch, painter: Painter, interval: float, *, arguments: bool) -> None:
        self._watch = watch
        self._painter = painter
        self._interval = interval
        self._arguments = arguments
        self._stop = Flag()
        self._ended = Flag()
        self._process = os.getpid()
        self._failed = False
        atexit.register(self.close)
        Daemon(self._run, f"{watch.manager.name}-live").start()

    def note(self, text: str) -> None:
        """Prints a line above the view."""
        try:
            self._painter.note(text)
        except (OSError, ValueError):
            pass  # the terminal is gone

    def wait(self, timeout: float | None = None) -> bool:
        """Waits up to ``timeout`` seconds (None: no limit) until the view has ended: it was closed, or the manager has ended.
        Returns whether it has. Raises ``ValueError`` for a wrong timeout."""
        check_timeout(timeout)
        return self._ended.wait(timeout)

    @property
    def closed(self) -> bool:
        """Whether the view has ended, and the terminal is as it was."""
        return self._ended.is_set()

    def close(self) -> None:
        """Draws the last state, and leaves the terminal as it was. Waits for that, two seconds at most. Harmless if repeated."""
        self._stop.set()
        if os.getpid() != self._process:
            return
        try:
            self._ended.wait(_GRACE_S)
        except BaseException:  # Ctrl-C; the program may end at once, and the terminal has to be as it was before that
            self._ended.wait(_GRACE_S)
            raise

    # -- the thread -----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._painter.start()
            self._draw_until_over()
        except (OSError, ValueError):
            _log.debug("the view ends, because its terminal or file is gone", exc_info=True)
        except Exception:
            _log.exception("the view ends, because it could not be drawn")
        finally:
            self._tidy_up()

    def _draw_until_over(self) -> None:
        over = False
        while not over:
            began, spent = time.monotonic(), time.thread_time()
            # Before the reading: whatever happens until `close` is called is in the last frame.
            over = self._stop.is_set()
            frame = self._read()
            cost = time.thread_time() - spent  # of the reading: what a drawing costs is bounded by the screen
            if frame is not None:
                self._painter.show(frame)
            over = over or self._watch.ended
            if not over:
                self._stop.wait(pause(self._interval, time.monotonic() - began, cost))

    def _read(self) -> Frame | None:
        try:
            self._watch.sample()
            return frame_of(self._watch, arguments=self._arguments)
        except Exception:  # a loop that is too busy to answer; the next frame may be better
            if not self._failed:
                _log.exception("a manager could not be read for its live view")
            self._failed = True
            return None

    def _tidy_up(self) -> None:
        try:
            self._painter.finish()
        except Exception:  # the terminal is gone
            _log.debug("the terminal could not be restored", exc_info=True)
        finally:
            self._watch.close()
            _release(self._painter)
            atexit.unregister(self.close)
            self._ended.set()

    # -- as a context manager -------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        import asyncio  # noqa: PLC0415  there already: this is a coroutine

        # Not in the loop, which the thread may have to ask.
        await asyncio.get_running_loop().run_in_executor(None, self.close)


def live(
    manager: Watched,
    *,
    file: TextIO | None = None,
    interval: float | None = None,
    arguments: bool = False,
    above: Above = lambda look: (),
    transient: bool = False,
) -> LiveView:
    """Shows a manager; see ``TaskManager.live``. ``above``: makes lines that are drawn above those of the manager, in the thread
    that draws; ``transient``: whether the view is gone from the terminal at its end."""
    stream = sys.stdout if file is None else file
    if stream is None or not hasattr(stream, "write"):
        raise TypeError(f"file must be a text stream, got {stream!r}")
    every = _checked_interval(interval)
    if not can_draw(stream):
        painter: Painter = LinePainter(stream)
        return LiveView(PoolWatch(manager), painter, every or WRITTEN_EVERY, arguments=arguments)
    painter = ScreenPainter(stream, above, transient=transient)
    if _drawing.setdefault("terminal", painter) is not painter:
        raise RuntimeError("there is a live view on the terminal already: close it first")
    try:
        return LiveView(PoolWatch(manager), painter, every or DRAWN_EVERY, arguments=arguments)
    except BaseException:
        _release(painter)
        raise


def _release(painter: Painter) -> None:
    if _drawing.get("terminal") is painter:
        del _drawing["terminal"]


def _checked_interval(interval: object) -> float | None:
    """Returns the seconds between two frames. Raises ``ValueError`` for what is neither None nor a positive number."""
    if interval is None:
        return None
    if isinstance(interval, bool) or not isinstance(interval, int | float) or not 0 < interval < math.inf:
        raise ValueError(f"interval must be a positive number of seconds or None, got {interval!r}")
    return float(interval)
