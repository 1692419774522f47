"""Runs commands and workers as people do: as processes of their own, with a clean environment."""

import asyncio
import json
import os
import re
import signal
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

from durable_agents.runtime.settings import Settings
from tests.forking import FORKS, PROJECT

COMMAND = str(Path(sys.executable).with_name("durable-agents"))
LONGEST_S = 60
HEALTH = re.compile(r"Health and metrics are at (\S+?)\.(?:\"|$)")  # as text, or in JSON


@dataclass(frozen=True)
class Ended:
    """What a command said, and the code it ended with."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, all of which must be one JSON value."""
        return json.loads(self.out)

    @property
    def sentence(self) -> str:
        """Standard error, which must be one line."""
        lines = self.err.splitlines()
        assert len(lines) == 1, self.err
        return lines[0]

    @property
    def last(self) -> str:
        """The last line of standard error."""
        assert "Traceback" not in self.err, self.err
        return self.err.splitlines()[-1]


class Commands:
    """Starts commands that find the parts of some settings, and nothing else.

    Args:
        settings: Where the parts are, by their state folder.
        folder: Where the commands stand.
        env: Variables for all of them.
    """

    forks = True  # what `durable-agents` loads is loaded once for all (`tests.forking`)

    def __init__(self, settings: Settings | None, folder: Path, **env: str) -> None:
        self.folder = folder
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TEMPORAL_CONFIG_FILE": str(folder / "no-profiles.toml"),
            "PYTHONPATH": str(PROJECT),
            **({"STATE_DIR": str(settings.state_dir)} if settings else {}),
            **env,
        }

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        """All variables of a command."""
        return {**self._env, **more}

    async def start(
        self, argv: Sequence[str], *, stdin: int = DEVNULL, env: Mapping[str, str] | None = None
    ) -> Process:
        """Start a program."""
        return await asyncio.create_subprocess_exec(
            *argv,
            stdin=stdin,
            stdout=PIPE,
            stderr=PIPE,
            cwd=self.folder,
            env=self.environment(env or {}),
            start_new_session=True,
        )

    async def __call__(self, *args: str, stdin: bytes | None = None, **env: str) -> Ended:
        """Run `durable-agents` to its end."""
        environment = self.environment(env)
        if self.forks and FORKS.can(environment):
            told = await FORKS.run(
                [COMMAND, *args], environment, self.folder, stdin or b"", LONGEST_S
            )
            return Ended(*told)
        return await self.program(COMMAND, *args, stdin=stdin, **env)

    async def program(self, *argv: str, stdin: bytes | None = None, **env: str) -> Ended:
        """Run a program to its end."""
        source = DEVNULL if stdin is None else PIPE
        process = await self.start(list(argv), stdin=source, env=env)
        return await ended(process, stdin)

    async def soon_impatient(self, *args: str, **env: str) -> Ended:
        """Run `durable-agents` with little patience for workers that are not there."""
        code = (
            "import starters.presence, starters.main;"
            "starters.presence.NOBODY_FOR_S = 0.5; starters.main.main()"
        )
        return await self.program(sys.executable, "-c", code, *args, stdin=None, **env)

    @asynccontextmanager
    async def worker(self, *args: str, **env: str) -> AsyncGenerator["WorkerService"]:
        """Run `python -m workers` with its health on a free port, until all processes poll."""
        given = {"HEALTH_PORT": "0", "WORKER_SHUTDOWN_GRACE_S": "2", **env}
        process = await self.start([sys.executable, "-m", "workers", *args], env=given)
        service = WorkerService(process)
        try:
            async with asyncio.timeout(LONGEST_S):
                await service.until_ready()
            yield service
        finally:
            await service.stop()


async def ended(process: Process, stdin: bytes | None = None) -> Ended:
    """Wait for the end of a program, which must not take long."""
    try:
        async with asyncio.timeout(LONGEST_S):
            told, complained = await process.communicate(stdin)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    return Ended(process.returncode or 0, told.decode(), complained.decode())


class WorkerService:
    """A `python -m workers` that runs."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.url = ""
        self.said: list[str] = []
        self._listening = asyncio.ensure_future(self._listen())

    async def _listen(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            self.said.append(line.decode().rstrip())
            found = HEALTH.search(self.said[-1])
            self.url = found[1] if found else self.url

    async def get(self, path: str) -> httpx2.Response:
        """Ask the page of its health."""
        async with httpx2.AsyncClient(base_url=self.url, timeout=5, trust_env=False) as http:
            return await http.get(path)

    async def until_ready(self, *, but_not: int = 0) -> list[int]:
        """Wait until every process polls, and none is `but_not`; gives their pids."""
        while True:
            assert self.process.returncode is None, self.said
            if self.url:
                answer = await self.get("/healthz")
                pids = [int(one["pid"] or 0) for one in answer.json()["processes"]]
                if answer.status_code == 200 and but_not not in pids:
                    return pids
            await asyncio.sleep(0.05)

    async def stop(self) -> int:
        """Ask it to drain; gives its exit code. Harmless when it has ended."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(LONGEST_S):
            code = await self.process.wait()
            await self._listening
        return code


def folder_for_commands() -> tempfile.TemporaryDirectory[str]:
    """A folder to stand in that holds no `.env`."""
    return tempfile.TemporaryDirectory(prefix="da-test-")


async def make_namespace(client: Client, name: str) -> None:
    """Make a namespace of its own on the server, with the search attributes."""
    day = Duration(seconds=24 * 3600)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=day),
        retry=True,
    )
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=name,
            search_attributes=dict.fromkeys(("Pattern", "UserId", "Phase"), keyword),
        ),
        retry=True,
    )
