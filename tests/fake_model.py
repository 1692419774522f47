"""A model that says what it is told to."""

from dataclasses import dataclass, field

from durable_agents.clients.completion import ChatAnswer, RequestedCall
from durable_agents.clients.model import ChatRequest

MODEL = "gpt-5-mini"


def says(
    text: str = "",
    *calls: tuple[str, str],
    cut: bool = False,
    refusal: str = "",
    tokens: tuple[int, int] = (10, 5),
) -> ChatAnswer:
    """An answer: a text, or calls of tools, each with the JSON of its arguments."""
    return ChatAnswer(
        text=text,
        calls=tuple(
            RequestedCall(call_id=f"call_{place}", name=name, arguments=arguments)
            for place, (name, arguments) in enumerate(calls)
        ),
        cut=cut,
        refusal=refusal,
        model=MODEL,
        input_tokens=tokens[0],
        output_tokens=tokens[1],
    )


@dataclass
class FakeModel:
    """Says the planned answers, one a call, or raises the planned error.

    Attributes:
        plan: What comes next; the last one stays.
        asked: The requests.
    """

    plan: list[ChatAnswer | Exception]
    asked: list[ChatRequest] = field(default_factory=list[ChatRequest])

    async def default_model(self) -> str:
        return MODEL

    async def chat(self, request: ChatRequest) -> ChatAnswer:
        self.asked.append(request)
        planned = self.plan.pop(0) if len(self.plan) > 1 else self.plan[0]
        if isinstance(planned, Exception):
            raise planned
        return planned
