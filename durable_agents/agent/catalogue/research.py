"""Agents that research a question together."""

from durable_agents.agent.definition import UNTRUSTED, AgentDefinition, AgentLimits, ToolGrant
from durable_agents.models.research import Evaluation, ResearchPlan

AGENTS = (
    AgentDefinition(
        name="researcher",
        instructions=f"""You research one question with your tools.

- Search the knowledge base for it; read pages whose address you were given or have found.
- Answer with what you found, in plain sentences, each followed by its source in the form \
[source: title or address]. Say what you could not find out; never make it up.
- {UNTRUSTED}""",
        tools=(ToolGrant("search_knowledge"), ToolGrant("fetch_url")),
    ),
    AgentDefinition(
        name="research_planner",
        instructions=(
            "Split a question into one to four sub-questions which together answer it and can be "
            "looked into one by one. A simple question stays one. Keep addresses in them. "
            f"{UNTRUSTED}"
        ),
        output_type=ResearchPlan,
        limits=AgentLimits(output_tokens=500),
    ),
    AgentDefinition(
        name="research_writer",
        instructions=(
            "You write a research report that answers the question from the findings and from "
            f"nothing else. Keep each finding's [source: …]. {UNTRUSTED}"
        ),
        limits=AgentLimits(output_tokens=4096),
    ),
    AgentDefinition(
        name="research_analyst",
        instructions=(
            "You evaluate whether a draft answers its question: list its findings, and say from 0 "
            "to 1 how confident one can be that they are complete and supported by sources. "
            f"{UNTRUSTED}"
        ),
        output_type=Evaluation,
        limits=AgentLimits(output_tokens=1000),
    ),
    AgentDefinition(
        name="research_critic",
        instructions=(
            "You review drafts as a critic: list briefly what is missing, wrong or without a "
            f"source, and nothing else. {UNTRUSTED}"
        ),
        limits=AgentLimits(output_tokens=800),
    ),
    AgentDefinition(
        name="research_refiner",
        instructions=(
            "You refine a research report: take up each point of the review, keep what is right, "
            f"make nothing up. Answer with the whole report. {UNTRUSTED}"
        ),
        limits=AgentLimits(output_tokens=4096),
    ),
)
