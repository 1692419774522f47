"""Which failures stay readable where there are keys: those of payloads, and no others."""

import pytest
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from durable_agents.models.errors import (
    DatabaseUnavailableError,
    DurableAgentsError,
    InputError,
    PayloadKeyError,
)
from durable_agents.runtime.converter import DATA_CONVERTER
from durable_agents.runtime.payload_failures import EncodedFailures


def written(error: BaseException) -> Failure:
    failure = Failure()
    EncodedFailures().to_failure(error, DATA_CONVERTER.payload_converter, failure)
    return failure


def wrapped(error: DurableAgentsError, *, final: bool = False) -> ApplicationError:
    """As the SDK wraps what decoding raises, and as people wrap errors of their own."""
    try:
        raise ApplicationError("The wrapping.", non_retryable=final) from error
    except ApplicationError as raised:
        return raised


def test_a_key_that_is_gone_is_named_in_plain_and_comes_back_later() -> None:
    failure = written(wrapped(PayloadKeyError("The key is gone.")))

    assert failure.message == "The key is gone."
    assert failure.application_failure_info.type == "PayloadKeyError"
    assert not failure.application_failure_info.non_retryable


def test_a_database_that_is_away_is_named_and_its_sentence_is_for_the_codec() -> None:
    failure = written(wrapped(DatabaseUnavailableError("The database at 10.0.0.1 is away.")))

    assert failure.application_failure_info.type == "DatabaseUnavailableError"
    assert failure.message == "Encoded failure"


@pytest.mark.parametrize("final", [False, True])
def test_an_error_that_caused_somebodys_own_is_neither_shown_nor_put_in_its_place(
    final: bool,
) -> None:
    failure = written(wrapped(InputError("The customer rosebud is unknown."), final=final))

    assert "rosebud" not in str(failure.message) + str(failure.cause.message)
    assert failure.message == "Encoded failure"
    assert b"The wrapping." in failure.encoded_attributes.data
    assert failure.application_failure_info.non_retryable is final
