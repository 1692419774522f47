"""The flows of the drills: how a run of its own is made ready, and who does what in it.

Each run has a word that nothing else says. It stands in its workflow ids, in the rows that it
works on, and in what it asks the model, so that all it leaves can be counted.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote_plus
from zlib import crc32

from pydantic import BaseModel

from durable_agents.db.engine import Database
from durable_agents.models.analyze_document import DocumentAnalysisInput
from durable_agents.models.approval import Verdict
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
from tests.drills import rows
from tests.drills.counting_worker import COUNTED, CountPayload
from tests.workflows.runs import token

Make = Callable[[str], BaseModel]
Prepare = Callable[[Database, str], Awaitable[None]]

POOL = "work_pool"
MANY_TRIES = 10_000  # to find a city that no other run has
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
            agent takes, not a fault. None where there is no such call.
        refused: What those of its model calls contain that the model always refuses, from its
            word; they are not among the calls that a model's faults meet.
        decisions: What a person says to its requests, one after the other.
        gives_up: Whether a person gives up what it cannot undo.
        cancelled_in: The step after whose work it is cancelled, before that is reported.
        fails_in: The steps that fail for good, so that there is no moment after their work.
        uses_database: Whether its steps need the database, so that that one's faults fit it.
        has_city: Whether the service is asked about a city, which no other run has.
    """

    name: str
    make: Make | None = None
    prepare: Prepare | None = None
    asks_model: bool = False
    calls_service: bool = False
    structured: int | None = 0
    refused: Callable[[str], str] | None = None
    decisions: tuple[Verdict, ...] = ()
    gives_up: bool = False
    cancelled_in: str = ""
    fails_in: tuple[str, ...] = ()
    uses_database: bool = True
    has_city: bool = False

    def match(self, word: str, route: str = "chat") -> str:
        """What the requests of a run to the model or the service contain, and no other's."""
        if not self.has_city:
            return word
        if route == "weather":
            return f"name={quote_plus(city_of(word))}&"
        if self.name == "weather_advice":
            return f"\\n{city_of(word)}"  # the line of the prompt that begins with it, as JSON
        return word


def words_for(flows: Sequence[Flow]) -> list[str]:
    """A word for a run of each; what the runs ask models and services tells them apart."""
    words: list[str] = []
    cities: set[str] = set()
    for flow in flows:
        fresh = (token() for _ in range(MANY_TRIES))
        word = next(one for one in fresh if not flow.has_city or city_of(one) not in cities)
        if flow.has_city:
            cities.add(city_of(word))
        words.append(word)
    return words


def city_of(word: str) -> str:
    """A city for a run."""
    return CITIES[crc32(word.encode()) % len(CITIES)]


def new_jobs() -> list[NewJob]:
    """The jobs of a run of the pool; each leaves a mark, once."""
    return [COUNTED.new(CountPayload(seconds=0.1)) for _ in range(rows.JOBS)]


def flows(simulator: str) -> Sequence[Flow]:
    """All flows, as they go when all is well; `simulator` is where the service is."""
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
            calls_service=True,
            has_city=True,
        ),
        Flow("order", lambda word: OrderInput(order_id=word), rows.put_order),
        Flow(
            "order, undone",
            lambda word: OrderInput(order_id=word),
            rows.put_refused_order,
            fails_in=("fulfil-order",),
        ),
        Flow(
            "process_task",
            lambda word: TaskInput(user_id=word, task_id=word),
            rows.put_task,
            asks_model=True,
        ),
        Flow("tracked", lambda word: TrackedInput(task_id=word), rows.put_task, asks_model=True),
        Flow(
            "resilient_task",
            lambda word: ResilientTaskInput(task_id=word),
            rows.put_task,
            asks_model=True,
        ),
        Flow(
            "review",
            lambda word: ReviewInput(task_id=word, decision_deadline_s=600),
            rows.put_task,
            asks_model=True,
            decisions=("approve",),
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
            rows.put_document,
            asks_model=True,
        ),
        Flow(
            "process_documents",
            lambda word: DocumentBatchInput(
                document_ids=(f"{word}-0", f"{word}-1"), pool=word, max_parallelism=2
            ),
            rows.put_two_documents,
            asks_model=True,
        ),
        Flow(
            "research",
            lambda word: ResearchInput(query=f"What does the warranty of {word} cover?"),
            asks_model=True,
        ),
        Flow(POOL, prepare=rows.put_pool),
    )


def workflow_of(request: BaseModel) -> str:
    """The workflow that takes an input."""
    return f"{type(request).__name__.removesuffix('Input')}Workflow"
