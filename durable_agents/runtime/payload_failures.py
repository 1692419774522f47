"""How failures are written: those of payloads by name, and, where there are keys, encrypted.

Without this an activity whose input cannot be read would fail with "Failed decoding arguments",
be tried again at once, and use up its tries before anybody has put the key back.
"""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import PayloadConverter
from temporalio.exceptions import ApplicationError

from durable_agents.models.errors import (
    DatabaseUnavailableError,
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
        exception = _unwrapped(exception)
        if isinstance(exception, _OF_PAYLOADS):
            PLAIN.to_failure(as_application_error(exception), payload_converter, failure)
        elif isinstance(exception, DatabaseUnavailableError):
            super().to_failure(as_application_error(exception), payload_converter, failure)
        else:
            super().to_failure(exception, payload_converter, failure)


class EncodedFailures(NamedFailures):
    """The same, with messages and stack traces where the codec encrypts them."""

    def __init__(self) -> None:
        super().__init__(encode_common_attributes=True)


PLAIN = RedactingFailureConverter()


def _unwrapped(exception: BaseException) -> BaseException:
    """What kept a payload from being read, out of the SDK's error about arguments: it has no type.

    Whoever wraps an error of ours in one of theirs means theirs.
    """
    cause = exception.__cause__
    wraps = isinstance(exception, ApplicationError) and not exception.type
    return (
        cause
        if wraps and isinstance(cause, (*_OF_PAYLOADS, DatabaseUnavailableError))
        else exception
    )
