"""What shows a run while it goes on, besides the progress: the live view (--live) and the dashboard (--dashboard)."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tasker import ConfigError, TaskManager
from tasker.cli.exit_codes import UsageError
from tasker.watch.reading import Watched

from .arguments import RunOptions
from .progress import Reporter, can_be_drawn, print_stderr, reporter_for
from .run_stats import RunStats
from .watched_run import ItemNumbers, PublishingReporter, WatchedRun

if TYPE_CHECKING:
    from tasker.dashboard.server import DashboardServer, Opening

TOKEN_VARIABLE = "TASKER_DASHBOARD_TOKEN"  # noqa: S105  where the token is, and not what it is


class Views:
    """The views of a run. As a context manager, what was opened is closed at the end. Raises ``UsageError`` for what can't be
    shown: before the run, which is to leave all files as they are then."""

    def __init__(self, options: RunOptions) -> None:
        self._options = options
        self._opening: Opening | None = None
        self._server: DashboardServer | None = None
        if options.live:
            _check_live()
        if options.dashboard is not None:
            self._opening = _open(*options.dashboard)

    def begin(self, manager: TaskManager[Any], run_stats: RunStats, results: int) -> Reporter:
        """Begins to show a run; returns what reports its progress. ``results``: the descriptor to which results are written."""
        options = self._options
        if not options.live and self._opening is None:
            return reporter_for(options.quiet, options.progress_interval, results)
        numbers = ItemNumbers(manager, run_stats) if options.has_lanes else None
        watched: Watched = WatchedRun(manager) if numbers is None else numbers
        if self._opening is not None:
            self._server = self._opening.serve([watched])
            if not options.quiet:
                print_stderr(f"tasker run: dashboard at {self._server.url}")
        reporter = self._reporter(watched, results)
        return reporter if numbers is None else PublishingReporter(reporter, numbers)

    def _reporter(self, watched: Watched, results: int) -> Reporter:
        if self._options.live and can_be_drawn(results):
            from .live_reporter import LiveReporter  # not at the top: it needs an extra

            return LiveReporter(watched)
        return reporter_for(self._options.quiet, self._options.progress_interval, results)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._server is not None:
            self._server.close()
        elif self._opening is not None:
            self._opening.close()


def _check_live() -> None:
    try:
        import tasker.live  # noqa: F401  whether it is there
    except ConfigError as error:
        raise UsageError(f"--live: {error}") from None
    except ImportError as error:
        raise UsageError(f"--live: rich can't be imported: {error}") from None


def _open(host: str | None, port: int | None) -> Opening:
    try:
        from tasker.dashboard.options import is_loopback
        from tasker.dashboard.server import DEFAULT_PORT, Opening
    except (ConfigError, ImportError) as error:
        raise UsageError(f"--dashboard: {error}") from None
    host, port = host or "127.0.0.1", DEFAULT_PORT if port is None else port
    token = os.environ.get(TOKEN_VARIABLE) or None
    if token is None and not is_loopback(host):
        raise UsageError(f"--dashboard {host}: others than this machine need a token, in {TOKEN_VARIABLE}")
    try:
        return Opening(host, port, token)
    except ConfigError as error:
        raise UsageError(f"--dashboard: {error}") from None
    except (OSError, UnicodeError) as error:
        raise UsageError(f"--dashboard: cannot listen on {host}, port {port}: {error}") from None
