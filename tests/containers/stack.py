"""The project's containers, under a name and on ports of their own, and gone in the end."""

import asyncio
import contextlib
import json
import os
import secrets
import socket
import sys
import tempfile
import time
from asyncio.subprocess import PIPE, STDOUT
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import yaml

from durable_agents.runtime.embedded.ports import free_port
from tests.commanding import PROJECT

COMPOSE_FILE = PROJECT / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
IMAGES = {"durable-agents": "durable-agents-tried", "durable-agents-simulator": "simulator-tried"}
WORKERS = 2
LONGEST_S = 600
PASSED_ON = ("PATH", "HOME", "DOCKER_", "BUILDX_", "_IMAGE", "_PROXY", "_proxy")
PORTS = ("TEMPORAL_PORT", "TEMPORAL_UI_PORT", "DATABASE_PORT", "INBOX_PORT", "PROMETHEUS_PORT")


@dataclass(frozen=True)
class Said:
    """What a command said, and the code it ended with."""

    code: int
    text: str

    @property
    def lines(self) -> list[str]:
        return self.text.strip().splitlines()


class Stack:
    """The containers of one try.

    Args:
        folder: Where its settings are written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.project = f"da-try-{secrets.token_hex(4)}"
        self.password = f"{secrets.token_hex(8)}@/:#%"  # all of which means something in an address
        self.signing_key = secrets.token_hex(32)
        self.ports = {name: free_port() for name in PORTS}
        self.worker_ports = _ports_in_a_row(WORKERS)
        self.seconds_to_healthy = 0.0
        self._env = folder / ".env"
        self._values: dict[str, object] = {}
        self._images = folder / "images.json"
        self._write()

    def _write(self) -> None:
        first, last = self.worker_ports[0], self.worker_ports[-1]
        self._values = {
            "COMPOSE_PROFILES": "simulator",
            "POSTGRES_PASSWORD": self.password,
            "SIGNING_KEY": self.signing_key,
            "WORKERS": WORKERS,
            "WORKER_PORTS": f"{first}-{last}",
            **self.ports,
        }
        self._env.write_text(_lines(self._values))
        named = {
            name: {"image": IMAGES[one["image"]]}
            for name, one in SERVICES.items()
            if one["image"] in IMAGES
        }
        self._images.write_text(json.dumps({"services": named}))

    async def take_what_is_here(self) -> None:
        """Where a release of Prometheus cannot be pulled, use another that the machine has."""
        configured = json.loads((await self.must("--profile", "*", "config", "--format=json")).text)
        named = configured["services"]["prometheus"]["image"]
        other = f"{named.rpartition(':')[0]}:latest"
        if await _is_had(named) or not await _is_here(other):
            return
        report(f"{named} cannot be pulled; {other}, which is here, takes its place")
        self._values["PROMETHEUS_IMAGE"] = other
        self._env.write_text(_lines(self._values))

    def env_with(self, **values: object) -> Path:
        """Settings of which some are other than those of the stack."""
        file = self.folder / f"{secrets.token_hex(4)}.env"
        file.write_text(_lines({**self._values, **values}))
        return file

    @property
    def temporal(self) -> str:
        """Where the Temporal server is, from outside."""
        return f"127.0.0.1:{self.ports['TEMPORAL_PORT']}"

    @property
    def database_url(self) -> str:
        """Where the database is, from outside."""
        place = f"127.0.0.1:{self.ports['DATABASE_PORT']}/durable_agents"
        return f"postgresql://durable_agents:{quote(self.password, safe='')}@{place}"

    async def compose(
        self, *args: str, stdin: str = "", env_file: Path | None = None, within_s: float = LONGEST_S
    ) -> Said:
        """Run `docker compose` with some arguments."""
        head = ("compose", "--project-name", self.project, "--project-directory", str(PROJECT))
        files = ("--file", str(COMPOSE_FILE), "--file", str(self._images))
        env = ("--env-file", str(env_file or self._env))
        return await docker(*head, *files, *env, *args, stdin=stdin, within_s=within_s)

    async def must(self, *args: str, stdin: str = "", env_file: Path | None = None) -> Said:
        """Run it; it must succeed."""
        said = await self.compose(*args, stdin=stdin, env_file=env_file)
        assert said.code == 0, f"docker compose {' '.join(args)}: {said.text}"
        return said

    async def containers(self, service: str) -> list[str]:
        """The ids of the containers of a service that run."""
        return (await self.must("ps", "--quiet", service)).lines

    async def log(self, service: str) -> str:
        """What the containers of a service have said."""
        return (await self.must("logs", "--no-color", "--no-log-prefix", service)).text

    async def tar(self, volume: str, *args: str) -> None:
        """Pack a volume of the stack into a file of its folder, or unpack it from there."""
        image = os.environ.get("POSTGRES_IMAGE", "pgvector/pgvector:pg17")
        mounts = (f"{self.project}_{volume}:/volume", f"{self.folder}:/backup")
        volumes = [word for mount in mounts for word in ("--volume", mount)]
        program = ("--user", "0", "--entrypoint", "tar", image, "-C", "/volume")
        said = await docker("run", "--rm", *volumes, *program, *args)
        assert said.code == 0, said.text

    def backups(self) -> list[tuple[str, Path]]:
        """The files of the back-up, by volume."""
        return [(file.stem, file) for file in sorted(self.folder.glob("*.tar"))]

    async def up(self, *services: str) -> None:
        """Start what does not run, and wait until it is healthy."""
        await self.must("up", "--detach", "--wait", *services)


async def docker(*args: str, stdin: str = "", within_s: float = LONGEST_S) -> Said:
    """Run `docker` with what of the environment is its own."""
    environ = {
        name: value
        for name, value in os.environ.items()
        if name.startswith(PASSED_ON[:4]) or name.endswith(PASSED_ON[4:])
    }
    process = await asyncio.create_subprocess_exec(
        "docker", *args, stdin=PIPE, stdout=PIPE, stderr=STDOUT, env=environ
    )
    try:
        async with asyncio.timeout(within_s):
            told, _ = await process.communicate(stdin.encode())
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    return Said(process.returncode or 0, told.decode(errors="replace"))


@asynccontextmanager
async def running_stack() -> AsyncGenerator[Stack]:
    """Build, bring up, and take down whatever happens."""
    with tempfile.TemporaryDirectory(prefix="da-try-") as folder:
        stack = Stack(Path(folder))
        try:
            await stack.take_what_is_here()
            began = time.monotonic()
            said = await stack.compose("build", "worker", "simulator")
            assert said.code == 0, said.text
            report(f"images built in {time.monotonic() - began:.0f} s")
            began = time.monotonic()
            said = await stack.compose("up", "--detach", "--build", "--wait")
            stack.seconds_to_healthy = time.monotonic() - began
            assert said.code == 0, said.text + (await stack.compose("logs", "--tail", "20")).text
            yield stack
        finally:
            everything = ("--profile", "*", "down", "--volumes", "--remove-orphans", "--timeout")
            await stack.compose(*everything, "5")
            await docker("image", "rm", "--force", *IMAGES.values())


async def page(port: int, path: str) -> httpx2.Response:
    """Ask a page from outside."""
    async with httpx2.AsyncClient(timeout=10, trust_env=False) as http:
        return await http.get(f"http://127.0.0.1:{port}{path}")


def report(sentence: str) -> None:
    """Say what was measured."""
    sys.stdout.write(f"\n  {sentence}\n")
    sys.stdout.flush()


async def _is_here(image: str) -> bool:
    """Whether the machine has an image."""
    return (await docker("image", "inspect", image)).code == 0


async def _is_had(image: str) -> bool:
    """Whether the machine has an image or can pull it."""
    return await _is_here(image) or (await docker("pull", "--quiet", image)).code == 0


def _lines(values: dict[str, object]) -> str:
    """The lines of a `.env`."""
    return "".join(f"{name}={value}\n" for name, value in values.items())


def _ports_in_a_row(count: int) -> list[int]:
    """Free ports that follow one another."""
    while True:
        first = free_port()
        ports = list(range(first, first + count))
        try:
            for port in ports:
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return ports
