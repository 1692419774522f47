"""Failures as workflows and starters see them."""

from temporalio.exceptions import ActivityError, RetryState


def failed_activity(cause: BaseException) -> ActivityError:
    """What is raised where an activity was awaited that failed for good."""
    error = ActivityError(
        "Activity task failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="me",
        activity_type="think",
        activity_id="think-1",
        retry_state=RetryState.MAXIMUM_ATTEMPTS_REACHED,
    )
    error.__cause__ = cause
    return error
