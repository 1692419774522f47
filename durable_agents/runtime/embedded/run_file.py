"""`run.json`: where the parts that `up` started listen, for workers, starters and the inbox."""

import json
import os
import tempfile
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from durable_agents.runtime.embedded.process_identity import process_identity


def write_run_file(path: Path, values: dict[str, Any]) -> None:
    """Write the file in one step, readable by its owner only, since it may hold a password.

    Args:
        path: Where.
        values: Settings by field name; who wrote them and when is added.
    """
    content = {
        "pid": os.getpid(),
        "identity": process_identity(os.getpid()),
        "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **values,
    }
    descriptor, name = tempfile.mkstemp(prefix=path.name, dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2)
            file.write("\n")
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def remove_run_file(path: Path) -> None:
    """Remove the file; harmless when it is gone."""
    with suppress(OSError):
        path.unlink(missing_ok=True)
