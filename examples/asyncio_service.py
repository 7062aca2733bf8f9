"""A web service whose requests share a few PostgreSQL connections, and which refuses excess load early.

The manager of the connections lives as long as the application, whose `lifespan` owns it. Queries run on four connections, and
eight more may wait. Further requests get a 503 at once, instead of a place in an endless queue. The health check bypasses the
queue. Connections that the server drops are replaced, and their queries run again.

Run it with: pip install starlette httpx asyncpg pgserver && python examples/asyncio_service.py
(the example sends the requests itself; for a real service, pass `app(database)` to uvicorn).
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import asyncpg
import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from tasker import AsyncTaskManager, Config, Context, Priority, QueueFull

Connection: TypeAlias = Any  # asyncpg has no types of its own

LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,  # the server closed the connection
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the connection was closing when the query arrived
    OSError,
)


def is_healthy(error: BaseException) -> bool:
    """Blames the connection if it was lost or closed by the server, and the query for a wrong statement."""
    return not isinstance(error, LOST)


def is_open(connection: Connection) -> bool:
    """Finds a connection that the server closed while it was idle, so that no query loses an attempt on it."""
    return not connection.is_closed()


async def read_item(_ctx: Context, connection: Connection, item: int) -> dict[str, Any]:
    """Runs a query that takes the database a while."""
    name = await connection.fetchval("SELECT name FROM items, pg_sleep(0.02) WHERE id = $1", item)
    return {"item": item, "name": name, "backend": connection.get_server_pid()}


async def get_item(request: Request) -> JSONResponse:
    """Answers a request; if the client disconnects, its query is cancelled, as usual in asyncio."""
    manager: AsyncTaskManager[Connection] = request.state.manager
    urgent = "urgent" in request.query_params
    try:
        found = await manager.queue_task(
            read_item, request.path_params["item"], priority=Priority.HIGH if urgent else Priority.NORMAL, block=False
        )
    except QueueFull:
        return JSONResponse({"error": "busy"}, status_code=503, headers={"Retry-After": "1"})
    return JSONResponse(found, status_code=200 if found["name"] else 404)


async def health(request: Request) -> JSONResponse:
    """Queries the database at once, without the queue, on a connection reserved for `run_task`."""

    async def ask(_ctx: Context, connection: Connection) -> int:
        return await connection.fetchval("SELECT count(*) FROM items")  # type: ignore[no-any-return]

    manager: AsyncTaskManager[Connection] = request.state.manager
    return JSONResponse({"items": await manager.run_task(ask), "queued": manager.stats().queued_tasks})


def app(database: str) -> Starlette:
    """Returns the application for a database."""

    async def connect() -> Connection:
        return await asyncpg.connect(database, server_settings={"application_name": "service"})

    async def close(connection: Connection) -> None:
        await connection.close(timeout=1)

    config: Config[Connection] = Config(
        on_create=connect,
        on_destroy=close,
        check_health=is_healthy,
        check_resource=is_open,
        check_after_idle=0,  # it asks nobody, so it may run before each query
        worker_count=4,
        burst_interval=0,
        resource_pool_size=1,
        max_queue_size=8,
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[dict[str, Any]]:
        async with AsyncTaskManager(config) as manager:  # on exit, all accepted queries still run
            yield {"manager": manager}
        print("resources:", manager.stats().resources)

    return Starlette(routes=[Route("/items/{item:int}", get_item), Route("/health", health)], lifespan=lifespan)


@contextmanager
def local_database() -> Iterator[str]:
    """Starts a PostgreSQL server in a temporary folder; yields its URI."""
    with tempfile.TemporaryDirectory(prefix="tasker-pg-") as folder:
        Path(folder, "lock").mkdir(mode=0o700)
        os.environ.setdefault("XDG_RUNTIME_DIR", str(Path(folder, "lock")))  # pgserver keeps its lock there
        import pgserver  # noqa: PLC0415 - reads the variable above on import

        server = pgserver.get_server(Path(folder, "data"), cleanup_mode="delete")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


async def use(database: str) -> None:
    """Puts items into the database, starts the service and sends it requests."""
    admin = await asyncpg.connect(database)
    await admin.execute("CREATE TABLE items AS SELECT id, 'item ' || id AS name FROM generate_series(1, 100) id")
    service = app(database)
    async with (
        service.router.lifespan_context(service) as state,
        httpx.AsyncClient(
            transport=httpx.ASGITransport(with_state(service, state)), base_url="http://service"
        ) as client,
    ):
        await ask(client, admin)
    print("connections still open on the server:", await connections(admin))
    await admin.close()


async def ask(client: httpx.AsyncClient, admin: Connection) -> None:
    """Sends the requests and prints the answers."""
    print(
        "one after the other:",
        (await client.get("/items/7")).json()["name"],
        (await client.get("/items/0")).status_code,
    )

    crowd = [asyncio.create_task(client.get(f"/items/{item}")) for item in range(1, 61)]
    answers, healthy = await asyncio.gather(asyncio.gather(*crowd), client.get("/health"))
    statuses = Counter(answer.status_code for answer in answers)
    print(f"60 at once: {statuses[200]} answered, {statuses[503]} told to come again")
    print(
        "connections that answered:", len({answer.json()["backend"] for answer in answers if answer.status_code == 200})
    )
    print("asked past the queue:", healthy.json()["items"], "items")

    running = [asyncio.create_task(client.get(f"/items/{n}")) for n in range(1, 5)]
    await asyncio.sleep(0.01)
    dropped = await admin.fetch(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'service' AND state = 'active'"
    )
    answers = await asyncio.gather(*running)
    print(f"connections dropped: {len(dropped)}, answers: {[answer.status_code for answer in answers]}")


def with_state(service: Starlette, state: Any) -> Any:
    """Passes the state of the lifespan to each request, as a server does."""

    async def call(scope: Any, receive: Any, send: Any) -> None:
        await service({**scope, "state": dict(state)}, receive, send)

    return call


async def connections(admin: Connection) -> int:
    """Returns how many connections the service has on the server, which needs a moment to forget a closed one."""
    left = 0
    for _ in range(50):
        left = await admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'service'")
        if not left:
            break
        await asyncio.sleep(0.05)
    return left


if __name__ == "__main__":
    with local_database() as uri:
        asyncio.run(use(uri))
