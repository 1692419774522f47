"""Load the sample data."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from durable_agents.db import library
from durable_agents.db.accounts import AccountRecord
from durable_agents.db.engine import Database
from durable_agents.db.flow_tables import Order, Product
from durable_agents.db.orders import OrderRecord, ProductRecord
from durable_agents.db.tables import Account, Task
from durable_agents.db.tasks import TaskRecord
from durable_agents.models.errors import ConfigurationError

Entry = TypeVar("Entry", AccountRecord, TaskRecord, ProductRecord, OrderRecord)


@dataclass(frozen=True)
class SeedCounts:
    """How much the folder holds; `documents_changed` of its documents were new or had changed."""

    accounts: int
    tasks: int
    documents: int
    documents_changed: int
    products: int = 0
    orders: int = 0


@dataclass(frozen=True)
class _Document:
    document_id: str
    title: str
    source: str
    content: str


async def seed(database: Database, folder: Path = Path("examples")) -> SeedCounts:
    """Load accounts, tasks, products, orders and documents from a folder, in one transaction.

    Harmless when run again: what a file describes is brought up to date, what work has changed
    since (an account's balance and status, a task's status and result, stock, an order that is
    there) stays as it is.

    Args:
        database: Where to.
        folder: Holds `accounts.json`, `tasks.json`, `products.json`, `orders.json` and
            `documents/*.md`.

    Raises:
        ConfigurationError: A file is missing or broken.
    """
    accounts, tasks, documents = await asyncio.to_thread(_read_folder, folder)
    products, orders = await asyncio.to_thread(_read_orders, folder)
    async with database.transaction() as connection:
        await _save_accounts(connection, accounts)
        await _save_tasks(connection, tasks)
        await _save_orders(connection, products, orders)
        written = [
            await library.add_document(
                connection,
                document_id=document.document_id,
                title=document.title,
                source=document.source,
                content=document.content,
            )
            for document in documents
        ]
    return SeedCounts(
        accounts=len(accounts),
        tasks=len(tasks),
        documents=len(documents),
        documents_changed=sum(chunks > 0 for chunks in written),
        products=len(products),
        orders=len(orders),
    )


def _read_folder(folder: Path) -> tuple[list[AccountRecord], list[TaskRecord], list[_Document]]:
    """Everything in the folder, sorted by id: two seeds at once take locks in the same order."""
    accounts = _read_list(folder / "accounts.json", TypeAdapter(list[AccountRecord]))
    tasks = _read_list(folder / "tasks.json", TypeAdapter(list[TaskRecord]))
    _require_different(folder / "accounts.json", (account.account_id for account in accounts))
    _require_different(folder / "tasks.json", (task.task_id for task in tasks))
    documents = [
        _read_document(path, folder) for path in sorted((folder / "documents").glob("*.md"))
    ]
    return (
        sorted(accounts, key=lambda account: account.account_id),
        sorted(tasks, key=lambda task: task.task_id),
        documents,
    )


def _read_orders(folder: Path) -> tuple[list[ProductRecord], list[OrderRecord]]:
    """Products and orders of the folder, sorted by id."""
    products = _read_list(folder / "products.json", TypeAdapter(list[ProductRecord]))
    orders = _read_list(folder / "orders.json", TypeAdapter(list[OrderRecord]))
    _require_different(folder / "products.json", (product.sku for product in products))
    _require_different(folder / "orders.json", (order.order_id for order in orders))
    known = {product.sku for product in products}
    for order in orders:
        if order.sku not in known:
            raise ConfigurationError(
                f"{folder / 'orders.json'} is not usable: order {order.order_id} asks for "
                f"{order.sku}, which products.json does not have. Correct the file and seed again."
            )
    return (
        sorted(products, key=lambda product: product.sku),
        sorted(orders, key=lambda order: order.order_id),
    )


def _read_list(path: Path, entries: TypeAdapter[list[Entry]]) -> list[Entry]:
    try:
        return entries.validate_json(_read_text(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        place = f" at {where}" if where else ""
        raise ConfigurationError(
            f"{path} is not usable{place}: {first['msg']}. Correct the file and seed again."
        ) from error


def _require_different(path: Path, ids: Iterable[str]) -> None:
    seen = set[str]()
    for entry in ids:
        if entry in seen:
            raise ConfigurationError(f"{path} has {entry} twice. Correct the file and seed again.")
        seen.add(entry)


def _read_document(path: Path, folder: Path) -> _Document:
    content = _read_text(path)
    first, _, body = content.strip().partition("\n")
    if not first.startswith("# ") or not body.strip():
        raise ConfigurationError(
            f"{path} is not usable: it has to begin with a line `# Title`, followed by text. "
            "Correct the file and seed again."
        )
    return _Document(
        document_id=path.stem,
        title=first.removeprefix("# ").strip(),
        source=path.relative_to(folder.parent).as_posix(),
        content=content,
    )


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ConfigurationError(
            f"{path} is not there. Seed from the project's folder, or name the folder that holds "
            "accounts.json, tasks.json and documents/."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"{path} cannot be read ({error}). Correct the file and seed again."
        ) from error


async def _save_accounts(connection: AsyncConnection, accounts: list[AccountRecord]) -> None:
    if not accounts:
        return
    statement = insert(Account).values([account.model_dump() for account in accounts])
    described = ("name", "email", "plan", "city")
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[Account.account_id],
            set_={name: statement.excluded[name] for name in described},
        )
    )


async def _save_tasks(connection: AsyncConnection, tasks: list[TaskRecord]) -> None:
    if not tasks:
        return
    statement = insert(Task).values([task.model_dump() for task in tasks])
    described = ("user_id", "title", "body")
    await connection.execute(
        statement.on_conflict_do_update(
            index_elements=[Task.task_id],
            set_={name: statement.excluded[name] for name in described},
        )
    )


async def _save_orders(
    connection: AsyncConnection, products: list[ProductRecord], orders: list[OrderRecord]
) -> None:
    """Add products and orders; of those that are there only names and prices follow the file."""
    if products:
        statement = insert(Product).values([product.model_dump() for product in products])
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=[Product.sku],
                set_={name: statement.excluded[name] for name in ("name", "price_usd")},
            )
        )
    if orders:
        rows = [order.model_dump() for order in orders]
        await connection.execute(insert(Order).values(rows).on_conflict_do_nothing())
