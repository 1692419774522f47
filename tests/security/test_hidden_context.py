"""What a model is told beside the conversation may be read out: it has to be worth nothing."""

from durable_agents.agent.calls import schemas_of
from durable_agents.agent.catalogue import AGENTS
from durable_agents.agent.definition import UNTRUSTED
from durable_agents.runtime.settings import Settings
from durable_agents.telemetry.redaction import SecretFilter


def told_to_all() -> str:
    """Instructions and tools of all agents."""
    return "\n".join(
        f"{one.instructions_for('A-1001')} {schemas_of(one)}" for one in AGENTS.values()
    )


def test_what_agents_are_told_holds_no_secret_of_the_settings(settings: Settings) -> None:
    told = told_to_all()
    names = [name.upper() for name in Settings.model_fields]

    assert SecretFilter().redact(told) == told
    assert settings.database_url.get_secret_value() not in told
    assert not [name for name in names if name in told]


def test_every_agent_is_told_what_a_fence_means() -> None:
    assert [one.name for one in AGENTS.values() if UNTRUSTED not in one.instructions] == []
