"""How long a model's answers to an agent are: what a call is likely to use, not what it may.

A quota of tokens is drawn from before a call is made. Who takes the longest answer that is
allowed holds back others for nothing until the answer is there. The mean of the last answers and
their mean deviation are kept as TCP keeps those of its round trips (Jacobson, "Congestion
Avoidance and Control", SIGCOMM 1988). What a call has used in the end is settled in any case, so
the quota holds whatever is expected here.
"""

from dataclasses import dataclass

from durable_agents.agent.context import estimate_tokens
from durable_agents.clients.model import ChatRequest

GAIN_OF_MEAN, GAIN_OF_DEVIATION = 1 / 8, 1 / 4
DEVIATIONS = 2
MOST_KEPT = 1000  # pairs of agent and model; agents are few


@dataclass
class _Seen:
    mean: float
    deviation: float


class AnswerLengths:
    """The lengths of answers, in tokens, that one process has seen."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], _Seen] = {}

    def size(self, agent: str, request: ChatRequest) -> int:
        """About how many tokens a call takes: what goes in, and the answer that is expected."""
        given = (*request.tools, request.response_format or "")
        schemas = sum(len(str(schema)) for schema in given)
        longest = request.max_output_tokens
        going_in = estimate_tokens(request.messages, schemas)
        return going_in + self.expected(agent, request.model, longest)

    def expected(self, agent: str, model: str, longest: int) -> int:
        """How many tokens an answer is likely to have; the longest one while none was seen."""
        seen = self._seen.get((agent, model))
        if seen is None:
            return longest
        return min(longest, round(seen.mean + DEVIATIONS * seen.deviation))

    def note(self, agent: str, model: str, tokens: int) -> None:
        """Note how many tokens an answer had."""
        seen = self._seen.get((agent, model))
        if seen is not None:
            away = tokens - seen.mean
            seen.mean += GAIN_OF_MEAN * away
            seen.deviation += GAIN_OF_DEVIATION * (abs(away) - seen.deviation)
        elif len(self._seen) < MOST_KEPT:
            self._seen[agent, model] = _Seen(mean=tokens, deviation=tokens / 2)
