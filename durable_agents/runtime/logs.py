"""Log lines as text for people or JSON for machines; both say which workflow, run and step.

JSON also says which trace and span, where there are traces.

Secrets are taken out of every line, of its message as of a traceback.

A failure that has a name of ours is one line: its sentence says all there is to know. Anything
else comes with its traceback.
"""

import asyncio
import contextlib
import json
import logging
import sys
import threading
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio import activity, workflow
from temporalio.exceptions import FailureError

from durable_agents.models.errors import DurableAgentsError
from durable_agents.telemetry.redaction import SECRETS
from durable_agents.telemetry.spans import SPANS

logger = logging.getLogger(__name__)

# What others say must neither pass for a line of the log nor steer the terminal.
_CONTROLS = {code: None for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"}

_PLACES = {
    "workflow": ("workflow_id",),
    "run": ("workflow_run_id", "run_id"),
    "step": ("activity_id", "step"),
    "attempt": ("attempt",),
}


def configure(*, level: str, form: str, stream: Any = None) -> None:
    """Send the log of this process to standard error.

    Args:
        level: The lowest level that is shown, as `logging` names it.
        form: `text` or `json`.
        stream: Another place than standard error.
    """
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JSONFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # `place_of` says it, and shorter than the SDK, which would put all it knows into the message.
    activity.logger.activity_info_on_message = False
    if form == "json":
        _log_what_nobody_caught()
    workflow.logger.workflow_info_on_message = False


def _log_what_nobody_caught() -> None:
    """Have what ends a thread or the process logged, and warnings, which Python writes as text."""

    def log(error: BaseException | None) -> None:
        if not isinstance(error, SystemExit):
            logger.critical("An error that nobody caught", exc_info=error)

    sys.excepthook = lambda _, error, __: log(error)
    threading.excepthook = lambda ended: log(ended.exc_value)
    logging.captureWarnings(capture=True)


def tell(sentence: str, *, name: str) -> None:
    """Tell people something on standard error, whatever the level; in JSON if the log is that.

    That their disk is full is no reason to stop working.

    Args:
        sentence: What.
        name: The logger that says it.
    """
    formatters = [handler.formatter for handler in logging.getLogger().handlers]
    told = next((one for one in formatters if isinstance(one, JSONFormatter)), None)
    if told is not None:
        sentence = told.format(logging.LogRecord(name, logging.INFO, "", 0, sentence, None, None))
    with contextlib.suppress(OSError):
        sys.stderr.write(f"{sentence}\n")
        sys.stderr.flush()


def place_of(record: logging.LogRecord) -> dict[str, str]:
    """Workflow, run, step and attempt of a log record, as the SDK gave them or where it is made."""
    known: dict[str, object] = _here()
    for source in ("temporal_workflow", "temporal_activity"):
        info: object = getattr(record, source, None)
        if isinstance(info, Mapping):
            known |= dict[str, object](info)  # pyright: ignore[reportUnknownArgumentType] - the SDK's own
    known |= {"step": step} if (step := getattr(record, "step", None)) is not None else {}
    return {
        place: str(known[name])
        for place, names in _PLACES.items()
        for name in names
        if name in known
    }


def _here() -> dict[str, object]:
    """The workflow or activity that runs here; a library that logs inside does not say so."""
    if activity.in_activity():
        info = activity.info()
        return {
            "workflow_id": info.workflow_id,
            "run_id": info.workflow_run_id,
            "activity_id": info.activity_id,
            "attempt": info.attempt,
        }
    if workflow.in_workflow():
        run = workflow.info()
        return {"workflow_id": run.workflow_id, "run_id": run.run_id, "attempt": run.attempt}
    return {}


def _sentence_of(record: logging.LogRecord) -> str:
    """What failed, where it is an error with a name of ours or the SDK's; empty elsewhere."""
    error = record.exc_info[1] if record.exc_info else None
    sentence = " ".join(str(error).split())
    if isinstance(error, DurableAgentsError):
        return f"{type(error).__name__}: {sentence}"
    if isinstance(error, FailureError):
        return sentence
    return "cancelled" if isinstance(error, asyncio.CancelledError) else ""


class JSONFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **place_of(record),
            **SPANS.ids(),
        }
        if sentence := _sentence_of(record):
            line["error"] = sentence
        elif record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        told = {name: SECRETS.redact(str(value)) for name, value in line.items()}
        return json.dumps(told, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Time, level, message, and where it happened; what has several lines is set in."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        place = " ".join(f"{name}={value}" for name, value in place_of(record).items())
        text = f"{time} {record.levelname:<7} {record.getMessage()}"
        sentence = _sentence_of(record)
        if sentence:
            text += f": {sentence}"
        if place:
            text += f" [{place}]"
        if record.exc_info and not sentence:
            text += "\n" + self.formatException(record.exc_info)
        return SECRETS.redact(text).translate(_CONTROLS).replace("\n", "\n    ")
