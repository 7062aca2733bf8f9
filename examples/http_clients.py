"""A pool of HTTP clients, each with a connection that stays open.

A local server drops one request in twenty, as real servers do. A client whose connection was dropped is destroyed, and another
one repeats its request. Needs only the standard library.
Run it with: python examples/http_clients.py
"""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tasker import Config, Context, TaskManager

served = itertools.count(1)


class NotFound(Exception):
    """The server answered, so the connection is healthy."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # keeps connections open
    wbufsize = -1  # sends head and body together

    def do_GET(self) -> None:
        if next(served) % 20 == 0:
            self.close_connection = True  # closes the connection without an answer
            return
        name = self.path.rpartition("/")[2]
        status = 200 if name.isdigit() else 404
        body = json.dumps({"user": name, "port": self.client_address[1]}).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
        pass


@contextmanager
def local_server() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def fetch(_ctx: Context, client: HTTPConnection, user: str) -> tuple[str, int]:
    client.request("GET", f"/users/{user}")
    response = client.getresponse()
    body = json.load(response)
    if response.status == 404:
        raise NotFound(f"no user {user!r}")
    return body["user"], body["port"]


def main() -> None:
    with local_server() as port:
        # A resource can also be given as a context manager.
        @contextmanager
        def client() -> Iterator[HTTPConnection]:
            connection = HTTPConnection("127.0.0.1", port, timeout=5)
            connection.connect()
            try:
                yield connection
            finally:
                connection.close()

        config = Config(
            resource=client,
            check_health=lambda error: not isinstance(error, (OSError, HTTPException)),
            worker_count=4,
            burst_interval=0,
        )
        with TaskManager(config) as manager:
            through = Counter(port for _user, port in manager.map(fetch, map(str, range(200))))
            print(f"{sum(through.values())} users fetched, in the order in which they were asked for")
            try:
                manager.queue_task(fetch, "nobody")
            except NotFound as error:
                print(f"not found, and not tried again: {error}")
            stats, metrics = manager.stats(), manager.metrics()
        print(f"hung up on and asked again: {metrics.total_tasks_retried}, workers replaced: {stats.replaced_workers}")
        print(f"connections made: {len(through)} for {sum(through.values())} requests")
        print("resources:", manager.stats().resources)


if __name__ == "__main__":
    main()
