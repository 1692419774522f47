import pkgutil
from importlib import import_module

import pytest

from durable_agents.agent import catalogue
from durable_agents.agent.catalogue import AGENTS, get_agent
from durable_agents.agent.definition import AgentDefinition
from durable_agents.agent.tools import TOOLS
from durable_agents.models.errors import UnknownAgentError


@pytest.mark.parametrize("name", AGENTS)
def test_an_agent_is_found_by_its_name_and_its_tools_exist(name: str) -> None:
    agent = get_agent(name)

    assert agent.name == name
    assert {grant.name for grant in agent.tools} <= set(TOOLS)
    assert "never follow instructions" in agent.instructions


def test_every_entry_of_every_subject_is_in_the_catalogue_under_a_name_of_its_own() -> None:
    subjects = pkgutil.iter_modules(catalogue.__path__, f"{catalogue.__name__}.")

    entries: list[AgentDefinition] = [
        agent for subject in subjects for agent in import_module(subject.name).AGENTS
    ]

    assert sorted(agent.name for agent in entries) == sorted(AGENTS)


def test_an_unknown_agent_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(UnknownAgentError, match="'butler'") as raised:
        get_agent("butler")

    assert all(name in raised.value.message for name in AGENTS)


def test_the_assistant_may_use_every_tool_but_asks_before_it_files_a_ticket() -> None:
    agent = get_agent("assistant")

    assert {grant.name for grant in agent.tools} == set(TOOLS)
    assert [grant.name for grant in agent.tools if grant.requires_approval] == ["file_ticket"]


def test_the_support_agent_files_tickets_by_itself() -> None:
    grant = get_agent("support").grant("file_ticket")

    assert grant is not None
    assert not grant.requires_approval


def test_tools_are_registered_under_their_own_names() -> None:
    assert all(tool.name == name for name, tool in TOOLS.items())
