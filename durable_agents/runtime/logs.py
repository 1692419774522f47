"""Log lines as text for people or JSON for machines; both say which workflow, run and step."""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from temporalio import activity, workflow

_PLACES = {
    "workflow_id": "workflow",
    "workflow_run_id": "run",
    "run_id": "run",
    "activity_id": "step",
    "attempt": "attempt",
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
    # The formatters below say where; the SDK would say it in each message, too.
    workflow.logger.workflow_info_on_message = False
    activity.logger.activity_info_on_message = False


def place_of(record: logging.LogRecord) -> dict[str, str]:
    """Workflow, run, step and attempt of a log record, where the SDK gave them."""
    found: dict[str, str] = {}
    for source in ("temporal_workflow", "temporal_activity"):
        info: object = getattr(record, source, None)
        if isinstance(info, Mapping):
            for key, value in dict[str, object](info).items():  # pyright: ignore[reportUnknownArgumentType] - the SDK's own
                if key in _PLACES:
                    found[_PLACES[key]] = str(value)
    step: object = getattr(record, "step", None)  # of a workflow, which names its steps itself
    if step is not None:
        found["step"] = str(step)
    return found


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
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Time, level, message, and where it happened."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        time = datetime.fromtimestamp(record.created, UTC).astimezone().strftime("%H:%M:%S")
        place = " ".join(f"{name}={value}" for name, value in place_of(record).items())
        text = f"{time} {record.levelname:<7} {record.getMessage()}"
        if place:
            text += f" [{place}]"
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return text
