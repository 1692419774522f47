"""One workflow as two releases have it: the second rests before its step."""

from datetime import timedelta

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from durable_agents.models.base import Record

NAME = "ChangedWorkflow"
QUEUE = "two-versions"


class ChangedInput(Record):
    """What a run counts under."""

    name: str


@workflow.defn(name=NAME)
class Before:
    """Counts, then waits for the signal `go`."""

    def __init__(self) -> None:
        self._may_go = False

    @workflow.run
    async def run(self, request: ChangedInput) -> str:
        """Count, then wait."""
        counted = await _count(request)
        await workflow.wait_condition(lambda: self._may_go)
        return counted

    @workflow.signal
    def go(self) -> None:
        """Go on."""
        self._may_go = True


@workflow.defn(name=NAME)
class After:
    """Rests before it counts."""

    def __init__(self) -> None:
        self._may_go = False

    @workflow.run
    async def run(self, request: ChangedInput) -> str:
        """Rest, count, then wait."""
        await workflow.sleep(0.01)
        counted = await _count(request)
        await workflow.wait_condition(lambda: self._may_go)
        return counted

    @workflow.signal
    def go(self) -> None:
        """Go on."""
        self._may_go = True


async def _count(request: ChangedInput) -> str:
    return await workflow.execute_activity(
        "count_once",
        request,
        result_type=str,
        activity_id="count",
        start_to_close_timeout=timedelta(seconds=10),
    )


class Counting:
    """Counts how often each name is counted."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    @activity.defn(name="count_once")
    async def count_once(self, request: ChangedInput) -> str:
        """Count."""
        self.counts[request.name] = self.counts.get(request.name, 0) + 1
        return request.name
