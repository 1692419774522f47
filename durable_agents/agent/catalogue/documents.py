"""Agents that read a document section by section."""

from durable_agents.agent.definition import UNTRUSTED, AgentDefinition, AgentLimits
from durable_agents.models.analyze_document import Sentiment, Summary, Topics

_READS = f"You read one section of a document at a time. Judge by the text alone. {UNTRUSTED}"

AGENTS = (
    AgentDefinition(
        name="document_sentiment",
        instructions=f"Say how the text feels: label and score from -1 to 1. {_READS}",
        output_type=Sentiment,
        limits=AgentLimits(output_tokens=200),
    ),
    AgentDefinition(
        name="document_topics",
        instructions=f"Name what the text is about: up to five topics of a few words. {_READS}",
        output_type=Topics,
        limits=AgentLimits(output_tokens=300),
    ),
    AgentDefinition(
        name="document_summary",
        instructions=(
            "Summarise the text in three sentences, with the names and figures that matter. "
            f"{_READS}"
        ),
        output_type=Summary,
        limits=AgentLimits(output_tokens=600),
    ),
)
