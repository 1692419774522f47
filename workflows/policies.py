"""The retry policies, by what a step does.

A server's own word (`Retry-After`) goes before the intervals below. Errors that are final by
their class are never retried; the names listed here are those that the SDK raises itself.
"""

from datetime import timedelta

from temporalio.common import RetryPolicy

FINAL_BY_NAME = ["PayloadsTooLarge", "TypeError", "ValidationError"]

HEARTBEAT_TIMEOUT = timedelta(seconds=5)
"""A worker that died is noticed after this; activities heartbeat by themselves."""
JOB_HEARTBEAT_TIMEOUT = timedelta(seconds=10)
"""For the jobs of a pool: a hundred at once on a machine that is too busy were late by 5 s."""

MODEL_CALL = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=60),
    # Attempts that waited for a quota are no failures: those are counted in agent/patience.py.
    maximum_attempts=0,
    non_retryable_error_types=FINAL_BY_NAME,
)
MODEL_CALL_TIMEOUT = timedelta(minutes=6, seconds=30)  # three asks of 2 min and 5 s for a quota
MODEL_CALL_IN_ALL = timedelta(hours=1)  # with all waits, also for a quota

SERVICE_CALL = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=5,
    non_retryable_error_types=FINAL_BY_NAME,
)
SERVICE_CALL_TIMEOUT = timedelta(seconds=30)

PAYMENT = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=30),
    maximum_attempts=15,  # 31 s, then 9 times 30: as long as DATABASE, which it also writes to
    non_retryable_error_types=FINAL_BY_NAME,
)
PAYMENT_TIMEOUT = timedelta(seconds=60)  # a look-up and a charge of 20 s each, and the database

DATABASE = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=15),
    maximum_attempts=26,  # about five minutes: longer than a server takes to restart
    non_retryable_error_types=FINAL_BY_NAME,
)
DATABASE_TIMEOUT = timedelta(seconds=20)  # ten for a connection, five to write, five to spare

OUTLASTING = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=15),
    maximum_attempts=0,  # who waits for a person for days does not give up after five minutes
    non_retryable_error_types=FINAL_BY_NAME,
)
CLAIM = RetryPolicy(
    initial_interval=timedelta(milliseconds=200),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=60),
    maximum_attempts=0,  # a lane outlasts any outage of the database: its jobs wait there
    non_retryable_error_types=FINAL_BY_NAME,
)
ONE_ATTEMPT = RetryPolicy(maximum_attempts=1)
"""For the jobs of a pool: the pool tries them again itself, and keeps no lane waiting for that."""


def tool_call(attempts: int) -> RetryPolicy:
    """The policy of a tool that names how often it is tried."""
    return RetryPolicy(
        initial_interval=SERVICE_CALL.initial_interval,
        backoff_coefficient=SERVICE_CALL.backoff_coefficient,
        maximum_interval=SERVICE_CALL.maximum_interval,
        maximum_attempts=attempts,
        non_retryable_error_types=FINAL_BY_NAME,
    )
