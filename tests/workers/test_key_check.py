"""Workers that could not read what others encrypt do not start."""

import pytest

from durable_agents.db import payload_keys
from durable_agents.db.engine import Database
from durable_agents.models.errors import ConfigurationError, NotFoundError
from tests.workflows.runs import token
from workers.key_check import check_keys

OLD, NEW = bytes(range(32)), bytes(range(32, 64))


@pytest.fixture
def namespace() -> str:
    return f"keys-{token()}"


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
