"""What the Temporal server says of runs that our tables name."""

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

_NO_SUCH_RUN = frozenset({RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT})


async def is_at_work(client: Client, workflow_id: str, first_run_id: str) -> bool:
    """Whether a chain of runs goes on: a reset or a continuation keeps its first run's id.

    Args:
        client: Whom to ask.
        workflow_id: The workflow's id, which later chains may have as well.
        first_run_id: The chain that is meant.

    Raises:
        RPCError: The server does not answer.
    """
    try:
        seen = await client.get_workflow_handle(workflow_id).describe()
    except RPCError as error:
        if error.status in _NO_SUCH_RUN:
            return False
        raise
    is_open = seen.status == WorkflowExecutionStatus.RUNNING
    return is_open and seen.raw_info.first_run_id == first_run_id
