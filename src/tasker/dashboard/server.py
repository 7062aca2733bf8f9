"""``serve``: the dashboard on a port of its own, by uvicorn in a thread."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator, Sequence
from types import TracebackType
from typing import Self

import uvicorn

from tasker.core.checks import check_timeout
from tasker.core.daemon import Daemon
from tasker.core.flag import Flag
from tasker.errors import ConfigError
from tasker.watch.reading import Watched

from .app import Dashboard, checked_managers
from .options import LOOPBACK, Options, checked_flag, checked_hosts, checked_token, is_loopback

DEFAULT_PORT = 8321
_GRACE_S = 2.0


class _Server(uvicorn.Server):
    """Leaves all signals to the program."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


class DashboardServer:
    """A dashboard that is being served; what ``serve`` returns. As a context manager, it is closed at the end of the block.
    Thread-safe."""

    def __init__(self, dashboard: Dashboard, listener: socket.socket, token: str | None) -> None:
        self._dashboard = dashboard
        self._token = token
        host, port = listener.getsockname()[:2]
        self.host: str = host
        self.port: int = port
        config = uvicorn.Config(
            dashboard,
            log_config=None,  # uvicorn would set up the loggers of the whole program
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            timeout_graceful_shutdown=1,
        )
        self._server = _Server(config)
        self._ended = Flag()
        dashboard.sampler.start()
        Daemon(lambda: self._serve(listener), "tasker-dashboard").start()

    def _serve(self, listener: socket.socket) -> None:
        try:
            self._server.run(sockets=[listener])
        finally:
            listener.close()
            self._ended.set()

    @property
    def url(self) -> str:
        """Where the page is."""
        host = "127.0.0.1" if self.host == "0.0.0.0" else "::1" if self.host == "::" else self.host  # noqa: S104  not bound here
        return f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"

    @property
    def url_with_token(self) -> str:
        """The same with the token as a fragment, which browsers don't send: the page exchanges it for a session and removes it
        from the address. Equal to ``url`` if there is no token."""
        return self.url if self._token is None else f"{self.url}#token={self._token}"

    def wait(self, timeout: float | None = None) -> bool:
        """Waits up to ``timeout`` seconds (None: no limit) until it was closed. Returns whether it was. Ctrl-C ends the wait at
        once. Raises ``ValueError`` for a wrong timeout."""
        check_timeout(timeout)
        return self._ended.wait(timeout)

    def close(self) -> None:
        """Ends the server: pages are told, and the port is free afterwards. The managers go on. Harmless if repeated."""
        self._dashboard.close()
        self._server.should_exit = True
        if not self._ended.wait(_GRACE_S):
            self._server.force_exit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<DashboardServer {self.url}>"


class Opening:
    """A port that was taken for a dashboard that is served later. Raises as ``serve`` does."""

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        token: str | None = None,
        allowed_hosts: Sequence[str] = (),
        allow_control: bool = False,
        show_arguments: bool = False,
    ) -> None:
        if not isinstance(host, str) or not host:
            raise ConfigError(f"host must be an address or a name, got {host!r}")
        if isinstance(port, bool) or not isinstance(port, int) or not 0 <= port < 65536:
            raise ConfigError(f"port must be an integer from 0 to 65535, got {port!r}")
        alone = is_loopback(host)
        self._token = secret = checked_token(token)
        if secret is None and not alone:
            raise ConfigError(f"host {host!r} is not this machine alone: that needs a token")
        self._options = Options(
            token=secret,
            allowed_hosts=(
                *LOOPBACK,
                host.lower(),
                *(() if alone else (socket.gethostname().lower(),)),
                *checked_hosts(allowed_hosts),
            ),
            any_address=not alone,
            allow_control=checked_flag("allow_control", allow_control),
            show_arguments=checked_flag("show_arguments", show_arguments),
        )
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, port), family=family)

    def serve(self, managers: Sequence[Watched]) -> DashboardServer:
        """Serves the dashboard of these managers from now on."""
        try:
            return DashboardServer(Dashboard(managers, self._options), self._listener, self._token)
        except BaseException:  # a manager can't be read, say
            self.close()
            raise

    def close(self) -> None:
        """Gives the port back, if nothing is served."""
        self._listener.close()


def serve(
    *managers: Watched,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    token: str | None = None,
    allowed_hosts: Sequence[str] = (),
    allow_control: bool = False,
    show_arguments: bool = False,
) -> DashboardServer:
    """Serves the dashboard of some managers, in a thread of its own, and returns at once. The page is at ``url`` of what it
    returns, until that is closed or the program ends.

    ``host``: the address to listen on. Another one than the loopback demands a token.
    ``port``: 0 takes a free one.
    ``token``: text of at least 16 characters that whoever wants to see it has to know.
    ``allowed_hosts``: further host names, without ports, under which it is reached.
    ``allow_control``: whether the page can resize, refresh, pause, resume and stop the managers.
    ``show_arguments``: whether the arguments of running tasks are shown, shortened.

    Raises ``ConfigError`` for a wrong value, and ``OSError`` if the port is in use.
    """
    checked = checked_managers(managers)
    return Opening(host, port, token, allowed_hosts, allow_control, show_arguments).serve(checked)
