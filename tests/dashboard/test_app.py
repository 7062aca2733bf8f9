"""What the application answers, and how it ends."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the extra dashboard")
pytest.importorskip("uvicorn", reason="needs the extra dashboard")

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.testclient import TestClient

from support.streams import events_of
from support.waiting import wait_until
from tasker import AsyncTaskManager, Config, ConfigError, TaskManager
from tasker.dashboard import app, serve
from tasker.dashboard.static_files import load

JSON = {"content-type": "application/json", "x-tasker": "1"}


def pool(**options: Any) -> TaskManager[object]:
    return TaskManager(
        Config(**{"name": "pool", "on_create": object, "on_destroy": lambda r: None, "worker_count": 1, **options})
    )


@pytest.fixture
def manager() -> Iterator[TaskManager[object]]:
    with pool() as made:
        yield made


def square(ctx: Any, resource: Any, number: int) -> int:
    return number * number


def test_the_numbers_are_those_of_stats(manager: Any) -> None:
    """The state has what stats() and metrics() say."""
    assert [manager.submit(square, n).result() for n in range(20)][3] == 9
    with serve(manager, port=0) as server:
        state = json.load(urllib.request.urlopen(server.url + "api/state", timeout=10))
    shown = state["managers"][0]
    assert shown["stats"]["done_tasks"] == manager.stats().done_tasks == 20
    assert shown["totals"]["completed"] == 20
    assert [one["name"] for one in shown["workers"]] == [one.name for one in manager.workers()]
    assert (shown["name"], shown["state"], shown["bounds"]) == ("pool", "running", [1, manager.config.max_worker_count])


def test_a_stream_begins_with_everything_and_goes_on_with_ticks(manager: Any) -> None:
    """Each tick has the next number; the end of the server is told."""
    with serve(manager, port=0) as server:
        stream = events_of(server.url)
        kind, first = next(stream)
        assert (kind, first["managers"][0]["name"]) == ("hello", "pool")
        ticks = [next(stream) for _ in range(2)]
        assert [kind for kind, _ in ticks] == ["tick", "tick"]
        assert [data["tick"] for _, data in ticks] == [first["tick"] + 1, first["tick"] + 2]
        assert len(ticks[1][1]["managers"][0]["points"][0]) == 1 + len(first["columns"])
        server.close()
        assert next(stream)[0] == "bye"


def test_arguments_are_shown_only_if_asked_for(manager: Any) -> None:
    """Neither they nor results are in the state otherwise."""
    import threading

    gate, began = threading.Event(), threading.Event()

    def hold(ctx: Any, resource: Any, secret: str) -> None:
        began.set()
        gate.wait(10)

    future = manager.submit(hold, "sesame")
    began.wait(10)
    try:
        for shown in (False, True):
            with serve(manager, port=0, show_arguments=shown) as server:
                text = urllib.request.urlopen(server.url + "api/state", timeout=10).read().decode()
            assert ("sesame" in text) is shown
    finally:
        gate.set()
        future.result()


def test_a_stack_of_a_worker(manager: Any) -> None:
    """Is asked for by name; a name or number that is none is an error."""
    dashboard = app(manager)
    http = TestClient(dashboard, base_url="http://localhost", client=("127.0.0.1", 1))
    try:
        name = manager.workers()[0].name
        assert "stack" in http.get("/api/stack", params={"manager": 0, "worker": name}).json()
        wrong = [
            {"manager": 0, "worker": "x"},
            {"manager": 1, "worker": name},
            {"manager": "x"},
            {"manager": -1, "worker": name},
        ]
        assert [http.get("/api/stack", params=one).status_code for one in wrong] == [404] * 4
    finally:
        dashboard.close()


def test_actions(manager: Any) -> None:
    """Each does what the method of its name does; what is wrong is told."""
    dashboard = app(manager, allow_control=True)
    http = TestClient(dashboard, base_url="http://localhost", client=("127.0.0.1", 1))

    def act(**body: Any) -> Any:
        return http.post("/api/control", json={"manager": 0, **body}, headers=JSON)

    try:
        assert act(action="resize", worker_count=2, max_worker_count=3).json() == {"done": True}
        wait_until(lambda: (manager.explain().worker_count, manager.explain().max_worker_count) == (2, 3))
        assert "max_worker_count" in act(action="resize", worker_count=9).json()["error"]
        # They return at once, and the supervisor carries them out.
        assert act(action="pause").status_code == 200
        wait_until(lambda: manager.stats().paused)
        assert act(action="resume").status_code == 200
        wait_until(lambda: not manager.stats().paused)
        assert act(action="refresh").status_code == 200
        wait_until(lambda: manager.stats().generation == 1)
        wrong = [
            {"action": "explode"},
            {"action": "resize", "worker_count": "9"},
            {"action": "pause", "manager": 7},
            {"action": "pause", "manager": None},
        ]
        assert [act(**body).status_code for body in wrong] == [409] * 4
        assert act(action="stop").status_code == 200
        manager.stop()
        assert "ShutdownError" in act(action="pause").json()["error"]
    finally:
        dashboard.close()


@pytest.mark.parametrize("path", ["/api/control", "/api/session"])
def test_a_client_that_goes_in_the_middle_of_a_body(manager: Any, path: str) -> None:
    """That is no error of the service, and nothing is carried out."""
    dashboard = app(manager, allow_control=True, token="correct-horse-battery")
    headers = {"host": "localhost", "authorization": "Bearer correct-horse-battery", **JSON}
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "http_version": "1.1",
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }
    received = iter(
        [
            {"type": "http.request", "body": b'{"action": "stop", ', "more_body": True},
            {"type": "http.disconnect"},
        ]
    )
    sent: list[Any] = []

    async def receive() -> Any:
        return next(received)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(dashboard(scope, receive, send))
    assert sent[0]["status"] == 400
    assert not manager.closed
    dashboard.close()


def test_mounted_into_an_application_of_the_same_loop() -> None:
    """An AsyncTaskManager is shown, and controlled, by a page that its own loop serves."""

    async def run() -> None:
        async def make() -> object:
            return object()

        async def drop(resource: object) -> None: ...

        config = Config(name="loop", on_create=make, on_destroy=drop, worker_count=1)
        manager: Any = AsyncTaskManager(config)
        dashboard = app(manager, allow_control=True)
        outer = Starlette(routes=[Mount("/tasks", dashboard)])
        transport = httpx.ASGITransport(outer, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.get("/tasks/api/state")).json()["managers"][0]["state"] == "not started"
            async with manager:
                async with asyncio.timeout(20):
                    while (await http.get("/tasks/api/state")).json()["managers"][0]["state"] != "running":
                        await asyncio.sleep(0.1)
                assert "tasker" in (await http.get("/tasks/")).text
                body = {"manager": 0, "action": "resize", "worker_count": 2}
                assert (await http.post("/tasks/api/control", json=body, headers=JSON)).json() == {"done": True}
                assert manager.explain().worker_count == 2
                assert (
                    await http.post("/tasks/api/control", json={"manager": 0, "action": "stop"}, headers=JSON)
                ).json()
                await manager.stop()
        dashboard.close()

    asyncio.run(run())


def test_the_port_is_free_after_close(manager: Any) -> None:
    """And taken before; closing twice is harmless."""
    server = serve(manager, port=0)
    with pytest.raises(OSError, match="in use"):
        serve(manager, port=server.port)
    server.close()
    server.close()
    assert server.wait(5)
    socket.create_server(("127.0.0.1", server.port)).close()


def test_a_manager_that_cannot_be_read_at_first(manager: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where its event loop is stuck: nothing is left of the attempt, however often, and a later one succeeds."""
    ports, listening = [], socket.create_server

    def noted(*args: Any, **options: Any) -> Any:
        ports.append(listening(*args, **options))
        return ports[-1]

    def too_busy() -> None:
        raise RuntimeError("the event loop of the manager did not answer within 5 seconds")

    monkeypatch.setattr(socket, "create_server", noted)
    with pool(name="stuck") as stuck:
        dashboard = app(manager, stuck)
        with monkeypatch.context() as patch:
            patch.setattr(stuck, "stats", too_busy)
            for _ in range(2):
                with pytest.raises(RuntimeError, match="did not answer"):
                    serve(manager, stuck, port=0)
                with pytest.raises(RuntimeError, match="did not answer"):
                    dashboard.sampler.start()
            assert [port.fileno() for port in ports] == [-1, -1]
            manager.submit(square, 3).result()
            teller = manager._engine.hooks.teller
            assert teller is None or all(feed.over for feed in teller.feeds)
        dashboard.sampler.start()
        assert dashboard.sampler.hello()[0] == 1
        dashboard.close()


