"""The flows of the drills: how a run of its own is made ready, and who does what in it.

Each run has a word that nothing else says. It stands in its workflow ids, in the rows that it
works on, and in what it asks the model, so that all it leaves can be counted.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from zlib import crc32

from pydantic import BaseModel
from sqlalchemy import text

from durable_agents.db import library, pools
from durable_agents.db.engine import Database
from durable_agents.models.analyze_document import DocumentAnalysisInput
from durable_agents.models.debug import DebugInput
from durable_agents.models.external_call import ExternalCallInput
from durable_agents.models.jobs import NewJob
from durable_agents.models.order import OrderInput
from durable_agents.models.process_documents import DocumentBatchInput
from durable_agents.models.process_task import TaskInput
from durable_agents.models.react import ReActInput
from durable_agents.models.research import ResearchInput
from durable_agents.models.resilient_task import ResilientTaskInput
from durable_agents.models.review import ReviewInput
from durable_agents.models.route import RoutingInput
from durable_agents.models.support import SupportInput
from durable_agents.models.tracked import TrackedInput
from durable_agents.models.weather_advice import WeatherAdviceInput
from tests.drills.counting_worker import COUNTED, CountPayload
from tests.workflows.runs import token

Make = Callable[[str], BaseModel]
Prepare = Callable[[Database, str], Awaitable[None]]

POOL = "work_pool"
JOBS = 2  # of a run of the pool
MANY_TRIES = 10_000  # to find a city that no other run has
SECTION = """# Notes on {word}

The {word} monitor was praised for its clear display. Setting it up takes five minutes. Two schools
said that exports of the {word} monitor are slow, and that the alert for dry air came too late.
"""
_CITIES = (
    Path(__file__).parent.parent.parent / "durable_agents" / "simulator" / "cities.json"
).read_text(encoding="utf-8")
CITIES = tuple(
    dict.fromkeys(city["name"] for city in json.loads(_CITIES) if city["name"].isascii())
)


@dataclass(frozen=True)
class Flow:
    """A flow to drill.

    Attributes:
        name: What the table calls it.
        make: Its input, from the run's word; the pool has none.
        prepare: Puts what the run works on into the database.
        asks_model: Whether it asks a model, so that a model's faults fit it.
        calls_service: Whether it calls a service over HTTP, so that that one's faults fit it.
        structured: Which of its model calls, from 0 (or -1 for the last), has to take a certain
            form or is the last word: an answer without sense at another call is a turn that the
            agent takes, not a fault.
        waits: Whether a person has to approve.
        uses_database: Whether its steps need the database, so that that one's faults fit it.
    """

    name: str
    make: Make | None = None
    prepare: Prepare | None = None
    asks_model: bool = False
    calls_service: bool = False
    structured: int = 0
    waits: bool = False
    uses_database: bool = True

    def match(self, word: str) -> str:
        """What the requests of a run to the model or the service contain, and no other's."""
        if self.name == "weather_advice":
            return f"\\n{city_of(word)}"  # the line of the prompt that begins with it, as JSON
        return word


def words_for(flows: Sequence[Flow]) -> list[str]:
    """A word for a run of each; what the runs ask models and services tells them apart."""
    found: dict[str, str] = {}
    for flow in flows:
        fresh = (token() for _ in range(MANY_TRIES))
        word = next(one for one in fresh if flow.match(one) not in found)
        found[flow.match(word)] = word
    return list(found.values())


def city_of(word: str) -> str:
    """A city for a run."""
    return CITIES[crc32(word.encode()) % len(CITIES)]


async def _task(database: Database, word: str) -> None:
    values = {"id": word, "title": f"Notice {word}", "body": f"Draft a notice about {word}: done."}
    await _execute(
        database,
        "INSERT INTO tasks (task_id, user_id, title, body) VALUES (:id, :id, :title, :body)",
        values,
    )


