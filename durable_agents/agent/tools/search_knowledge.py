"""The tool `search_knowledge`: passages of the knowledge base."""

import logging
from datetime import timedelta

from pydantic import BaseModel, Field

from durable_agents.agent.knowledge_search import find
from durable_agents.agent.tool import Tool, ToolArguments, ToolContext, shortened

logger = logging.getLogger(__name__)


class SearchKnowledgeArguments(ToolArguments):
    """What to look for."""

    query: str = Field(
        min_length=1, max_length=500, description="The words to look for, few and specific."
    )
    limit: int = Field(default=5, ge=1, le=20, description="How many passages at most.")


class Passage(BaseModel):
    """A passage that fits; the score compares passages of one search only."""

    title: str
    source: str
    excerpt: str
    score: float


class Passages(BaseModel):
    """What was found, the best first; empty when nothing fits."""

    hits: list[Passage]


async def search_knowledge(arguments: SearchKnowledgeArguments, context: ToolContext) -> Passages:
    """Search the documents of the knowledge base, by words and by meaning.

    Raises:
        DatabaseUnavailableError: The database does not answer.
    """
    found = await find(context.database, context.embed_query, arguments.query, arguments.limit)
    if found.note:
        logger.warning("%s", found.note)
    return Passages(
        hits=[
            Passage(
                title=hit.title, source=hit.source, excerpt=hit.excerpt, score=round(hit.score, 4)
            )
            for hit in found.hits
        ]
    )


SEARCH_KNOWLEDGE = Tool(
    name="search_knowledge",
    description=(
        "Search the knowledge base: guides, policies and articles of the company. Returns the "
        "passages that fit best, with title and source, or none."
    ),
    arguments=SearchKnowledgeArguments,
    run=search_knowledge,
    timeout=timedelta(seconds=10),
    untrusted=True,
    about=lambda arguments: shortened(arguments.query),
)
