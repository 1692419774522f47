"""Every error of the project, in one tree.

    DurableAgentsError
    ├── FinalError                    trying again cannot help
    │   ├── InputError                what was asked for cannot be done as asked
    │   │   ├── UnknownAgentError
    │   │   ├── UnknownToolError
    │   │   ├── ToolArgumentsError
    │   │   ├── UnknownCityError
    │   │   ├── NotFoundError         a task, thread, account or document that is not there
    │   │   ├── TaskValidationError   a task that is not the user's, or has no text
    │   │   ├── DecisionRefusedError  a decision that a run does not take
    │   │   ├── ForbiddenAddressError an address that fetching is not allowed to reach
    │   │   └── InsufficientStockError
    │   ├── PaymentDeclinedError      the gateway refuses the card
    │   ├── PaymentRequestError       the gateway refuses the request, or our key
    │   ├── FulfilmentError           the warehouse refuses the order
    │   ├── OrderUndoneError          another run undid the order meanwhile
    │   ├── RefundUnderWayError       what an order was charged before is not given back yet
    │   ├── IdempotencyConflictError  the same key with another request
    │   ├── StaleJobError             a job that was handed to another meanwhile
    │   ├── ModelRequestError         the model's server refuses the request for good
    │   │   ├── ModelAuthenticationError
    │   │   └── ModelQuotaError       the account has no credit left
    │   ├── ModelOutageError          the model stayed away for as many tries as it gets
    │   ├── ModelOutputError          the model's answer stays unusable after being asked again
    │   ├── DatabaseRefusedError      data that does not fit the tables
    │   ├── HttpStatusError           an answer of 4xx
    │   ├── ResponseTooLargeError
    │   ├── PayloadTooLargeError      a value that is larger than the payload store takes
    │   ├── BudgetExceededError
    │   ├── QuotaSizeError            a call that is larger than its quota
    │   ├── DeadlineExceededError
    │   └── ConfigurationError        a setting, or a part that is not running
    └── TransientError                another try may help
        ├── ModelUnavailableError     429, 5xx, a connection that broke, no answer in time
        ├── QuotaWaitError            a quota is used up: later, and no failure
        ├── ServiceUnavailableError   the same for any other service
        ├── PaymentUnavailableError   the same for a payment gateway: it may have charged
        ├── PayloadKeyError           an encrypted value whose key is not here, or is another one
        ├── PayloadLostError          a value whose bytes are not in the payload store, or damaged
        └── DatabaseUnavailableError

An error's class decides whether it is retried; its name is what history records as its type.
Nothing in the project looks at the text of an error to decide anything.
"""

from datetime import timedelta

from durable_agents.models.status import Usage


class DurableAgentsError(Exception):
    """What every error of the project is; the message says what failed, why, and what to do.

    `usage` is what the failed step has paid for all the same.
    """

    def __init__(self, message: str) -> None:
        """Keep the sentence that a person will read."""
        super().__init__(message)
        self.message = message
        self.usage = Usage()


class FinalError(DurableAgentsError):
    """Trying again cannot help."""


class InputError(FinalError):
    """What was asked for cannot be done as asked."""


class UnknownAgentError(InputError):
    """No agent of this name is in the catalogue."""


class UnknownToolError(InputError):
    """No tool of this name exists, or this agent may not use it."""


class ToolArgumentsError(InputError):
    """The arguments of a tool call do not fit the tool."""


class UnknownCityError(InputError):
    """The weather service knows no city of this name."""


class NotFoundError(InputError):
    """The row that an id names is not there."""


class TaskValidationError(InputError):
    """A user has no such task, or it has no text to work on."""


class DecisionRefusedError(InputError):
    """A run does not take a decision: nothing waits for it, it is stale, or does not fit."""


class ForbiddenAddressError(InputError):
    """The address is private, link-local, or otherwise one that fetching may not reach."""


class InsufficientStockError(InputError):
    """Less is in stock than an order asks for."""


class PaymentDeclinedError(FinalError):
    """The payment gateway refuses the card."""


class PaymentRequestError(FinalError):
    """The payment gateway refuses the request, or our key."""


class FulfilmentError(FinalError):
    """The warehouse refuses the order."""


class OrderUndoneError(FinalError):
    """Another run of the same order has undone it meanwhile."""


class RefundUnderWayError(FinalError):
    """What an order was charged before is not given back yet: it is not charged again till then."""


class IdempotencyConflictError(FinalError):
    """An idempotency key was used before with another request."""


class StaleJobError(FinalError):
    """A job was handed to another, was cancelled or is finished: its old holder writes nothing."""


class ModelRequestError(FinalError):
    """The model's server refuses the request for good."""


class ModelAuthenticationError(ModelRequestError):
    """The model's server does not accept the API key."""


class ModelQuotaError(ModelRequestError):
    """The account at the model's provider has no credit left."""


class ModelOutageError(FinalError):
    """The model's server did not answer, or said "later", for as many tries as it gets."""


class ModelOutputError(FinalError):
    """The model's answer stays unusable after it was asked again."""


class DatabaseRefusedError(FinalError):
    """The database refuses data that does not fit its tables."""


class HttpStatusError(FinalError):
    """A service answered with a status of 4xx."""


class ResponseTooLargeError(FinalError):
    """A body is larger than what may be read."""


class PayloadTooLargeError(FinalError):
    """A value is larger than what the payload store takes."""


class BudgetExceededError(FinalError):
    """A run has used up what it may spend, or its tenant what it may spend in a day."""


class QuotaSizeError(FinalError):
    """A call is larger than what its quota gives in a minute."""


class DeadlineExceededError(FinalError):
    """A run did not end by its deadline."""


class ConfigurationError(FinalError):
    """A setting is missing or wrong, or a part that is needed is not running.

    Args:
        message: What failed, why, what to do.
        may_pass: Whether it may be otherwise soon without anybody doing anything about it here: a
            server that boots later, tables that another process is about to make.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        """Keep the sentence and whether waiting may help."""
        super().__init__(message)
        self.may_pass = may_pass


class TransientError(DurableAgentsError):
    """Another try may help.

    Args:
        message: What failed, why, what to do.
        retry_after: How long the service asked us to wait, if it did.
    """

    def __init__(self, message: str, *, retry_after: timedelta | None = None) -> None:
        """Keep the sentence and the delay that the service named."""
        super().__init__(message)
        self.retry_after = retry_after


class ModelUnavailableError(TransientError):
    """The model's server answered 429 or 5xx, broke the connection, or did not answer in time."""


class QuotaWaitError(TransientError):
    """A quota is used up for longer than an activity waits; this is not a failure of the model.

    Args:
        message: What is used up.
        retry_after: When to come back.
        held: Whether the provider asked everyone to wait, and it is not our own limit.
    """

    def __init__(self, message: str, *, retry_after: timedelta, held: bool) -> None:
        """Keep the sentence, the delay and who asked for it."""
        super().__init__(message, retry_after=retry_after)
        self.held = held


class ServiceUnavailableError(TransientError):
    """A service answered 429 or 5xx, broke the connection, or did not answer in time."""


class PaymentUnavailableError(TransientError):
    """A payment gateway does not answer, or cannot tell: it may have charged."""


class DatabaseUnavailableError(TransientError):
    """The database does not answer."""


class PayloadKeyError(TransientError):
    """An encrypted value cannot be read with the keys that are here; with the right one it can."""


class PayloadLostError(TransientError):
    """A value's bytes are not in the payload store, or are damaged; a backup brings them back."""
