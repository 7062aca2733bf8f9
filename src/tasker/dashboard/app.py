"""The dashboard as an ASGI application: its routes, behind the guard of ``security``."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

from starlette.applications import Starlette
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from tasker.errors import ConfigError
from tasker.watch.reading import Watched

from .control import ControlError, carry_out
from .options import LOOPBACK, Options, checked_flag, checked_hosts, checked_token, is_loopback
from .sampler import Sampler
from .security import COOKIE, HEADERS, SESSION_S, Guard, Rejected
from .static_files import load

_MOST_BODY = 10_000


class Dashboard:
    """An ASGI application; what ``app`` returns. Thread-safe."""

    def __init__(self, managers: Sequence[Watched], options: Options) -> None:
        self._options = options
        self._guard = Guard(options)
        self.sampler: Sampler = Sampler(managers, arguments=options.show_arguments)
        self._files = load()
        self._routes = Starlette(
            routes=[
                Route("/", self._page),
                Route("/static/{name}", self._static),
                Route("/api/session", self._session, methods=["GET", "POST"]),
                Route("/api/state", self._state),
                Route("/api/live", self._live),
                Route("/api/stack", self._stack),
                Route("/api/control", self._control, methods=["POST"]),
            ],
            exception_handlers={Rejected: _rejected},
        )

    def close(self) -> None:
        """Ends the sampling and all streams. The managers go on. Harmless if repeated."""
        self.sampler.close()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._routes(scope, receive, send)
        elif scope["type"] == "http":
            await self._guarded(scope, receive, _with_headers(send))

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        client = scope.get("client")
        try:
            self._guard.check_place(Headers(scope=scope), client[0] if client else None)
        except Rejected as error:
            await _rejected(None, error)(scope, receive, send)
            return
        await self._routes(scope, receive, send)

    # -- what holds no data ---------------------------------------------------------------------------------------

    async def _page(self, request: Request) -> Response:
        return self._files["index.html"].response()

    async def _static(self, request: Request) -> Response:
        file = self._files.get(request.path_params["name"])
        return Response(status_code=404) if file is None else file.response()

    async def _session(self, request: Request) -> Response:
        """GET: says whether a token is needed. POST: exchanges one for a session."""
        if request.method == "POST":
            return await self._begin_session(request)
        return JSONResponse(
            {"authorized": self._may_read(request), "control": self._options.allow_control},
        )

    async def _begin_session(self, request: Request) -> Response:
        self._guard.check_change(request.headers)
        given = (await _body(request)).get("token")
        if not self._guard.wants_token:
            return JSONResponse({"authorized": True})
        if not isinstance(given, str) or not self._guard.is_token(given):
            raise Rejected(401, "this is not the token")
        response = JSONResponse({"authorized": True})
        response.set_cookie(
            COOKIE,
            self._guard.new_session(time.time()),
            max_age=SESSION_S,
            path=request.scope.get("root_path") or "/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    def _may_read(self, request: Request) -> bool:
        try:
            self._check_reader(request)
        except Rejected:
            return False
        return True

    def _check_reader(self, request: Request) -> None:
        self._guard.check_reader(request.headers, request.cookies.get(COOKIE, ""), time.time())

    # -- data -----------------------------------------------------------------------------------------------------

    async def _state(self, request: Request) -> Response:
        self._check_reader(request)
        await asyncio.to_thread(self.sampler.start)
        _, data = await asyncio.to_thread(self.sampler.hello)
        return Response(data, media_type="application/json")

    async def _live(self, request: Request) -> Response:
        self._check_reader(request)
        await asyncio.to_thread(self.sampler.start)
        return StreamingResponse(self._events(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    async def _events(self) -> AsyncIterator[bytes]:
        sampler = self.sampler
        wakeup = asyncio.Event()
        loop = asyncio.get_running_loop()
        unlisten = sampler.listen(lambda: _wake(loop, wakeup))
        number = -1
        try:
            while True:  # docs/decisions/0043
                if sampler.closed:
                    break
                latest, data = sampler.latest
                if latest == number + 1 and data:
                    number = latest
                    yield _event("tick", data)
                elif latest != number:  # the first one, or this client is slow and has missed some
                    number, data = await asyncio.to_thread(sampler.hello)
                    yield _event("hello", data)
                await wakeup.wait()
                wakeup.clear()
            yield _event("bye", b"{}")
        finally:
            unlisten()

    async def _stack(self, request: Request) -> Response:
        self._check_reader(request)
        try:
            manager = self.sampler.manager(int(request.query_params.get("manager", "")))
            stack = await asyncio.to_thread(manager.worker_stack, request.query_params.get("worker", ""))
        except (ValueError, LookupError) as error:
            return JSONResponse({"error": str(error)}, 404)
        return JSONResponse({"stack": stack})

    async def _control(self, request: Request) -> Response:
        self._check_reader(request)
        self._guard.check_control(request.headers)
        body = await _body(request)
        number = body.get("manager")
        try:
            manager = self.sampler.manager(number if isinstance(number, int) else -1)
            await carry_out(manager, body)
        except (LookupError, ControlError) as error:
            return JSONResponse({"error": str(error)}, 409)
        return JSONResponse({"done": True})


def _event(kind: str, data: bytes) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def _wake(loop: asyncio.AbstractEventLoop, wakeup: asyncio.Event) -> None:
    try:
        loop.call_soon_threadsafe(wakeup.set)
    except RuntimeError:
        pass  # the loop was closed in the meantime


async def _body(request: Request) -> dict[str, Any]:
    """Returns a small JSON object."""
    data = b""
    try:
        async for chunk in request.stream():
            data += chunk
            if len(data) > _MOST_BODY:
                raise Rejected(413, "the body is too long")
    except ClientDisconnect:  # no fault of the service, which would log it as one
        raise Rejected(400, "the body was not sent to its end") from None
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise Rejected(400, "the body has to be a JSON object")
    return value


def _rejected(request: Request | None, error: Exception) -> Response:
    assert isinstance(error, Rejected)
    return JSONResponse({"error": str(error)}, error.status)


def _with_headers(send: Send) -> Callable[[Message], Awaitable[None]]:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message).update(HEADERS)
        await send(message)

    return sending


def app(
    *managers: Watched,
    token: str | None = None,
    allowed_hosts: Sequence[str] | None = None,
    authenticated: bool = False,
    allow_control: bool = False,
    show_arguments: bool = False,
) -> Dashboard:
    """Returns the dashboard of some managers as an ASGI application, to be mounted into a service of your own. It begins to
    sample with the first request, in a thread of its own, and never in your loop.

    ``token``: text of at least 16 characters that whoever wants to see it has to know.
    ``allowed_hosts``: the host names, without ports, under which it may be reached; by default ``localhost`` and the addresses of
    the loopback. Another one needs a token, or ``authenticated``.
    ``authenticated``: the service around it lets nobody through who must not see it. Without this and without a token, only
    requests from this machine are answered.
    ``allow_control``: whether the page can resize, refresh, pause, resume and stop the managers.
    ``show_arguments``: whether the arguments of running tasks are shown, shortened.

    Raises ``ConfigError`` for a wrong value.
    """
    hosts = LOOPBACK if allowed_hosts is None else checked_hosts(allowed_hosts)
    options = Options(
        token=checked_token(token),
        allowed_hosts=hosts,
        authenticated=checked_flag("authenticated", authenticated),
        allow_control=checked_flag("allow_control", allow_control),
        show_arguments=checked_flag("show_arguments", show_arguments),
    )
    strangers = [host for host in hosts if not is_loopback(host)]
    if strangers and options.token is None and not authenticated:
        raise ConfigError(f"allowed_hosts has {strangers[0]!r}: that needs a token, or authenticated=True")
    return Dashboard(checked_managers(managers), options)


def checked_managers(managers: Sequence[Any]) -> Sequence[Watched]:
    """Returns the managers. Raises ``ConfigError`` if there are none, or one is not a manager."""
    if not managers:
        raise ConfigError("a dashboard needs at least one manager")
    for one in managers:
        if not all(hasattr(one, name) for name in ("_engine", "stats", "workers", "explain")):
            raise ConfigError(f"a dashboard shows TaskManagers and AsyncTaskManagers, got {one!r}")
    return managers
