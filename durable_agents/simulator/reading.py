"""What one request says, gathered once for all the fields of a structured answer."""

import re
from functools import cached_property

from durable_agents.simulator.answering import answer_to
from durable_agents.simulator.conversation import Conversation, ToolResult
from durable_agents.simulator.judgements import (
    Urgency,
    foundation_of,
    urgency_of,
    without_revisions,
)
from durable_agents.simulator.lexicons import key_phrases, sentiment_of
from durable_agents.simulator.revising import review_points
from durable_agents.simulator.sentences import best_sentences, shortened

_SOURCE = re.compile(r"\[source: ([^\]]+)\]|(https?://[^\s<>\"'\])}]+)", re.I)
_QUESTION_WORDS = re.compile(
    r"^(?:what|which|who|why|how|when|where)\s+(?:is|are|was|were|do|does|did|can|should)\s+", re.I
)


class Reading:
    """The conversation as the author of a structured answer sees it.

    Args:
        conversation: The messages.
        results: What tools returned for the task.
    """

    def __init__(self, conversation: Conversation, results: list[ToolResult]) -> None:
        self.conversation = conversation
        self.results = results

    @property
    def asked(self) -> str:
        """What the person asks for."""
        return self.conversation.prompt.asked

    @property
    def question(self) -> str:
        """The heart of what is asked."""
        return self.conversation.prompt.question

    @cached_property
    def text(self) -> str:
        """The text in hand: the material, else what tools returned, else the question itself."""
        prompt = self.conversation.prompt
        returned = "\n".join(result.text for result in self.results if not result.error)
        return prompt.material or returned or prompt.question

    @cached_property
    def people(self) -> str:
        """The words of people, on which intent and urgency are judged."""
        prompt = self.conversation.prompt
        return prompt.people or prompt.material or prompt.question

    @cached_property
    def everything(self) -> str:
        """All that a fact may be taken from."""
        before = self.conversation.said_before
        return "\n".join(dict.fromkeys((self.asked, self.text, before)))

    @cached_property
    def answer(self) -> str:
        """The answer in words."""
        return answer_to(self.conversation, self.results)

    @cached_property
    def sentiment(self) -> float:
        """How the text feels, from -1 to 1."""
        return sentiment_of(self.text)

    @cached_property
    def urgency(self) -> Urgency:
        """How pressing the message is."""
        return urgency_of(self.people)

    @cached_property
    def foundation(self) -> float:
        """How well the text in hand answers the question, from 0 to 1."""
        return foundation_of(self.text, self.question)

    @cached_property
    def weak_points(self) -> list[str]:
        """What a reviewer would ask for."""
        return review_points(self.text, self.question)

    @cached_property
    def sources(self) -> list[str]:
        """The sources that the text names."""
        found = (match.group(1) or match.group(2) for match in _SOURCE.finditer(self.everything))
        return list(dict.fromkeys(source.rstrip(".,;") for source in found))

    def phrases(self, count: int) -> list[str]:
        """The phrases that say what the text is about."""
        return key_phrases(self.text, count)

    def sentences(self, count: int) -> list[str]:
        """The sentences that say most on the question."""
        return best_sentences(without_revisions(self.text), count, self.question)

    def sub_questions(self, count: int) -> list[str]:
        """Questions that lead to an answer of the whole one."""
        topic = shortened(_QUESTION_WORDS.sub("", self.question.rstrip(" ?.!")), 120)
        kinds = (
            f"What is known about: {topic}?",
            f"Which evidence is there on: {topic}?",
            f"What speaks against it, and what is uncertain: {topic}?",
            f"What follows in practice from: {topic}?",
        )
        return list(kinds[:count])
