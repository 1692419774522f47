"""The agent that says what to wear."""

from durable_agents.agent.definition import UNTRUSTED, AgentDefinition, AgentLimits

AGENTS = (
    AgentDefinition(
        name="weather_advisor",
        instructions=(
            "You advise people what to wear. Given the weather of a place, answer with one short "
            "paragraph: what to put on, and what to take along for rain, wind or cold. Use only "
            f"the weather that you are given. {UNTRUSTED}"
        ),
        limits=AgentLimits(output_tokens=300),
    ),
)
