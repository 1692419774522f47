"""What telemetry costs of a ReAct round.

    python -m benchmarks.telemetry [--pairs 10] [--runs 8] [--rounds 20]

Three times all parts (Temporal server, PostgreSQL, simulator, worker), which do the same work at
the same time, so that whatever else the machine does meets them alike: without telemetry; with the
metrics, as `python -m workers` runs it; with metrics and traces, every one of them sent to a
collector on loopback. CPU seconds are those of all parts, taken from the kernel once the spans have
been sent; those of the collector do not count. The ratio is taken within each turn.
"""

import argparse
import asyncio
import socket
import threading
import urllib.request
from collections.abc import Generator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

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

LOST = "durable_agents_spans_lost_total"
SETTLE_S = 6  # until what was traced is sent, which is every 5 s
NAMES = ("without", "metrics", "metrics and traces")


@dataclass(frozen=True)
class Load:
    """How many runs at once, of how many rounds each."""

    runs: int
    rounds: int


@dataclass(frozen=True)
class Sample:
    """CPU milliseconds of one round: of the worker, and of the servers it works with."""

    worker_ms: float
    servers_ms: float

    @property
    def all_ms(self) -> float:
        """Of all parts."""
        return self.worker_ms + self.servers_ms


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


@dataclass(frozen=True)
class Subject:
    """A worker under measurement, with parts of its own, and where it shows its metrics."""

    worker: WorkerProcess
    parts: Bench
    port: int

    def cpu(self) -> tuple[float, float]:
        """CPU seconds so far: of the worker, and of the servers."""
        servers = (pid_named(self.parts, name) for name in ("temporal", "postgres", "simulator"))
        return self.worker.cpu(), sum(map(cpu_of_tree, servers))


async def main(pairs: int, load: Load) -> None:
    """Measure and print."""
    async with AsyncExitStack() as stack:
        address, sink = stack.enter_context(collecting())
        kept = {"OTEL_TRACES_SAMPLER": "parentbased_always_on"}
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": address, **kept}
        none = {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}  # also where the environment says where
        subjects = [
            await _subject(stack, 0, none),
            await _subject(stack, _free_port(), none),
            await _subject(stack, _free_port(), traced),
        ]
        await _samples(subjects, load)  # to warm up
        sent = sink.bytes, sink.requests
        turns = [await _samples(subjects, load) for _ in range(pairs)]
        if lost := _lost(subjects[-1].port):
            raise SystemExit(f"{lost} spans were lost: give less to do at once.")
        _print(turns, load)
        rounds = pairs * load.runs * load.rounds
        told = sink.bytes - sent[0], sink.requests - sent[1]
        print(f"  sent: {told[0] / rounds:.0f} bytes a round, {told[1]} requests in all")


async def _subject(stack: AsyncExitStack, port: int, env: dict[str, str]) -> Subject:
    parts = await stack.enter_async_context(bench())
    argv = ["-m", "workers.process", "--metrics-port", str(port), "--number", "1"]
    given = {"STATE_DIR": str(parts.settings.state_dir), "WORKER_SANDBOX": "off", **env}
    worker = await stack.enter_async_context(worker_process(argv, given, ready=True))
    return Subject(worker, parts, port)


async def _samples(subjects: Sequence[Subject], load: Load) -> list[Sample]:
    """Let all do the work once, and take what it cost each."""
    before = [one.cpu() for one in subjects]
    clients = [one.parts.client for one in subjects for _ in range(load.runs)]
    await asyncio.gather(*(run_react(client, load.rounds) for client in clients))
    for subject in subjects:
        if subject.port:  # as Prometheus would
            await asyncio.to_thread(_scrape, subject.port)
    await asyncio.sleep(SETTLE_S)
    after = [one.cpu() for one in subjects]
    ms = 1000 / (load.runs * load.rounds)
    return [
        Sample((worker - worker_before) * ms, (servers - servers_before) * ms)
        for (worker_before, servers_before), (worker, servers) in zip(before, after, strict=True)
    ]


def _scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        return str(answer.read().decode())


def _lost(port: int) -> float:
    """How many spans never reached the collector."""
    lines = _scrape(port).splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(LOST))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _print(turns: Sequence[Sequence[Sample]], load: Load) -> None:
    print(f"CPU milliseconds a round, {load.runs} runs at once of each, {load.rounds} rounds a run")
    for place, name in enumerate(NAMES):
        of_name = [turn[place] for turn in turns]
        worker = spread([one.worker_ms for one in of_name])
        everything = spread([one.all_ms for one in of_name])
        print(f"  {name}: worker {worker}, all parts {everything}")
    for place, name in enumerate(NAMES[1:], start=1):
        of_worker = [turn[place].worker_ms / turn[0].worker_ms for turn in turns]
        of_all = [turn[place].all_ms / turn[0].all_ms for turn in turns]
        told = f"worker {spread(of_worker, 3)}, all parts {spread(of_all, 3)}"
        print(f"  ratio {name} / without: {told}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    asyncio.run(main(given.pairs, Load(given.runs, given.rounds)))
