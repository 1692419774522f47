import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx2
import pytest

from durable_agents.simulator.serving import SimulatorThread


def started(*arguments: str, **environment: str) -> tuple[subprocess.Popen[str], str]:
    process = subprocess.Popen(
        [sys.executable, "-m", "durable_agents.simulator", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


@pytest.fixture
def process() -> Iterator[tuple[subprocess.Popen[str], str]]:
    running, line = started("--port", "0")
    with running:
        yield running, line
        running.kill()


def test_it_says_where_it_listens(process: tuple[subprocess.Popen[str], str]) -> None:
    _, line = process

    assert line.startswith("simulator ready on http://127.0.0.1:")
    assert httpx2.get(line.split()[-1] + "/healthz", trust_env=False).status_code == 200


def test_it_ends_within_a_second_with_answers_still_open(
    process: tuple[subprocess.Popen[str], str],
) -> None:
    running, line = process
    host, port = line.split("//")[1].split(":")
    httpx2.post(f"http://{host}:{port}/_faults", json={"kind": "hang"}, trust_env=False)
    with socket.create_connection((host, int(port)), timeout=5) as idle:
        request = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
        idle.sendall(request)
        time.sleep(0.2)

        begun = time.monotonic()
        running.send_signal(signal.SIGTERM)
        status = running.wait(timeout=10)

    assert status == 0
    assert time.monotonic() - begun < 1
    assert running.communicate() == ("", "")


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with SimulatorThread() as other:
        port = other.url.rsplit(":", 1)[1]
        running, line = started("--port", port)
        _, said = running.communicate(timeout=10)

    assert (running.returncode, line) == (1, "")
    assert said.startswith(f"The simulator cannot listen on 127.0.0.1:{port}")


def test_answers_do_not_wait_for_acknowledgements() -> None:
    with SimulatorThread() as simulator, httpx2.Client(trust_env=False) as client:
        begun = time.monotonic()
        for _ in range(20):
            client.get(f"{simulator.url}/v1/search?name=Oslo")

    # With Nagle's algorithm on, each answer took 44 ms: 0.9 s in all.
    assert time.monotonic() - begun < 0.6


def test_a_constant_latency_slows_every_answer() -> None:
    with SimulatorThread(latency_s=0.2) as slow:
        begun = time.monotonic()
        httpx2.get(f"{slow.url}/v1/search?name=Oslo", trust_env=False)

    assert time.monotonic() - begun >= 0.2


def test_word_lists_of_others_are_loaded_only_when_needed() -> None:
    code = (
        "import sys, durable_agents.simulator.app;"
        "sys.exit(any(name.split('.')[0] in {'yake', 'vaderSentiment'} for name in sys.modules))"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
