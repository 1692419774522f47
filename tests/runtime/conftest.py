"""State folders that leave nothing behind."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from durable_agents.runtime.embedded.postgres_home import remove_home


@pytest.fixture
def state_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="da-test-") as folder:
        yield Path(folder)
        remove_home(Path(folder))
