"""Work through a task although the agent that should do it fails: another one takes over."""

from durable_agents.models.resilient_task import ResilientTaskInput, ResilientTaskResult
from starters.flow_command import Given, Start, flow_command
from starters.options import TaskId
from starters.terminal import main_of, note, say


@flow_command("ResilientTaskWorkflow", deadline=3600)
def resilient_task(given: Given, task_id: TaskId) -> Start[ResilientTaskResult]:
    """Work through a task although the agent that should do it fails: another one takes over."""
    request = ResilientTaskInput(task_id=task_id, user_id=given.user, deadline_s=given.deadline)
    return Start(request, f"task {task_id}", ResilientTaskResult, show)


def show(result: ResilientTaskResult) -> None:
    """Print the result, whose it is, and why."""
    say(result.result)
    why = f", because the primary agent failed: {result.error}" if result.is_fallback else ""
    note(f"By {result.agent}{why}")


if __name__ == "__main__":
    main_of(resilient_task)
