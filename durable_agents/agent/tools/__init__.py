"""Every tool there is. A new one is a file beside these and a line below."""

from collections.abc import Mapping

from durable_agents.agent.tool import Tool
from durable_agents.agent.tools.calculate import CALCULATE
from durable_agents.agent.tools.fetch_url import FETCH_URL
from durable_agents.agent.tools.file_ticket import FILE_TICKET
from durable_agents.agent.tools.lookup_account import LOOKUP_ACCOUNT
from durable_agents.agent.tools.search_knowledge import SEARCH_KNOWLEDGE
from durable_agents.agent.tools.weather import GET_WEATHER

TOOLS: Mapping[str, Tool] = {
    tool.name: tool
    for tool in (CALCULATE, GET_WEATHER, FETCH_URL, SEARCH_KNOWLEDGE, LOOKUP_ACCOUNT, FILE_TICKET)
}
