"""How errors become failures of a history: as the SDK makes them, without secrets."""

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter
from temporalio.exceptions import FailureError

from durable_agents.telemetry.redaction import SECRETS


class RedactingFailureConverter(DefaultFailureConverter):
    """Takes secrets out of the message and the traceback of an error and of all its causes.

    It does so before the SDK moves them into a payload, where that is asked for.
    """

    def _error_to_failure(
        self, error: FailureError, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        super()._error_to_failure(error, payload_converter, failure)
        failure.message = SECRETS.redact(failure.message)
        failure.stack_trace = SECRETS.redact(failure.stack_trace)
