"""What every workflow gets by default: its input is checked before it runs.

The SDK reads one input by its model and fails the run when it does not fit. No input, several,
`null` and bare bytes are not read by a model: the workflow's code would trip over them, and the
run would hang in retries of that.
"""

from typing import Any

from pydantic import BaseModel
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from durable_agents.models.errors import InputError


class WorkflowDefaults(Interceptor):
    """Gives workflows what they should have by default, not by memory."""

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002 - the SDK names it
    ) -> type[WorkflowInboundInterceptor]:
        """Wrap the execution of workflows."""
        return _CheckedInput


class _CheckedInput(WorkflowInboundInterceptor):
    async def execute_workflow(
        self,
        input: ExecuteWorkflowInput,  # noqa: A002 - the SDK names it
    ) -> Any:
        """Run a workflow whose input is one object; fail any other with what to do."""
        if len(input.args) != 1 or not isinstance(input.args[0], BaseModel):
            raise InputError(
                f"{input.type.__name__} takes one JSON object as its input, and got "
                f"{_told(input.args)}. Start it again with one."
            )
        return await super().execute_workflow(input)


def _told(given: Any) -> str:
    if len(given) == 1:
        return "null" if given[0] is None else "something else"
    return f"{len(given)} inputs" if given else "none"
