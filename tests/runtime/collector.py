"""A collector of traces on loopback: takes what OTLP over HTTP sends, and keeps the spans."""

import asyncio
import gzip
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from durable_agents.runtime.settings import Settings
from durable_agents.runtime.tracing import Tracing, begin_tracing


@dataclass(frozen=True)
class SeenSpan:
    """A span as it arrived; ids in hexadecimal, times in nanoseconds."""

    name: str
    trace: str
    span: str
    parent: str
    kind: int
    began: int
    ended: int
    failed: bool
    attributes: dict[str, Any]
    resource: dict[str, Any]
    links: tuple[str, ...]


class Collector:
    """What has arrived so far.

    Args:
        port: Where it listens.
    """

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.spans: list[SeenSpan] = []
        self.raw = b""
        self.headers: list[dict[str, str]] = []
        self.refuses = False

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        """Keep what a request carries."""
        self.raw += body
        self.headers.append(headers)
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = {a.key: _plain(a.value) for a in of_resource.resource.attributes}
            for scope in of_resource.scope_spans:
                for one in scope.spans:
                    self.spans.append(
                        SeenSpan(
                            name=one.name,
                            trace=one.trace_id.hex(),
                            span=one.span_id.hex(),
                            parent=one.parent_span_id.hex(),
                            kind=one.kind,
                            began=one.start_time_unix_nano,
                            ended=one.end_time_unix_nano,
                            failed=one.status.code == Status.STATUS_CODE_ERROR,
                            attributes={a.key: _plain(a.value) for a in one.attributes},
                            resource=resource,
                            links=tuple(link.span_id.hex() for link in one.links),
                        )
                    )

    def of_run(self, workflow_id: str) -> list[SeenSpan]:
        """The spans of the trace in which a run was started."""
        traces = {
            one.trace
            for one in self.spans
            if one.attributes.get("temporalWorkflowID") == workflow_id
        }
        assert len(traces) == 1, f"{workflow_id} has the traces {traces}"
        return [one for one in self.spans if one.trace in traces]

    async def until(self, name: str, workflow_id: str, *, within: float = 60) -> None:
        """Wait for a span of a run."""

        def is_there() -> bool:
            return any(
                one.name == name and one.attributes.get("temporalWorkflowID") == workflow_id
                for one in self.spans
            )

        async with asyncio.timeout(within):
            while not is_there():  # noqa: ASYNC110 - another thread
                await asyncio.sleep(0.05)


@contextmanager
def collecting() -> Generator[Collector]:
    """Listen until the end of the block."""
    taken: list[Collector] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            if not taken[0].refuses:
                taken[0].take(body, {name.lower(): value for name, value in self.headers.items()})
            self.send_response(401 if taken[0].refuses else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library names it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    taken.append(Collector(server.server_address[1]))
    serving = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    serving.start()
    try:
        yield taken[0]
    finally:
        server.shutdown()
        server.server_close()
        serving.join()


@contextmanager
def traced(url: str, *, timeout_s: float = 10, **more: Any) -> Generator[Tracing]:
    """Traces of this process while the block lasts; sent when it ends."""
    given = Settings.model_validate({"otel_exporter_otlp_endpoint": url, **more})
    tracing = begin_tracing(given, timeout_s=timeout_s)
    assert tracing is not None
    try:
        yield tracing
    finally:
        tracing.end()


def _plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [_plain(item) for item in value.array_value.values]
    return getattr(value, kind) if kind else None
