"""The ways through the flows that a run takes only when something happens to it.

A model that refuses for good, a person who says no, a compensation that cannot be done, a cancel:
each is arranged for one run alone, so that it takes the same way whatever fault it meets.
"""

import json
from collections.abc import Callable, Sequence

from durable_agents.agent.catalogue import get_agent
from durable_agents.models.analyze_document import DocumentAnalysisInput
from durable_agents.models.order import OrderInput
from durable_agents.models.react import ReActInput
from durable_agents.models.resilient_task import ResilientTaskInput
from durable_agents.models.review import ReviewInput
from durable_agents.models.tracked import TrackedInput
from tests.drills import rows
from tests.drills.flows import Flow, city_of

DECISION_S = 600
TASK_BEGINS = '<untrusted source="task">\nNotice '
SECTION_BEGINS = 'Section 1 of 1 of a document:\n\n<untrusted source="document">\n# Notes on '


def asked_of(agent: str, opening: str) -> Callable[[str], str]:
    """What the requests to one agent contain about a run, as the client of the model writes JSON.

    Args:
        agent: The agent, known by its instructions.
        opening: What the prompt says before it names the run's word.
    """
    system = {"role": "system", "content": get_agent(agent).instructions}

    def match(word: str) -> str:
        messages = [system, {"role": "user", "content": opening + word}]
        written = json.dumps(messages, separators=(",", ":"), ensure_ascii=False)
        return written.partition(word)[0] + word

    return match


def branches() -> Sequence[Flow]:
    """The branches, each with how a run of it is made to take it."""
    return (*_of_orders(), *_of_models(), *_of_agents())


def _of_orders() -> Sequence[Flow]:
    return (
        Flow(
            "order, refund given up",
            lambda word: OrderInput(order_id=word),
            rows.put_unrefundable_order,
            gives_up=True,
            fails_in=("fulfil-order", "undo-charge-payment"),
        ),
        Flow(
            "order, cancelled",
            lambda word: OrderInput(order_id=word),
            rows.put_order,
            cancelled_in="charge-payment",
        ),
    )


def _of_models() -> Sequence[Flow]:
    return (
        Flow(
            "resilient_task, fallback",
            lambda word: ResilientTaskInput(task_id=word),
            rows.put_task,
            asks_model=True,
            refused=asked_of("primary_worker", TASK_BEGINS),
            fails_in=("primary",),
        ),
        Flow(
            "tracked, failed",
            lambda word: TrackedInput(task_id=word),
            rows.put_task,
            refused=asked_of("task_worker", TASK_BEGINS),
            fails_in=("step1",),
        ),
        Flow(
            "analyze_document, partial",
            lambda word: DocumentAnalysisInput(document_id=f"{word}-0", allow_partial=True),
            rows.put_document,
            asks_model=True,
            refused=asked_of("document_topics", SECTION_BEGINS),
            fails_in=("topics-1",),
        ),
        Flow(
            "review, rejected",
            lambda word: ReviewInput(task_id=word, decision_deadline_s=DECISION_S),
            rows.put_task,
            asks_model=True,
            structured=-1,  # the revision
            decisions=("reject", "approve"),
        ),
    )


def _of_agents() -> Sequence[Flow]:
    return (
        Flow("react, approved", _filing, asks_model=True, structured=-1, decisions=("approve",)),
        Flow("react, refused", _filing, asks_model=True, structured=-1, decisions=("reject",)),
        Flow(
            "react, out of rounds",
            lambda word: ReActInput(
                agent="support",
                user_id="A-1001",
                task=f"My account is A-1001. Please file a ticket: my monitor {word} is broken.",
                max_rounds=1,
            ),
            asks_model=True,
            structured=None,
        ),
        Flow(
            "react, weather",
            lambda word: ReActInput(
                task=f"What is the weather in {city_of(word)}? It is for {word}."
            ),
            calls_service=True,
            has_city=True,
        ),
    )


def _filing(word: str) -> ReActInput:
    return ReActInput(
        agent="assistant",
        user_id="A-1001",
        asked_by=word,
        task=f"file a ticket for account A-1001: printer {word} is on fire",
        decision_deadline_s=DECISION_S,
    )