async def _order(database: Database, word: str, fulfilment: str = "works") -> None:
    values = {"id": word, "fulfilment": fulfilment}
    product = "INSERT INTO products VALUES (:id, 'A test', 19.99, 10)"
    await _execute(database, product, {"id": word})
    await _execute(
        database,
        "INSERT INTO orders (order_id, user_id, sku, quantity, card, fulfilment) "
        "VALUES (:id, 'u-1', :id, 3, 'tok_ok', :fulfilment)",
        values,
    )


async def _refused_order(database: Database, word: str) -> None:
    await _order(database, word, "fails")


async def _documents(database: Database, word: str, count: int = 1) -> None:
    async with database.transaction() as connection:
        for number in range(count):
            await library.add_document(
                connection,
                document_id=f"{word}-{number}",
                title=f"Notes on {word}",
                source=f"drill/{word}-{number}",
                content=SECTION.format(word=word),
            )


async def _two_documents(database: Database, word: str) -> None:
    await _documents(database, word, 2)


async def _pool(database: Database, word: str) -> None:
    async with database.statement() as connection:
        await pools.ensure_pool(connection, word, max_parallelism=JOBS)


async def _execute(database: Database, statement: str, values: Mapping[str, object]) -> None:
    async with database.statement() as connection:
        await connection.execute(text(statement), values)


def new_jobs() -> list[NewJob]:
    """The jobs of a run of the pool; each leaves a mark, once."""
    return [COUNTED.new(CountPayload(seconds=0.1)) for _ in range(JOBS)]


def flows(simulator: str) -> Sequence[Flow]:
    """All flows; `simulator` is where the service is that is called."""
    return (
        Flow(
            "debug",
            lambda word: DebugInput(values=(3, 4, 5), pause_s=0.1),
            uses_database=False,
        ),
        Flow(
            "external_call",
            lambda word: ExternalCallInput(url=f"{simulator}/v1/search?name={word}"),
            calls_service=True,
            uses_database=False,
        ),
        Flow(
            "weather_advice",
            lambda word: WeatherAdviceInput(city=city_of(word)),
            asks_model=True,
        ),
        Flow("order", lambda word: OrderInput(order_id=word), _order),
        Flow("order, undone", lambda word: OrderInput(order_id=word), _refused_order),
        Flow(
            "process_task",
            lambda word: TaskInput(user_id=word, task_id=word),
            _task,
            asks_model=True,
        ),
        Flow("tracked", lambda word: TrackedInput(task_id=word), _task, asks_model=True),
        Flow(
            "resilient_task", lambda word: ResilientTaskInput(task_id=word), _task, asks_model=True
        ),
        Flow(
            "review",
            lambda word: ReviewInput(task_id=word, decision_deadline_s=600),
            _task,
            asks_model=True,
            waits=True,
        ),
        Flow(
            "react",
            lambda word: ReActInput(
                agent="support",
                user_id="A-1001",
                task=f"My account is A-1001. Please file a ticket: my monitor {word} is broken.",
            ),
            asks_model=True,
            structured=-1,
        ),
        Flow(
            "support",
            lambda word: SupportInput(
                issue=f"My monitor {word} burns, this is urgent!", user_id="A-1001"
            ),
            asks_model=True,
            structured=-1,
        ),
        Flow(
            "route",
            lambda word: RoutingInput(message=f"What does the Business plan cost? {word}"),
            asks_model=True,
        ),
        Flow(
            "analyze_document",
            lambda word: DocumentAnalysisInput(document_id=f"{word}-0"),
            _documents,
            asks_model=True,
        ),
        Flow(
            "process_documents",
            lambda word: DocumentBatchInput(
                document_ids=(f"{word}-0", f"{word}-1"), pool=word, max_parallelism=2
            ),
            _two_documents,
            asks_model=True,
        ),
        Flow(
            "research",
            lambda word: ResearchInput(query=f"What does the warranty of {word} cover?"),
            asks_model=True,
        ),
        Flow(POOL, prepare=_pool),
    )


def workflow_of(request: BaseModel) -> str:
    """The workflow that takes an input."""
    return f"{type(request).__name__.removesuffix('Input')}Workflow"
