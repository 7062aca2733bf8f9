"""Who may see the dashboard. Pure: headers and addresses in, a verdict out.

- ``Host`` has to be a name that was allowed, so that a page of another site whose name was rebound to this address gets nothing.
- ``Origin``, where a browser sends it, has to be this host, and so has ``Sec-Fetch-Site``.
- Without a token, the other side has to be this machine, unless the service around the app answers for who gets here.
- With one, each request has a session cookie, an HMAC under the token, or the token itself as ``Authorization: Bearer``.
- What changes something has a header that no form or simple request of another site can set.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

from .options import Options, address_of, is_loopback

COOKIE = "tasker_dashboard"
SESSION_S = 12 * 3600
CONTROL_HEADER = "x-tasker"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every answer."""


class Rejected(Exception):
    """A request that gets nothing. ``status``: of HTTP; the text is for whoever runs the server."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status: int = status


def host_of(netloc: str) -> str:
    """Returns the host of ``host:port`` in small letters, without brackets; "" if it is malformed."""
    try:
        parts = urlsplit(f"//{netloc}")
        is_plain = parts.netloc == netloc and "@" not in netloc and parts.port != 0  # reading the port checks it
        return (parts.hostname or "").rstrip(".") if is_plain else ""
    except ValueError:
        return ""


class Guard:
    """Judges requests by the options of one dashboard."""

    def __init__(self, options: Options) -> None:
        self._options = options
        token = options.token
        # Of the token alone: a session outlives a restart of the server, and ends with the token.
        self._key = None if token is None else hashlib.sha256(b"tasker.dashboard session\0" + token.encode()).digest()
        self._digest = None if token is None else hashlib.sha256(token.encode()).digest()

    @property
    def wants_token(self) -> bool:
        """Whether there is a token."""
        return self._digest is not None

    def check_place(self, headers: Mapping[str, str], client: str | None) -> None:
        """Checks where a request comes from and goes to. Raises ``Rejected``. ``client``: its address; None: a local socket."""
        netloc = headers.get("host", "")
        if not self._is_allowed(host_of(netloc)):
            raise Rejected(421, f"unknown host {netloc[:200]!r}: it is to be in allowed_hosts")
        origin = headers.get("origin")
        if origin is not None and urlsplit_netloc(origin) != netloc.lower():
            raise Rejected(403, "the request comes from a page of another origin")
        # A link from elsewhere may open the page itself, which holds no data.
        is_alien = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        if is_alien and headers.get("sec-fetch-mode") != "navigate":
            raise Rejected(403, "the request comes from a page of another site")
        options = self._options
        if not (self.wants_token or options.authenticated or client is None or is_loopback(client)):
            raise Rejected(403, "only this machine may see a dashboard without a token")

    def _is_allowed(self, host: str) -> bool:
        options = self._options
        return host in options.allowed_hosts or (options.any_address and address_of(host) is not None)

    def is_token(self, given: str) -> bool:
        """Returns whether a token is the right one, in a time that says nothing about it."""
        assert self._digest is not None
        return hmac.compare_digest(hashlib.sha256(given.encode("utf-8", "surrogatepass")).digest(), self._digest)

    def new_session(self, now: float) -> str:
        """Returns the value of a session cookie. ``now``: in seconds since the epoch."""
        head = f"{int(now + SESSION_S)}.{secrets.token_hex(8)}"
        return f"{head}.{self._signed(head)}"

    def _signed(self, head: str) -> str:
        assert self._key is not None
        return hmac.new(self._key, head.encode(), hashlib.sha256).hexdigest()

    def is_session(self, cookie: str, now: float) -> bool:
        """Returns whether a cookie is one of ``new_session``, and has not expired."""
        head, _, signature = cookie.rpartition(".")
        if not cookie.isascii() or not hmac.compare_digest(signature, self._signed(head)):
            return False
        return int(head.partition(".")[0]) > now

    def check_reader(self, headers: Mapping[str, str], cookie: str, now: float) -> None:
        """Checks that a request may read. Raises ``Rejected``."""
        if not self.wants_token:
            return
        scheme, _, given = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_token(given.strip()):
            return
        if not self.is_session(cookie, now):
            raise Rejected(401, "a token is needed")

    def check_change(self, headers: Mapping[str, str]) -> None:
        """Checks that no page of another site can have sent a request that changes something. Raises ``Rejected``."""
        if headers.get("content-type", "").partition(";")[0].strip() != "application/json":
            raise Rejected(415, "the body has to be application/json")
        if headers.get(CONTROL_HEADER) != "1":
            raise Rejected(403, "the header X-Tasker: 1 is missing")

    def check_control(self, headers: Mapping[str, str]) -> None:
        """Checks that a request may control a manager. Raises ``Rejected``."""
        if not self._options.allow_control:
            raise Rejected(403, "this dashboard is read-only: allow_control=True lets it control managers")
        self.check_change(headers)


def urlsplit_netloc(origin: str) -> str:
    """Returns the host and port of an origin in small letters; "" if it is ``null`` or malformed."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
