from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, create_model

from tests.simulator.talking import say, typed, user

DOCUMENT = (
    "Durable execution keeps the state of a program in a history. When a worker crashes, the "
    "history is replayed and the program continues where it stopped. Customers liked the "
    "reliability. They complained about the price of storage, which rose by 12 % in 2025."
)


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Escalation(Strict):
    escalate: bool
    priority: Literal["low", "medium", "high"]
    reason: str


class Intent(Strict):
    type: Literal["sales", "support", "general"]
    confidence: float = Field(ge=0, le=1)


class Sentiment(Strict):
    sentiment: Literal["positive", "neutral", "negative"]
    score: float = Field(ge=-1, le=1)


class Topics(Strict):
    topics: list[str] = Field(min_length=1, max_length=5)


class Finding(Strict):
    claim: str
    confidence: float = Field(ge=0, le=1)
    source: str | None


class Evaluation(Strict):
    findings: list[Finding] = Field(min_length=1)
    confidence: float = Field(ge=0, le=1)
    gaps: list[str]


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Node(Strict):
    name: str
    children: list["Node"]


class Varied(Strict):
    counts: dict[str, int]
    pair: tuple[int, str]
    fixed: Literal["z"]
    either: int | str
    between: int = Field(gt=3, lt=6)
    sevens: int = Field(multiple_of=7, ge=10)
    letters: list[Literal["a", "b", "c"]] = Field(min_length=2, max_length=3)
    day: date
    moment: datetime
    code: str = Field(pattern=r"^[A-Z]{2}-\d{3}(x|y)?$")
    short: str = Field(max_length=3)
    long: str = Field(min_length=40, max_length=60)
    rating: int = Field(ge=1, le=5)
    nothing: None
    seats: int | None
    account_id: str | None
    colour: Colour
    many: list[int] = Field(min_length=4, max_length=4)
    named: dict[str, float] = Field(min_length=2)
    optional: str = "x"
    tree: Node


@pytest.mark.parametrize(
    "text", ["", "hello", DOCUMENT, "Order ORD-7 for 50 seats, by 2026-05-01", "ü" * 500, "?!"]
)
def test_varied_schemas_are_filled_validly(text: str) -> None:
    varied = typed(text, Varied)

    assert varied.between in {4, 5}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    least=st.integers(0, 50),
    width=st.integers(0, 50),
    text=st.text(max_size=200),
    name=st.sampled_from(["summary", "confidence", "topics", "x", "count", "title", "source"]),
)
def test_bounds_hold_for_any_text_and_name(least: int, width: int, text: str, name: str) -> None:
    texts = Annotated[str, Field(min_length=least, max_length=least + width)]
    numbers = Annotated[int, Field(ge=least, le=least + width)]
    lists = Annotated[list[str], Field(min_length=least // 5, max_length=least // 5 + width)]
    fields: dict[str, Any] = {
        name: (texts, ...),
        f"{name}_number": (numbers, ...),
        f"{name}_list": (lists, ...),
    }
    bounded: type[BaseModel] = create_model("Bounded", **fields)

    typed(text, bounded)


def test_optional_facts_are_null_unless_the_text_has_them() -> None:
    with_facts = typed("We are A-1001 and need 50 seats.", Varied)
    without = typed("We need help.", Varied)

    assert (with_facts.account_id, with_facts.seats) == ("A-1001", 50)
    assert (without.account_id, without.seats) == (None, None)


@pytest.mark.parametrize(
    ("text", "escalate", "priority"),
    [
        ("My printer is on fire!", True, "high"),
        ("Third time I am charged twice, this is unacceptable", True, "medium"),
        ("How do I change my password? Not urgent.", False, "low"),
    ],
)
def test_escalation_follows_the_vocabulary(text: str, escalate: bool, priority: str) -> None:
    asked = [user(text), {"role": "assistant", "content": "Hm."}, user("Should this be escalated?")]

    decision = typed(asked, Escalation)

    assert (decision.escalate, decision.priority) == (escalate, priority)


@pytest.mark.parametrize(
    ("text", "intent"),
    [
        ("I want to buy 50 seats, what is the price?", "sales"),
        ("My login fails with an error", "support"),
        ("Thanks, where are you located?", "general"),
    ],
)
def test_intents_follow_the_vocabulary_and_are_sure(text: str, intent: str) -> None:
    classified = typed(f"Classify the message.\n\nMessage: {text}", Intent)

    assert classified.type == intent
    assert classified.confidence >= 0.7


def test_an_unclear_message_is_classified_without_confidence() -> None:
    assert typed("hmm", Intent).confidence <= 0.5


@pytest.mark.parametrize(
    ("text", "sentiment"),
    [
        ("I love it, it is wonderful.", "positive"),
        ("Terrible. It broke at once.", "negative"),
        ("The box is square.", "neutral"),
    ],
)
def test_sentiment_follows_the_lexicon(text: str, sentiment: str) -> None:
    assert typed(text, Sentiment).sentiment == sentiment


def test_topics_come_from_the_text() -> None:
    topics = typed(f"Name the topics of this document:\n\n{DOCUMENT}", Topics).topics

    assert "durable execution" in topics


def test_confidence_rises_with_each_revision() -> None:
    question = "What are the benefits of durable execution?"
    draft, confidences = "Durable execution keeps state. It replays.", list[float]()
    for _ in range(4):
        text = f"Question: {question}\n\nReport:\n{draft}"
        confidences.append(typed(f"{text}\n\nEvaluate it.", Evaluation).confidence)
        critique = say(
            [{"role": "system", "content": "You are a critic. Review the report."}, user(text)]
        )
        refine = (
            f"Question: {question}\n\nDraft:\n{draft}\n\nReview:\n{critique.content}\n\nRefine it."
        )
        draft = say(refine).content or ""

    assert confidences == sorted(set(confidences))
    assert confidences[0] < 0.8 <= confidences[-1]


def test_plain_json_has_the_keys_that_the_prompt_names() -> None:
    prompt = 'Answer in JSON: {"sentiment": "…", "confidence": 0.5}. I love it.'

    said = say(prompt, response_format={"type": "json_object"}).content

    assert said is not None
    assert set(Sentimental.model_validate_json(said).model_dump()) == {"sentiment", "confidence"}


class Sentimental(Strict):
    sentiment: str
    confidence: float


class Urgent(BaseModel):
    escalate: bool
    priority: Literal["low", "medium", "high"]


def test_urgency_is_judged_by_the_customers_words_and_not_by_the_reply() -> None:
    calm = '<untrusted source="customer">\nThanks, all is well.\n</untrusted>'
    reply = '<untrusted source="reply">\nIn an emergency or outage call us.\n</untrusted>'

    judged = typed(f"Should this be escalated?\n\n{calm}\n\n{reply}", Urgent)

    assert (judged.escalate, judged.priority) == (False, "low")
