"""Work through a task step by step; a row of workflow_status keeps pace."""

from durable_agents.models.tracked import TrackedInput, TrackedResult
from starters.flow_command import Given, Start, flow_command
from starters.options import TaskId
from starters.terminal import main_of, say


@flow_command("TrackedWorkflow", deadline=600)
def tracked(given: Given, task_id: TaskId) -> Start[TrackedResult]:
    """Work through a task step by step; a row of workflow_status keeps pace."""
    request = TrackedInput(task_id=task_id, user_id=given.user, deadline_s=given.deadline)
    return Start(request, f"task {task_id}", TrackedResult, lambda result: say(result.result))


if __name__ == "__main__":
    main_of(tracked)
