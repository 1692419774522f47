"""The retry policies, by what a step does.

A server's own word (`Retry-After`) goes before the intervals below. Errors that are final by
their class are never retried; the names listed here are those that the SDK raises itself.
"""

from datetime import timedelta

from temporalio.common import RetryPolicy

FINAL_BY_NAME = ["PayloadsTooLarge", "TypeError", "ValidationError"]

HEARTBEAT_TIMEOUT = timedelta(seconds=5)
"""A worker that died is noticed after this; activities heartbeat by themselves."""

MODEL_CALL = RetryPolicy(
    initial_interval=timedelta(seconds=1),
    backoff_coefficient=2,
    maximum_interval=timedelta(seconds=60),
    maximum_attempts=8,  # 1 + 2 + 4 + … + 60: two minutes, or what the server asks for, 10 at most
    non_retryable_error_types=FINAL_BY_NAME,
)
MODEL_CALL_TIMEOUT = timedelta(minutes=6)  # three asks of two minutes each
MODEL_CALL_IN_ALL = timedelta(hours=1)  # an hour of "try again later" is an outage

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


def tool_call(attempts: int) -> RetryPolicy:
    """The policy of a tool that names how often it is tried."""
    return RetryPolicy(
        initial_interval=SERVICE_CALL.initial_interval,
        backoff_coefficient=SERVICE_CALL.backoff_coefficient,
        maximum_interval=SERVICE_CALL.maximum_interval,
        maximum_attempts=attempts,
        non_retryable_error_types=FINAL_BY_NAME,
    )
