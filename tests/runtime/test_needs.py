"""What is configured is not started."""

from pathlib import Path

import pytest

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.embedded.needs import needs_postgres, needs_simulator, needs_temporal
from durable_agents.runtime.settings import Settings


@pytest.fixture(autouse=True)
def no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", "/no/such/file.toml")
    monkeypatch.delenv("TEMPORAL_PROFILE", raising=False)


def settings(**values: str) -> Settings:
    return Settings.load(values, dotenv=None, use_run_file=False)


def test_with_nothing_configured_everything_is_started() -> None:
    given = settings()

    assert (needs_temporal(given), needs_postgres(given), needs_simulator(given)) == (True,) * 3


def test_a_database_that_is_set_is_used() -> None:
    assert not needs_postgres(settings(DATABASE_URL="postgresql+psycopg://db/x"))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"OPENAI_API_KEY": "sk"}, False),
        ({"OPENAI_BASE_URL": "http://127.0.0.1:11434/v1"}, False),
        ({"TEMPORAL_ADDRESS": "temporal:7233"}, False),
        ({"TEMPORAL_ADDRESS": "temporal:7233", "SIMULATOR": "on"}, True),
        ({"OPENAI_API_KEY": "sk", "SIMULATOR": "on"}, True),
        ({"SIMULATOR": "off"}, False),
        ({"SIMULATOR_URL": "http://sim:8230"}, False),
        ({"SIMULATOR_URL": "http://sim:8230", "SIMULATOR": "on"}, False),
    ],
)
def test_the_simulator_runs_while_no_model_is_configured_or_where_it_is_asked_for(
    values: dict[str, str], expected: bool
) -> None:
    assert needs_simulator(settings(**values)) is expected


def test_a_profile_of_the_sdk_counts_as_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "temporal.toml"
    config.write_text('[profile.staging]\naddress = "temporal.staging:7233"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(config))

    assert needs_temporal(settings())
    monkeypatch.setenv("TEMPORAL_PROFILE", "staging")
    assert not needs_temporal(settings())
    assert not needs_simulator(settings())


def test_a_profile_that_is_not_there_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PROFILE", "nowhere")

    with pytest.raises(ConfigurationError, match="TEMPORAL_PROFILE"):
        needs_temporal(settings())
