"""Whose data is not deleted."""

import asyncio
import io
import json
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHandle
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from durable_agents.clients.kept_runs import ended_runs_of, open_runs_of
from durable_agents.db.engine import Database
from durable_agents.models.errors import DecisionRefusedError, InputError
from durable_agents.runtime.connection import connect
from durable_agents.runtime.settings import Settings
from starters.purge_person import purge_person
from starters.running import USER_ID
from tests.db.kept import Rows
from tests.workflows import runs

Handle = WorkflowHandle[Any, Any]


async def purge(client: Client, database: Database, user: str) -> None:
    await purge_person(client, database, user, dry_run=False, yes=True, as_json=False)


async def start_for(client: Client, user: str) -> Handle:
    return await client.start_workflow(
        "DebugWorkflow",
        {},
        id=f"debug-{secrets.token_hex(4)}",
        task_queue="nobody-works-here",
        search_attributes=TypedSearchAttributes([SearchAttributePair(USER_ID, user)]),
    )


async def test_a_person_whose_runs_are_at_work_is_left_alone_and_the_runs_are_named(
    client: Client, database: Database
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    handle = await start_for(client, user)

    async def refused() -> bool:
        try:
            await purge(client, database, user)
        except DecisionRefusedError as error:
            return handle.id in error.message
        return False

    await runs.until(refused, "the run is listed")
    await handle.terminate()


class AnsweringLate(io.StringIO):
    """Standard input on which somebody agrees, but something happens before."""

    def __init__(self, before: Callable[[], object]) -> None:
        super().__init__("y\n")
        self._before = before

    def readline(self, size: int = -1, /) -> str:
        self._before()
        return super().readline(size)


async def test_a_run_that_begins_while_a_person_is_asked_is_not_deleted(
    client: Client, settings: Settings, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    ended = await start_for(client, user)
    await ended.terminate()
    begun: list[str] = []

    async def begin() -> None:
        other = await connect(settings)
        begun.append((await start_for(other, user)).id)

        async def listed() -> bool:
            return await open_runs_of(other, user) == begun

        await runs.until(listed, "the run is listed")

    async def over() -> bool:
        return [run for run, _ in await ended_runs_of(client, user)] == [ended.id]

    await runs.until(over, "the first run is listed as ended")
    with ThreadPoolExecutor(1) as beside:
        late = AnsweringLate(lambda: beside.submit(asyncio.run, begin()).result())
        monkeypatch.setattr("sys.stdin", late)
        with pytest.raises(DecisionRefusedError, match="are at work"):
            await purge_person(client, database, user, dry_run=False, yes=False, as_json=False)

    (running,) = begun
    assert (await ended.describe()).status == WorkflowExecutionStatus.TERMINATED
    handle = client.get_workflow_handle(running)
    assert (await handle.describe()).status == WorkflowExecutionStatus.RUNNING
    await handle.terminate()


async def test_a_run_that_only_its_usage_names_goes_with_its_person(
    client: Client, database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    user = f"user-{secrets.token_hex(4)}"
    handle = await start_for(client, "acme")
    run = handle.first_execution_run_id or ""
    await Rows(database).call(user=user, run=run, workflow=handle.id)
    await Rows(database).call(user=user, run="job/7", workflow="pool/documents")

    with pytest.raises(DecisionRefusedError, match=handle.id):
        await purge(client, database, user)
    await handle.terminate()
    await purge_person(client, database, user, dry_run=False, yes=True, as_json=True)

    told = json.loads(capsys.readouterr().out)
    assert told["histories"] == 1
    assert {"table": "llm_calls", "deleted": 0, "emptied": 2} in told["tables"]


async def test_runs_without_a_user_are_nobody_s(client: Client, database: Database) -> None:
    with pytest.raises(InputError, match="name a person"):
        await purge(client, database, "-")
