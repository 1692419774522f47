"""The signing key of this state folder: made once, readable by its owner only."""

import os
import secrets
from contextlib import suppress
from pathlib import Path

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.settings import SHORTEST_KEY

NAME = "signing.key"


def kept_signing_key(state_dir: Path) -> str:
    """Give the key of a state folder; the first call makes it.

    Raises:
        ConfigurationError: It cannot be read or written, or is none of ours.
    """
    path = state_dir / NAME
    try:
        with suppress(FileExistsError):
            _make(path)
        path.chmod(0o600)
        key = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(
            f"The signing key {path} cannot be kept ({error}): set SIGNING_KEY, or STATE_DIR to a "
            "folder that can be written."
        ) from error
    if len(key) < SHORTEST_KEY:
        raise ConfigurationError(
            f"The signing key {path} is not whole: delete it, and people sign in again."
        )
    return key


def _make(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"{secrets.token_urlsafe(48)}\n")
        file.flush()
        os.fsync(file.fileno())
