"""How failures are written: those of payloads by name, and, where there are keys, encrypted.

Without this an activity whose input cannot be read would fail with "Failed decoding arguments",
be tried again at once, and use up its tries before anybody has put the key back.
"""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import PayloadConverter
from temporalio.exceptions import ApplicationError

from durable_agents.models.errors import (
    DurableAgentsError,
    PayloadKeyError,
    PayloadLostError,
    PayloadTooLargeError,
)
from durable_agents.runtime.activity_interceptor import as_application_error
from durable_agents.runtime.failure_converter import RedactingFailureConverter

_OF_PAYLOADS = (PayloadKeyError, PayloadLostError, PayloadTooLargeError)


class NamedFailures(RedactingFailureConverter):
    """The converter without secrets, which names what kept a payload from being read or written."""

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Write a failure. That of a payload stays readable: it holds nothing of the payload."""
        cause = _of_payloads(exception)
        if cause is None:
            super().to_failure(exception, payload_converter, failure)
            return
        PLAIN.to_failure(as_application_error(cause), payload_converter, failure)


class EncodedFailures(NamedFailures):
    """The same, with messages and stack traces where the codec encrypts them."""

    def __init__(self) -> None:
        super().__init__(encode_common_attributes=True)


PLAIN = RedactingFailureConverter()


def _of_payloads(exception: BaseException) -> DurableAgentsError | None:
    if isinstance(exception, _OF_PAYLOADS):
        return exception
    if not isinstance(exception, ApplicationError) or exception.type:
        return None
    # The SDK wraps what decoding raises in an error without a type; ours always have one.
    wrapped = exception.__cause__
    return wrapped if isinstance(wrapped, DurableAgentsError) else None
