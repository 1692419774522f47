"""What telemetry costs of a ReAct round.

    python -m benchmarks.telemetry [--pairs 10] [--runs 10] [--rounds 20]

Three worker processes on the same servers, each in a namespace of its own, in turn (A B C A B C …):
without telemetry; with the metrics, as `python -m workers` runs it; with metrics and traces, every
one of them sent to a collector on loopback. CPU seconds are those of the worker and of the
Temporal server, taken from the kernel once the spans have been sent; those of the collector do not
count. The ratio is taken within each turn.
"""

import argparse
import asyncio
import socket
import statistics
import threading
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from temporalio.client import Client

from benchmarks.bench import (
    Bench,
    WorkerProcess,
    bench,
    cpu_of_tree,
    pid_named,
    run_react,
    spread,
    worker_process,
)
from durable_agents.runtime.connection import connect
from tests.commanding import make_namespace

SETTLE_S = 6  # until what was traced is sent, which is every 5 s
NAMES = ("without", "metrics", "metrics and traces")


@dataclass(frozen=True)
class Load:
    """How many runs at once, of how many rounds each."""

    runs: int
    rounds: int


@dataclass(frozen=True)
class Sample:
    """CPU milliseconds of one round."""

    worker_ms: float
    server_ms: float

    @property
    def both_ms(self) -> float:
        """Of worker and server."""
        return self.worker_ms + self.server_ms


class Sink:
    """A collector that takes everything and counts the bytes."""

    def __init__(self) -> None:
        self.bytes = 0
        self.requests = 0


@contextmanager
def collecting() -> Generator[tuple[str, Sink]]:
    """Run a collector; gives its address."""
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            sink.bytes += len(self.rfile.read(int(self.headers["Content-Length"])))
            sink.requests += 1
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library names it
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", sink
    finally:
        server.shutdown()
        server.server_close()


async def main(pairs: int, load: Load) -> None:
    """Measure and print."""
    async with AsyncExitStack() as stack:
        address, sink = stack.enter_context(collecting())
        parts = await stack.enter_async_context(bench())
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": address}
        turns = [
            await _subject(stack, parts, "without", 0, {}),
            await _subject(stack, parts, "metrics", _free_port(), {}),
            await _subject(stack, parts, "traces", _free_port(), traced),
        ]
        for subject in turns:  # to warm up
            await _sample(parts, load, subject)
        sent = sink.bytes, sink.requests
        samples = [[await _sample(parts, load, one) for one in turns] for _ in range(pairs)]
        _print(samples, load)
        rounds = pairs * load.runs * load.rounds
        told = sink.bytes - sent[0], sink.requests - sent[1]
        print(f"  sent: {told[0] / rounds:.0f} bytes a round, {told[1]} requests in all")


@dataclass(frozen=True)
class Subject:
    """A worker under measurement, in a namespace of its own, and where it shows its metrics."""

    worker: WorkerProcess
    client: Client
    port: int


async def _subject(
    stack: AsyncExitStack, parts: Bench, namespace: str, port: int, env: dict[str, str]
) -> Subject:
    await make_namespace(parts.client, namespace)
    there = parts.settings.model_copy(update={"temporal_namespace": namespace})
    argv = ["-m", "workers.process", "--metrics-port", str(port), "--number", "1"]
    given = {
        "STATE_DIR": str(parts.settings.state_dir),
        "TEMPORAL_NAMESPACE": namespace,
        "WORKER_SANDBOX": "off",
        **env,
    }
    worker = await stack.enter_async_context(worker_process(argv, given, ready=True))
    return Subject(worker, await connect(there), port)


async def _sample(parts: Bench, load: Load, subject: Subject) -> Sample:
    """Do the work once and take what it cost."""
    server = pid_named(parts, "temporal")
    before = subject.worker.cpu(), cpu_of_tree(server)
    await asyncio.gather(*(run_react(subject.client, load.rounds) for _ in range(load.runs)))
    if subject.port:  # as Prometheus would
        await asyncio.to_thread(_scrape, subject.port)
    await asyncio.sleep(SETTLE_S)
    after = subject.worker.cpu(), cpu_of_tree(server)
    rounds = load.runs * load.rounds
    spent = [(b - a) * 1000 / rounds for a, b in zip(before, after, strict=True)]
    return Sample(spent[0], spent[1])


def _scrape(port: int) -> None:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        answer.read()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _print(turns: Sequence[Sequence[Sample]], load: Load) -> None:
    print(f"CPU milliseconds a round, {load.runs} runs at once, {load.rounds} rounds each")
    for place, name in enumerate(NAMES):
        of_name = [turn[place] for turn in turns]
        worker = spread([one.worker_ms for one in of_name])
        server = statistics.median(one.server_ms for one in of_name)
        print(f"  {name}: worker {worker}, server {server:.2f}")
    for place, name in enumerate(NAMES[1:], start=1):
        of_worker = [turn[place].worker_ms / turn[0].worker_ms for turn in turns]
        of_both = [turn[place].both_ms / turn[0].both_ms for turn in turns]
        print(
            f"  ratio {name} / without: worker {spread(of_worker, 3)}, "
            f"worker and server {spread(of_both, 3)}"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    asyncio.run(main(given.pairs, Load(given.runs, given.rounds)))
