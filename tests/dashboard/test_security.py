"""Who gets an answer: hosts, origins, tokens, sessions, what changes something. Through the whole application."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("starlette", reason="needs the extra dashboard")
pytest.importorskip("uvicorn", reason="needs the extra dashboard")

from starlette.testclient import TestClient

from support.waiting import wait_until
from tasker import Config, ConfigError, TaskManager
from tasker.dashboard import app, serve
from tasker.dashboard.app import Dashboard
from tasker.dashboard.options import Options
from tasker.dashboard.security import COOKIE, SESSION_S, Guard

TOKEN = "correct-horse-battery"
JSON = {"content-type": "application/json", "x-tasker": "1"}


@pytest.fixture
def manager() -> Iterator[Any]:
    with TaskManager(Config(name="pool", on_create=object, on_destroy=lambda r: None, worker_count=1)) as made:
        yield made


@pytest.fixture
def opened() -> Iterator[list[Dashboard]]:
    made: list[Dashboard] = []
    yield made
    for one in made:
        one.close()


def client(
    opened: list[Dashboard], *managers: Any, host: str = "localhost:8000", peer: str = "127.0.0.1", **options: Any
) -> TestClient:
    opened.append(app(*managers, **options))
    return TestClient(opened[-1], base_url=f"http://{host}", client=(peer, 50000))


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:99", "[::1]:8000", "LOCALHOST"])
def test_a_known_host_is_answered(manager: Any, opened: list[Dashboard], host: str) -> None:
    """Names of the loopback are, with any port."""
    assert client(opened, manager).get("/api/state", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "10.0.0.1", "", "[", "a@localhost:80x"]
)
@pytest.mark.parametrize("path", ["/", "/api/state", "/static/app.js"])
def test_an_unknown_host_gets_nothing(manager: Any, opened: list[Dashboard], host: str, path: str) -> None:
    """So a name that was rebound to this machine shows nothing to the page that did so."""
    assert client(opened, manager).get(path, headers={"host": host}).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"origin": "http://localhost:8000"}, 200),
        ({"origin": "http://localhost:9000"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://["}, 403),
        ({"sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}, 403),
        ({"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}, 403),
    ],
)
def test_other_origins_get_nothing(manager: Any, opened: list[Dashboard], headers: dict[str, str], status: int) -> None:
    """A page of another origin cannot read."""
    assert client(opened, manager).get("/api/state", headers=headers).status_code == status


def test_a_link_from_elsewhere_opens_the_page(manager: Any, opened: list[Dashboard]) -> None:
    """It holds no data."""
    headers = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert client(opened, manager).get("/", headers=headers).status_code == 200


@pytest.mark.parametrize(("options", "status"), [({}, 403), ({"authenticated": True}, 200), ({"token": TOKEN}, 200)])
def test_another_machine_needs_a_token(manager: Any, opened: list[Dashboard], options: Any, status: int) -> None:
    """Or a service around the application that answers for it."""
    assert client(opened, manager, peer="10.0.0.7", **options).get("/").status_code == status


def test_each_answer_has_the_headers(manager: Any, opened: list[Dashboard]) -> None:
    """Errors and rejections as well; the policy allows no inline script."""
    http = client(opened, manager)
    for answer in (http.get("/"), http.get("/nowhere"), http.get("/", headers={"host": "evil.example"})):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"


def test_the_page_has_no_inline_script_or_style(manager: Any, opened: list[Dashboard]) -> None:
    """Or the policy would break it."""
    page = client(opened, manager).get("/").text
    assert page.count("<script") == page.count("<script src=") == 2
    assert "style=" not in page
    assert "onclick" not in page


@pytest.mark.parametrize("path", ["/api/state", "/api/live", "/api/stack?manager=0&worker=pool-1"])
def test_data_needs_the_token(manager: Any, opened: list[Dashboard], path: str) -> None:
    """Without one, with a wrong one, and with a wrong session."""
    http = client(opened, manager, token=TOKEN)
    wrong = [
        {},
        {"authorization": f"Bearer {TOKEN}x"},
        {"authorization": "Bearer ü".encode("latin-1")},
        {"cookie": f"{COOKIE}=9999999999.a.b"},
    ]
    assert [http.get(path, headers=headers).status_code for headers in wrong] == [401] * 4
    assert http.get("/api/session").json() == {"authorized": False, "control": False}


def test_a_token_is_exchanged_for_a_session(manager: Any, opened: list[Dashboard]) -> None:
    """In a cookie that no script and no other site can use; the token is in no answer."""
    http = client(opened, manager, token=TOKEN)
    assert http.post("/api/session", json={"token": "wrong"}, headers=JSON).status_code == 401
    assert http.post("/api/session", json={"token": 7}, headers=JSON).status_code == 401
    answer = http.post("/api/session", json={"token": TOKEN}, headers=JSON)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie + answer.text
    assert http.get("/api/state").status_code == 200
    assert TOKEN not in http.get("/api/state").text


def test_sessions_expire_and_cannot_be_forged() -> None:
    """They outlive a restart of the server, and end with the token."""
    guard = Guard(Options(token=TOKEN))
    session = guard.new_session(1000.0)
    assert guard.is_session(session, 1000.0 + SESSION_S - 1)
    assert not guard.is_session(session, 1000.0 + SESSION_S + 1)
    assert Guard(Options(token=TOKEN)).is_session(session, 1000.0)
    assert not Guard(Options(token=TOKEN + "2")).is_session(session, 1000.0)
    later = str(int(session.partition(".")[0]) + 9) + session[session.index(".") :]
    assert [guard.is_session(one, 1000.0) for one in (later, "", "a.b.c", "ü.b.c", session + "0")] == [False] * 5


@pytest.mark.parametrize(
    ("options", "headers", "status"),
    [
        ({}, JSON, 403),
        ({"allow_control": True}, JSON, 200),
        ({"allow_control": True}, {"content-type": "application/json"}, 403),
        ({"allow_control": True}, {**JSON, "content-type": "text/plain"}, 415),
        ({"allow_control": True}, {**JSON, "origin": "https://evil.example"}, 403),
        ({"allow_control": True, "token": TOKEN}, JSON, 401),
        ({"allow_control": True, "token": TOKEN}, {**JSON, "authorization": f"Bearer {TOKEN}"}, 200),
    ],
)
def test_control_is_off_and_safe(
    manager: Any, opened: list[Dashboard], options: Any, headers: dict[str, str], status: int
) -> None:
    """It needs allow_control, the token, and what no page of another site can send."""
    http = client(opened, manager, **options)
    body = b'{"manager": 0, "action": "pause"}'
    assert http.post("/api/control", content=body, headers=headers).status_code == status
    if status == 200:
        wait_until(lambda: manager.stats().paused)
    else:
        assert not manager.stats().paused


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"[" * 9000])
def test_a_body_that_is_no_object(manager: Any, opened: list[Dashboard], body: bytes) -> None:
    """Is rejected, and so is one that is too long."""
    http = client(opened, manager, allow_control=True)
    assert http.post("/api/control", content=body, headers=JSON).status_code == 400
    assert http.post("/api/control", content=b" " * 20_000, headers=JSON).status_code == 413


@pytest.mark.parametrize(
    "options",
    [
        {"token": "short"}, {"token": 7}, {"allowed_hosts": ["tasks.example.org"]}, {"allowed_hosts": "localhost"},
        {"allowed_hosts": ["*"]}, {"allow_control": 1}, {"show_arguments": None},
    ],
)  # fmt: skip
def test_wrong_options(manager: Any, options: Any) -> None:
    """Are named at once; a token is not shown."""
    with pytest.raises(ConfigError) as raised:
        app(manager, **options)
    assert "short'" not in str(raised.value)


@pytest.mark.parametrize(
    "options", [{"host": "0.0.0.0"}, {"host": ""}, {"port": -1}, {"port": "80"}, {"token": "short"}]
)
def test_wrong_places(manager: Any, options: Any) -> None:
    """Another address than the loopback demands a token."""
    with pytest.raises(ConfigError):
        serve(manager, **{"port": 0, **options})
