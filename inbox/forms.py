"""Reads what a form sends, so much and no more."""

from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

MOST_BYTES = 512 * 1024
MOST_FIELDS = 200
DRAINED_BYTES = 8 * 1024 * 1024  # a browser reads the answer only when it has sent its form


class FormError(Exception):
    """What was sent is no form of ours.

    Args:
        status: The status of the answer.
        sentence: What a person is told.
    """

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a form; of those that come twice, the last.

    Raises:
        FormError: It is too large, or no form.
    """
    body = bytearray()
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= MOST_BYTES:
                body += chunk
            elif size > DRAINED_BYTES:
                break
    except ClientDisconnect as error:
        raise FormError(400, "The form did not arrive whole; nothing was done.") from error
    if size > MOST_BYTES:
        raise FormError(
            413,
            "What you sent is too long, and nothing was done with it: at most "
            f"{MOST_BYTES // 1024} KB fit into a decision.",
        )
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise FormError(415, "This is not a form of this page, and nothing was done with it.")
    try:
        pairs = parse_qsl(
            body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise FormError(400, "This form has too many fields; nothing was done with it.") from error
    return {name: value.replace("\r\n", "\n") for name, value in pairs}
