"""The routes of messages. A new one is an entry here."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field


@dataclass(frozen=True)
class Route:
    """Where messages of one intent go.

    Attributes:
        intent: The word for it.
        description: What the classifier is told: which messages these are.
        agent: The agent of the catalogue that replies.
    """

    intent: str
    description: str
    agent: str


ROUTES: Mapping[str, Route] = {
    route.intent: route
    for route in (
        Route("sales", "buying: prices, plans, offers, trials, more seats or devices", "sales"),
        Route(
            "support",
            "trouble with what the customer has: faults, bills, refunds, deliveries, the account",
            "support",
        ),
        Route(
            "general", "anything else, or a message that does not say what it is about", "general"
        ),
    )
}

GENERAL = ROUTES["general"]
"""Takes what the classifier is not sure about."""


def routes_told() -> str:
    """The routes as the classifier is told of them."""
    return "\n".join(f"- {route.intent}: {route.description}" for route in ROUTES.values())


def _known(intent: str) -> str:
    if intent not in ROUTES:
        raise ValueError(f"must be one of {', '.join(ROUTES)}")
    return intent


class Classification(BaseModel):
    """What a message is about, and how sure that is, from 0 to 1."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Annotated[str, AfterValidator(_known)] = Field(
        description="What the message is about.", json_schema_extra={"enum": list(ROUTES)}
    )
    confidence: float = Field(ge=0, le=1, description="How sure that is, from 0 to 1.")
