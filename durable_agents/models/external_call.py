"""Input and result of `ExternalCallWorkflow`."""

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from durable_agents.models.base import Deadline, Record

SHOWN_CHARS = 4000
"""A longer body is kept in the database; history and result show its first part."""


_BEGINS = re.compile(r"https?://", re.IGNORECASE)


def _whole(value: str) -> str:
    """An address says how it is reached; where it may lead is judged when it is fetched.

    Raises:
        PydanticCustomError: It is not whole, or of another kind.
    """
    if not _BEGINS.match(value):
        raise PydanticCustomError(
            "address", "it may not be fetched: a whole one has to begin with http:// or https://"
        )
    return value


WebAddress = Annotated[
    str, Field(min_length=1, max_length=2000, pattern=r"\S"), AfterValidator(_whole)
]


class ExternalCallInput(Record):
    """An address to call, and how often and how patiently to try.

    A delay that the server names (`Retry-After`) goes before `initial_delay_s`, `backoff` and
    `maximum_delay_s`.
    """

    url: WebAddress
    maximum_attempts: int = Field(default=5, ge=1, le=100)
    initial_delay_s: float = Field(default=1, ge=0.01, le=3600)
    maximum_delay_s: float = Field(default=30, ge=0.01, le=3600)
    backoff: float = Field(default=2, ge=1, le=100)
    user_id: str = ""
    deadline_s: Deadline = 600

    @model_validator(mode="after")
    def _delays_fit(self) -> Self:
        if self.maximum_delay_s < self.initial_delay_s:
            raise ValueError("maximum_delay_s has to be at least initial_delay_s")
        return self


class FetchedBody(Record):
    """A body that was fetched.

    Attributes:
        url: Where it came from at last, after redirects.
        status: The status of the answer.
        content_type: The media type; empty when the server names none.
        body: The text, or its first 4,000 characters.
        chars: How long the text is as a whole.
        draft: Where the whole text is, in the table of drafts; 0 when `body` is all of it.
    """

    url: str
    status: int = 200
    content_type: str = ""
    body: str = ""
    chars: int = 0
    draft: int = 0


class ExternalCallResult(FetchedBody):
    """What the address answered."""
