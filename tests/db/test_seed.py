import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from durable_agents.db import knowledge
from durable_agents.db.accounts import get_account
from durable_agents.db.engine import Database
from durable_agents.db.flow_tables import Order, Product
from durable_agents.db.orders import reserve
from durable_agents.db.seed import SeedCounts, seed
from durable_agents.db.tables import Account
from durable_agents.db.tasks import get_task, save_result
from durable_agents.models.errors import ConfigurationError
from durable_agents.models.order import ReserveInput
from tests.db.databases import migrated_database

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture
async def empty(database_url: str) -> AsyncIterator[Database]:
    async with migrated_database(database_url) as empty:
        yield empty


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the sample data, to be broken."""
    return Path(shutil.copytree(EXAMPLES, tmp_path / "examples"))


async def test_the_sample_data_is_there_after_seeding(empty: Database) -> None:
    counts = await seed(empty, EXAMPLES)

    async with empty.statement() as connection:
        account = await get_account(connection, "A-1001")
        task = await get_task(connection, "task-1")
        first, *_ = await knowledge.search(connection, "How long does a refund take?")
    assert counts == SeedCounts(
        accounts=8, tasks=5, documents=9, documents_changed=9, products=3, orders=6
    )
    assert account.city == "Oslo"
    assert task.status == "new"
    assert first.source == "examples/documents/refund-policy.md"
    assert "within two working days" in first.excerpt


async def test_seeding_twice_changes_nothing_that_work_has_changed(empty: Database) -> None:
    await seed(empty, EXAMPLES)
    async with empty.transaction() as connection:
        await save_result(connection, task_id="task-1", result="Dear customer")
        await connection.execute(
            update(Account).where(Account.account_id == "A-1001").values(balance_usd=1)
        )

    counts = await seed(empty, EXAMPLES)

    async with empty.statement() as connection:
        account = await get_account(connection, "A-1001")
        task = await get_task(connection, "task-1")
    assert counts.documents_changed == 0
    assert account.balance_usd == 1
    assert (task.status, task.result) == ("done", "Dear customer")


async def test_seeding_twice_never_resets_an_order_or_the_stock(empty: Database) -> None:
    await seed(empty, EXAMPLES)
    await reserve(empty, ReserveInput(order_id="1001", chain="a-run"))

    await seed(empty, EXAMPLES)

    async with empty.statement() as connection:
        status = await connection.scalar(select(Order.status).where(Order.order_id == "1001"))
        stock = await connection.scalar(select(Product.stock).where(Product.sku == "sensor-kit"))
    assert (status, stock) == ("reserved", 498)


async def test_seeding_again_brings_what_the_files_describe_up_to_date(
    empty: Database, folder: Path
) -> None:
    await seed(empty, folder)
    accounts = json.loads((folder / "accounts.json").read_text())
    accounts[0]["city"] = "Bergen"
    (folder / "accounts.json").write_text(json.dumps(accounts))
    (folder / "documents" / "warranty.md").write_text("# Warranty\n\nIt is for life.\n")

    counts = await seed(empty, folder)

    async with empty.statement() as connection:
        account = await get_account(connection, "A-1001")
    assert counts.documents_changed == 1
    assert account.city == "Bergen"


async def test_two_seeds_at_once_do_not_disturb_each_other(empty: Database) -> None:
    counts = await asyncio.gather(*(seed(empty, EXAMPLES) for _ in range(4)))

    assert sum(count.documents_changed for count in counts) == 9


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("accounts.json", "{", "accounts.json is not usable: Invalid JSON"),
        ("accounts.json", '[{"account_id": 1}]', "accounts.json is not usable at 0.account_id"),
        ("tasks.json", '[{"task_id": "t"}]', "tasks.json is not usable at 0.title: Field required"),
        ("tasks.json", '{"task_id": "t"}', "tasks.json is not usable: Input should be a valid"),
        ("orders.json", '[{"order_id": "a b"}]', "orders.json is not usable at 0.order_id"),
        ("products.json", "[]", "order 1001 asks for sensor-kit, which products.json does not"),
        ("documents/a.md", "No title\n\nText", "a.md is not usable: it has to begin with"),
        ("documents/a.md", "# Title only\n", "a.md is not usable: it has to begin with"),
        ("documents/a.md", "", "a.md is not usable: it has to begin with"),
    ],
)
async def test_a_broken_file_is_named_and_nothing_is_loaded(
    database: Database, folder: Path, name: str, content: str, says: str
) -> None:
    (folder / name).write_text(content)

    with pytest.raises(ConfigurationError, match=says):
        await seed(database, folder)


async def test_an_id_that_is_there_twice_is_named(database: Database, folder: Path) -> None:
    tasks = json.loads((folder / "tasks.json").read_text())
    (folder / "tasks.json").write_text(json.dumps([*tasks, tasks[0]]))

    with pytest.raises(ConfigurationError, match="has task-1 twice"):
        await seed(database, folder)


async def test_a_file_that_is_not_text_is_named(database: Database, folder: Path) -> None:
    (folder / "documents" / "a.md").write_bytes(b"# Title\n\xff\xfe")

    with pytest.raises(ConfigurationError, match=r"a\.md cannot be read"):
        await seed(database, folder)


async def test_a_folder_that_is_not_there_is_named(database: Database, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"none/accounts\.json is not there"):
        await seed(database, tmp_path / "none")
