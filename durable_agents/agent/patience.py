"""How often a model that cannot be reached is asked, and when.

Temporal counts every attempt of an activity, also one that only waited for a quota. So the
attempts of model calls are unlimited there, and the failures of the provider are counted here.
"""

from datetime import timedelta

from durable_agents.models.errors import DurableAgentsError, ModelOutageError, ModelUnavailableError

MOST_FAILURES = 8  # 1 + 2 + 4 + … + 60: two minutes, or what the server asks for, 10 at most
PATIENCE = 3  # failures; then a model that cannot be reached has failed, if there is another
FIRST_DELAY_S, LONGEST_DELAY_S = 1, 60


def after_failure(error: ModelUnavailableError, failures: int, attempt: int) -> DurableAgentsError:
    """What becomes of an activity whose model could not be reached.

    Args:
        error: Why.
        failures: In how many attempts it could not, this one included.
        attempt: Which attempt of the activity this is; Temporal's own delay counts all of them.
    """
    if failures >= MOST_FAILURES:
        return ModelOutageError(
            f"{error.message} That was the failure number {failures} in a row, so the step is "
            "given up. Start the run again when the model answers."
        )
    if error.retry_after is None and attempt > failures:
        seconds = min(FIRST_DELAY_S * 2 ** (failures - 1), LONGEST_DELAY_S)
        return ModelUnavailableError(error.message, retry_after=timedelta(seconds=seconds))
    return error
