"""The step that notifies a user, for every flow: its failure is told, and undoes nothing."""

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, TimeoutError, is_cancelled_exception  # noqa: A004

with workflow.unsafe.imports_passed_through():
    from activities.notifications import NotificationActivities
    from durable_agents.models import queues
    from durable_agents.models.notifications import NotifyInput, NotifyOutcome
    from workflows import policies
    from workflows.flow import reason_of

NOTIFY_TIMEOUT = timedelta(seconds=45)  # 10 for a connection, 20 to send, 10 again, 5 to spare
NOTIFY_IN_ALL = timedelta(minutes=2)
ERROR_CHARS = 500


async def notify(
    user_id: str,
    title: str,
    body: str,
    *,
    step: str = "notify",
    key: str = "",
    within: timedelta = NOTIFY_IN_ALL,
) -> NotifyOutcome:
    """Notify a user, once for the chain of runs and the step, also after a reset.

    Args:
        user_id: Whom.
        title: One line.
        body: What there is to know.
        step: The id of the step, unique in the run.
        key: What makes it happen once, where that is not the step of the chain of runs.
        within: The longest that all attempts may take.

    Returns:
        How it went. Only cancelling the run raises.
    """
    key = key or f"{workflow.info().first_execution_run_id}:{step}"
    try:
        return await workflow.execute_activity_method(
            NotificationActivities.notify,
            NotifyInput(key=key, user_id=user_id, title=title[:200], body=body[:2000]),
            activity_id=step,
            task_queue=queues.TOOLS,
            start_to_close_timeout=min(NOTIFY_TIMEOUT, within),
            schedule_to_close_timeout=within,
            heartbeat_timeout=policies.HEARTBEAT_TIMEOUT,
            retry_policy=policies.SERVICE_CALL,
            summary=f"notify {user_id}: {title}"[:200],
        )
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise
        status = "uncertain" if isinstance(error.cause, TimeoutError) else "failed"
        return NotifyOutcome(status=status, error=reason_of(error)[:ERROR_CHARS])
