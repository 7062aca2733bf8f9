"""A receiver of OTLP over HTTP, and a collector in front of it, for tests of what OpenTelemetry sends."""

from __future__ import annotations

import gzip
import importlib.util
import queue
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

pytest.importorskip("opentelemetry.proto")

from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from support.ports import free_port
from support.waiting import wait_until

MESSAGES = {
    "/v1/metrics": (ExportMetricsServiceRequest, ExportMetricsServiceResponse),
    "/v1/traces": (ExportTraceServiceRequest, ExportTraceServiceResponse),
}


class Receiver:
    """What has arrived, parsed by the messages of the protocol's own definition."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.arrived: queue.Queue[Any] = queue.Queue()

    def metrics(self) -> dict[str, Any]:
        """Those of the next request, by name."""
        request = self.arrived.get(timeout=20)
        scopes = [scope for resource in request.resource_metrics for scope in resource.scope_metrics]
        return {metric.name: metric for scope in scopes for metric in scope.metrics}

    def spans(self, count: int) -> dict[str, Any]:
        """As many as are awaited, in however many requests, by name."""
        found: dict[str, Any] = {}
        while len(found) < count:
            request = self.arrived.get(timeout=20)
            scopes = [scope for resource in request.resource_spans for scope in resource.scope_spans]
            found |= {span.name: span for scope in scopes for span in scope.spans}
        return found


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request_type, response_type = MESSAGES[self.path]
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.arrived.put(request_type.FromString(body))
            answer = response_type().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_request(self, *args: Any) -> None:
            """Prints nothing: the test says what was wrong."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = Receiver(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def agent() -> str:
    """The program of Rotel, a collector that comes in a wheel."""
    package = importlib.util.find_spec("rotel")
    if package is None or package.origin is None:
        pytest.skip("no collector is installed here: pip install rotel")
    path = Path(package.origin).with_name("rotel-agent")
    works = subprocess.run([path, "version"], capture_output=True, text=True, check=False, timeout=50)
    if works.returncode != 0:
        pytest.skip(f"the collector does not run on this machine: {works.stderr.strip()}")
    return str(path)


def accepts(port: int) -> bool:
    """Whether something listens there."""
    with socket.socket() as one:
        one.settimeout(1)
        return one.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def collecting(target: str, folder: Path) -> Iterator[str]:
    """The address of a collector that passes on to the target what it is sent."""
    program, port, log = agent(), free_port(), folder / "rotel.log"
    options = {
        "otlp-http-endpoint": f"127.0.0.1:{port}",
        "otlp-grpc-endpoint": f"127.0.0.1:{free_port()}",
        "otlp-exporter-endpoint": target,
        "otlp-exporter-protocol": "http",
        "exporter": "otlp",
        "pid-file": folder / "rotel.pid",
        "log-file": log,
    }
    args = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    with log.open("w") as output:
        process = subprocess.Popen([program, "start", *args], stdout=output, stderr=output)
    try:
        wait_until(lambda: accepts(port) or process.poll() is not None, what="the collector listens")
        assert process.poll() is None, log.read_text()
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)
