"""The signing key: made once, kept from others, and handed to the processes that need it."""

import json
from pathlib import Path

import pytest

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.services import EmbeddedServices
from durable_agents.runtime.embedded.signing_key import NAME, kept_signing_key
from durable_agents.runtime.settings import Settings


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path: Path) -> None:
    first = kept_signing_key(tmp_path)
    (tmp_path / NAME).chmod(0o644)

    again = kept_signing_key(tmp_path)

    assert again == first
    assert len(first) == 64
    assert (tmp_path / NAME).stat().st_mode & 0o777 == 0o600


def test_two_folders_have_two_keys(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()

    assert kept_signing_key(tmp_path) != kept_signing_key(tmp_path / "other")


def test_a_key_that_was_cut_is_refused(tmp_path: Path) -> None:
    (tmp_path / NAME).write_text("abc")

    with pytest.raises(ConfigurationError, match=r"signing\.key is not whole: delete it"):
        kept_signing_key(tmp_path)


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be kept"):
        kept_signing_key(tmp_path / "missing")


async def test_processes_find_the_key_in_a_file_that_only_their_owner_reads(
    services: EmbeddedServices, settings: Settings
) -> None:
    found = Settings.load({"STATE_DIR": str(settings.state_dir)}, dotenv=None)

    assert len(found.signing_key.get_secret_value()) == 64
    assert found.signing_key == services.settings.signing_key
    assert settings.run_file.stat().st_mode & 0o777 == 0o600
    assert "signing_key" in json.loads(settings.run_file.read_text())
    assert found.signing_key.get_secret_value() not in repr(found)


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="SIGNING_KEY is not usable: it needs at least 32"):
        Settings.load({"SIGNING_KEY": "x" * 31}, dotenv=None, use_run_file=False)


def test_proxies_are_a_list() -> None:
    settings = Settings.load(
        {"INBOX_PROXIES": "10.0.0.1, 10.0.0.2,"}, dotenv=None, use_run_file=False
    )

    assert settings.inbox_proxies == ("10.0.0.1", "10.0.0.2")
