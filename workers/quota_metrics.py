"""What quotas cost, as metrics of the worker process; `/metrics` shows them with the SDK's own."""

from temporalio import activity
from temporalio.common import MetricMeter


class QuotaMetrics:
    """Counts waits for quotas, and the tokens that calls have taken before they were made.

    The SDK hands out its meter to activities; calls that are none are not counted.
    """

    def waited(self, quota: str, seconds: float) -> None:
        """A call waited on the spot, in the slot of its activity."""
        _record_wait(quota, "worker", seconds)

    def sent_away(self, quota: str, seconds: float) -> None:
        """A call is to come back later, and holds no slot meanwhile."""
        _record_wait(quota, "server", seconds)

    def reserved(self, model: str, tokens: int) -> None:
        """A call has taken tokens."""
        meter = _meter()
        if meter is not None:
            meter.create_counter(
                "durable_agents_quota_tokens_reserved", "Tokens taken before calls.", "tokens"
            ).add(tokens, {"model": model})


def _record_wait(quota: str, where: str, seconds: float) -> None:
    meter = _meter()
    if meter is not None:
        meter.create_histogram_float(
            "durable_agents_quota_wait", "Waits of model calls for their quota.", "s"
        ).record(seconds, {"quota": quota, "where": where})


def _meter() -> MetricMeter | None:
    return activity.metric_meter() if activity.in_activity() else None
