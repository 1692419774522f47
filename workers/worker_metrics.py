"""What a worker process counts of its own; `/metrics` shows it with the SDK's metrics."""

from collections.abc import Mapping

from temporalio.common import MetricMeter

from durable_agents.db.usage import CallRecord

# A model call takes from tenths of seconds to minutes, a tool from milliseconds on.
CALL_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 40.0, 80.0, 160.0)
TOOL_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
WAIT_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
CALL_USD = (0.00001, 0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0)

BUCKETS: Mapping[str, tuple[float, ...]] = {
    "durable_agents_model_call_duration": CALL_SECONDS,
    "durable_agents_model_cost_usd": CALL_USD,
    "durable_agents_tool_call_duration": TOOL_SECONDS,
    "durable_agents_quota_wait": WAIT_SECONDS,
}
"""The upper bounds of our histograms; the SDK's own are made for milliseconds."""


class WorkerMetrics:
    """Counts model calls, tool calls, waits for quotas and spans that were lost.

    Args:
        meter: That of the process, whose metrics have no labels but those that are given here.
    """

    def __init__(self, meter: MetricMeter) -> None:
        self._calls = meter.create_counter(
            "durable_agents_model_calls", "Attempts at a model call, by how they ended."
        )
        self._call_seconds = meter.create_histogram_float(
            "durable_agents_model_call_duration", "How long model calls took.", "seconds"
        )
        self._tokens = meter.create_counter(
            "durable_agents_model_tokens", "Tokens that went into model calls, and came out."
        )
        self._cost = meter.create_histogram_float(
            "durable_agents_model_cost_usd", "What a model call cost, in US dollars."
        )
        self._tools = meter.create_counter(
            "durable_agents_tool_calls", "Attempts at a tool call, by how they ended."
        )
        self._tool_seconds = meter.create_histogram_float(
            "durable_agents_tool_call_duration", "How long tool calls took.", "seconds"
        )
        self._waits = meter.create_histogram_float(
            "durable_agents_quota_wait", "Waits of model calls for their quota.", "seconds"
        )
        self._reserved = meter.create_counter(
            "durable_agents_quota_tokens_reserved", "Tokens taken before calls."
        )
        self._lost = meter.create_counter(
            "durable_agents_spans_lost", "Spans that did not reach the collector."
        )
        self._lost.add(0)  # so that it is there to be watched

    def called(self, call: CallRecord) -> None:
        """An attempt at a model call is over."""
        by = {"agent": call.agent, "model": call.model}
        ended = {"model": call.model, "outcome": call.outcome}
        self._calls.add(1, {"agent": call.agent, **ended})
        self._call_seconds.record(call.latency_ms / 1000, ended)
        for direction, count in (("input", call.input_tokens), ("output", call.output_tokens)):
            if count:
                self._tokens.add(count, {**by, "direction": direction})
        if call.cost_usd:
            self._cost.record(call.cost_usd, by)

    def acted(self, tool: str, outcome: str, seconds: float) -> None:
        """An attempt at a tool call is over."""
        self._tools.add(1, {"tool": tool, "outcome": outcome})
        self._tool_seconds.record(seconds, {"tool": tool})

    def waited(self, quota: str, seconds: float) -> None:
        """A call waited on the spot, in the slot of its activity."""
        self._waits.record(seconds, {"quota": quota, "where": "worker"})

    def sent_away(self, quota: str, seconds: float) -> None:
        """A call is to come back later, and holds no slot meanwhile."""
        self._waits.record(seconds, {"quota": quota, "where": "server"})

    def reserved(self, model: str, tokens: int) -> None:
        """A call has taken tokens."""
        self._reserved.add(tokens, {"model": model})

    def lost(self, spans: int) -> None:
        """Spans did not reach the collector."""
        self._lost.add(spans)