def test_the_address_with_a_token(manager: Any) -> None:
    """Has it as a fragment, which browsers do not send."""
    with serve(manager, port=0, token="correct-horse-battery") as server:
        assert server.url == f"http://127.0.0.1:{server.port}/"
        assert server.url_with_token == server.url + "#token=correct-horse-battery"
        assert "correct" not in repr(server)


@pytest.mark.parametrize("managers", [(), (object(),)])
def test_not_managers(managers: Any) -> None:
    """Is an error at once."""
    with pytest.raises(ConfigError, match="dashboard"):
        app(*managers)


def test_all_files_are_there() -> None:
    """And no other name is served."""
    assert {"index.html", "app.js", "style.css", "uplot.js", "uplot.css"} <= set(load())
    assert "uplot.LICENSE" not in load()


PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # which is ignored in what a shell runs in the background
from tasker import Config, TaskManager
from tasker.dashboard import serve
with TaskManager(Config(name="pool", on_create=object, on_destroy=lambda r: None, worker_count=1)) as manager, serve(manager, port=0) as server:
    print(server.url, flush=True)
    server.wait()
"""


def test_ctrl_c_ends_at_once_while_a_page_is_connected() -> None:
    """The signal is the program's; the stream of the page does not hold it up."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        stream = events_of(process.stdout.readline().strip())
        assert next(stream)[0] == "hello"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=20)
    finally:
        process.kill()
        process.communicate()
    assert time.monotonic() - began < 3
    assert "KeyboardInterrupt" in errors
    assert [kind for kind, _ in stream][-1:] == ["bye"]
