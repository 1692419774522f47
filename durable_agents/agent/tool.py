"""What a tool is: a function with a Pydantic argument model, a timeout and a retry policy."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import httpx2
from pydantic import BaseModel, ConfigDict, field_validator

from durable_agents.db.engine import Database
from durable_agents.db.vectors import EmbeddedTexts


@dataclass(frozen=True)
class ToolContext:
    """What a tool may use besides its arguments.

    Attributes:
        database: The project's own database.
        http: The client for calls to the world; it never retries.
        key: The idempotency key of this call: the same for every attempt and after a reset.
        first_stands: Whether the key stands for the effect whatever the arguments are, so that
            a later call with others is told what the first one did.
        run_id: The run that the call belongs to.
        user_id: For whom the run works; opaque.
        geocoding_url: Base address of Open-Meteo's geocoding service.
        forecast_url: Base address of Open-Meteo's forecast service.
        fetch_allow: Exact host:port pairs that fetching may reach although they are private.
        fetch_only: Hosts that alone may be fetched from; any public one when there are none.
        embed_query: Gives a query its vector; None where no embedding model is configured.
    """

    database: Database
    http: httpx2.AsyncClient
    key: str
    run_id: str = ""
    user_id: str = ""
    first_stands: bool = False
    geocoding_url: str = ""
    forecast_url: str = ""
    fetch_allow: frozenset[str] = frozenset()
    fetch_only: frozenset[str] = frozenset()
    embed_query: Callable[[str], Awaitable[EmbeddedTexts]] | None = None


@dataclass(frozen=True)
class Tool:
    """A skill that a model can ask for by name.

    Attributes:
        name: How a model calls it; also the name of its activity.
        description: What the model is told.
        arguments: The model of its arguments; what does not fit is refused before it runs.
        run: The function. It raises an error of the project's tree, or returns a model or text.
        timeout: The longest that one attempt may take.
        attempts: How often it is tried at most.
        effect: Whether others would notice a second call; it then happens once under its key.
        untrusted: Whether its result comes from outside and is marked so for the model.
        about: Says in at most 40 characters what a call is about, for people who watch.
        consequences: One sentence for the person who is asked to approve a call: what it does.
        touches: Says whose data a call reads or writes, by id; empty where it is nobody's.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    run: Callable[[Any, ToolContext], Awaitable[BaseModel | str]]
    timeout: timedelta = timedelta(seconds=30)
    attempts: int = 5
    effect: bool = False
    untrusted: bool = False
    about: Callable[[Any], str] = field(default=lambda arguments: "")
    consequences: str = ""
    touches: Callable[[Any], str] = field(default=lambda arguments: "")


class ToolArguments(BaseModel):
    """The base of every tool's arguments: what does not fit is refused, nothing is ignored."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", str_strip_whitespace=True, coerce_numbers_to_str=True
    )

    @field_validator("*")
    @classmethod
    def _without_nul(cls, value: object) -> object:
        if isinstance(value, str) and "\x00" in value:  # PostgreSQL's text cannot hold it
            raise ValueError("must not contain a NUL character")
        return value


def shortened(text: str, limit: int = 40) -> str:
    """Text on one line, cut to a length; what `Tool.about` answers."""
    line = " ".join(text.split())
    return line if len(line) <= limit else f"{line[: limit - 1]}…"
