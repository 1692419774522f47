"""The connection to Temporal: where it goes, and what is said when it does not come about."""

from pathlib import Path

import pytest
from temporalio.client import Client

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.connection import connect, namespace_of, run_url, sdk_environment
from durable_agents.runtime.settings import Settings


async def test_it_goes_where_the_settings_say(settings: Settings) -> None:
    client = await connect(settings)

    assert client.service_client.config.target_host == settings.temporal_address
    assert client.namespace == "default"


async def test_a_variable_goes_before_the_settings(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEMPORAL_ADDRESS", settings.temporal_address)
    elsewhere = settings.model_copy(update={"temporal_address": "127.0.0.1:1"})

    client = await connect(elsewhere)

    assert client.service_client.config.target_host == settings.temporal_address


def test_the_environment_goes_before_dotenv_for_the_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    filed = {"TEMPORAL_API_KEY": "file", "TEMPORAL_NAMESPACE": "file"}
    settings = Settings.model_validate({"temporal_dotenv": filed})
    monkeypatch.setenv("TEMPORAL_NAMESPACE", "environment")
    monkeypatch.setenv("TEMPORAL_TLS", "")

    given = sdk_environment(settings)

    assert given["TEMPORAL_API_KEY"] == "file"
    assert given["TEMPORAL_NAMESPACE"] == "environment"
    assert "TEMPORAL_TLS" not in given


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"temporal_address": ""}, "No Temporal server is running here"),
        ({"temporal_address": "127.0.0.1:1"}, "nothing listens there"),
        ({"temporal_address": "[::1]:1"}, "does not answer: "),
        ({"temporal_address": "localhost"}, "its address is not HOST:PORT"),
        ({"temporal_address": "127.0.0.1:99999"}, "does not answer: "),
        ({"temporal_namespace": "nowhere"}, "has no namespace nowhere: correct TEMPORAL_NAMESPACE"),
    ],
)
async def test_a_server_that_cannot_be_used_is_one_sentence(
    settings: Settings, values: dict[str, str], said: str
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        await connect(settings.model_copy(update=values))

    assert said in caught.value.message
    assert "\n" not in caught.value.message


async def test_another_server_is_not_taken_for_temporal(settings: Settings) -> None:
    web_page = settings.simulator_url.removeprefix("http://")

    with pytest.raises(ConfigurationError, match=r"refuses|does not speak|does not answer"):
        await connect(settings.model_copy(update={"temporal_address": web_page}))


@pytest.mark.parametrize(
    ("workflow_id", "run_id", "expected"),
    [
        ("a", "", "http://ui/namespaces/default/workflows/a"),
        ("a", "r", "http://ui/namespaces/default/workflows/a/r/history"),
        ("a/b c", "r", "http://ui/namespaces/default/workflows/a%2Fb%20c/r/history"),
    ],
)
def test_the_page_of_a_run(workflow_id: str, run_id: str, expected: str) -> None:
    settings = Settings(temporal_ui_url="http://ui/")

    assert run_url(settings, "default", workflow_id, run_id) == expected


def test_without_a_web_ui_a_run_has_no_page() -> None:
    assert run_url(Settings(), "default", "a", "r") == ""


async def test_clients_say_which_process_they_are(client: Client) -> None:
    assert "@" in client.identity


def test_the_namespace_of_a_profile_goes_before_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "temporal.toml"
    config.write_text('[profile.staging]\nnamespace = "orders"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(config))

    assert namespace_of(Settings()) == "default"
    monkeypatch.setenv("TEMPORAL_PROFILE", "staging")
    assert namespace_of(Settings()) == "orders"
