"""Workers that could not read what others encrypt do not start."""

import asyncio
import signal
from functools import partial

import pytest
from pydantic import SecretStr
from temporalio.client import Client

from durable_agents.db import payload_keys
from durable_agents.db.engine import Database
from durable_agents.models.errors import ConfigurationError, NotFoundError
from durable_agents.runtime.encryption import made_key, read_keys
from durable_agents.runtime.settings import Settings
from tests.commanding import make_namespace
from tests.workflows.runs import token
from workers import process
from workers.key_check import check_keys, until_keys_lack

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


@pytest.fixture
def namespace() -> str:
    return f"keys-{token()}"


async def until_used(database: Database, namespace: str, key_id: str) -> None:
    """Wait until a worker has noted a key."""
    async with asyncio.timeout(60), database.statement() as connection:
        while key_id not in await payload_keys.used_keys(connection, namespace):  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.05)


async def test_a_key_is_rotated_step_by_step(database: Database, namespace: str) -> None:
    await check_keys(database, namespace, {})
    await check_keys(database, namespace, {"old": OLD})
    await check_keys(database, namespace, {"old": OLD, "new": NEW})
    await check_keys(database, namespace, {"new": NEW, "old": OLD})

    async with database.statement() as connection:
        assert list(await payload_keys.used_keys(connection, namespace)) == ["old", "new"]


@pytest.mark.parametrize("keys", [{}, {"new": NEW}], ids=["no keys", "another key"])
async def test_a_worker_without_a_key_that_is_in_use_does_not_start(
    database: Database, namespace: str, keys: dict[str, bytes]
) -> None:
    await check_keys(database, namespace, {"old": OLD})

    with pytest.raises(ConfigurationError, match="'old', which is not in PAYLOAD_KEYS: add it"):
        await check_keys(database, namespace, keys)


async def test_a_worker_with_another_key_of_the_same_id_does_not_start(
    database: Database, namespace: str
) -> None:
    await check_keys(database, namespace, {"old": OLD})

    with pytest.raises(ConfigurationError, match="is another one than runs were encrypted with"):
        await check_keys(database, namespace, {"old": NEW})


async def test_a_key_that_is_forgotten_is_not_asked_for(database: Database, namespace: str) -> None:
    await check_keys(database, namespace, {"old": OLD})

    async with database.statement() as connection:
        await payload_keys.forget_key(connection, namespace, "old")
        with pytest.raises(NotFoundError):
            await payload_keys.forget_key(connection, namespace, "old")

    await check_keys(database, namespace, {"new": NEW})


async def test_a_key_that_two_workers_understand_differently_is_noticed_by_one_of_them(
    database: Database, namespace: str
) -> None:
    told = await asyncio.gather(
        check_keys(database, namespace, {"new": OLD}),
        check_keys(database, namespace, {"new": NEW}),
        return_exceptions=True,
    )

    assert sorted(type(one).__name__ for one in told) == ["ConfigurationError", "NoneType"]


async def test_a_worker_learns_while_it_runs_that_others_encrypt_with_a_key_it_has_not(
    database: Database, namespace: str
) -> None:
    await check_keys(database, namespace, {"old": OLD})
    lacking = asyncio.ensure_future(
        until_keys_lack(database, namespace, {"old": OLD}, every_s=0.01)
    )

    await check_keys(database, namespace, {"new": NEW, "old": OLD})

    assert "'new', which is not in PAYLOAD_KEYS: add it" in (await lacking).message


async def test_a_database_that_is_away_is_no_reason_to_stop(namespace: str) -> None:
    away = Database("postgresql://nobody@127.0.0.1:1/nothing")
    lacking = asyncio.ensure_future(until_keys_lack(away, namespace, {}, every_s=0.01))

    done, _ = await asyncio.wait({lacking}, timeout=0.3)
    lacking.cancel()
    await away.close()

    assert not done


async def test_a_worker_process_ends_when_others_encrypt_with_a_key_it_has_not(
    client: Client,
    settings: Settings,
    database: Database,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(process, "until_keys_lack", partial(until_keys_lack, every_s=0.1))
    await make_namespace(client, namespace)
    old = made_key("old")
    told = {"temporal_namespace": namespace, "payload_keys": SecretStr(old)}
    before = signal.getsignal(signal.SIGINT)
    running = asyncio.ensure_future(process.run(settings.model_copy(update=told), ["tools"]))
    await until_used(database, namespace, "old")

    await check_keys(database, namespace, read_keys(f"{made_key('new')},{old}"))

    with pytest.raises(ConfigurationError, match="'new', which is not in PAYLOAD_KEYS"):
        await running
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().remove_signal_handler(number)
    signal.signal(signal.SIGINT, before)
