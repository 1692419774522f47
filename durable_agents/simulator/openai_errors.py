"""Errors in the form of OpenAI's API."""

from pydantic import ValidationError
from starlette.responses import JSONResponse

_TYPES = {401: "invalid_request_error", 429: "requests", 500: "server_error", 503: "server_error"}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}


class OpenAIRequestError(Exception):
    """A request that OpenAI would refuse.

    Args:
        status: The HTTP status.
        message: What is wrong.
        code: OpenAI's code of the error, if it has one.
        param: The field that is wrong, if it is one.
    """

    def __init__(
        self, status: int, message: str, *, code: str | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param

    def response(self) -> JSONResponse:
        """Give the answer that says so."""
        return error_response(self.status, self.message, self.code, self.param)


def error_response(
    status: int,
    message: str,
    code: str | None = None,
    param: str | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """Write an error as OpenAI does."""
    kind = _TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    if code == "insufficient_quota":
        kind = code
    code = code or _CODES.get(status)
    error = {"message": message, "type": kind, "param": param, "code": code}
    return JSONResponse({"error": error}, status_code=status, headers=headers)


def malformed(error: ValidationError) -> OpenAIRequestError:
    """Say which field of a body does not fit."""
    first = error.errors()[0]
    param = ".".join(str(step) for step in first["loc"]) or None
    if first["type"] == "json_invalid":
        return OpenAIRequestError(400, "We could not parse the JSON body of your request.")
    return OpenAIRequestError(
        400, f"Invalid value for '{param}': {first['msg']}.", param=param, code="invalid_value"
    )
