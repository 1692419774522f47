"""The tool `file_ticket`: a ticket for the people who support customers, filed once."""

from datetime import timedelta

from pydantic import Field, field_validator

from durable_agents.agent.tool import Tool, ToolArguments, ToolContext, shortened
from durable_agents.db import tickets


class FileTicketArguments(ToolArguments):
    """What the ticket says."""

    subject: str = Field(min_length=1, max_length=200, description="The issue in a few words.")
    description: str = Field(
        min_length=1,
        max_length=10_000,
        description="What happened, what was tried, and what is asked for.",
    )
    account_id: str | None = Field(
        default=None, max_length=100, description="The customer's account, if it is known."
    )
    priority: tickets.Priority = Field(
        default="medium", description="high only for money, security, or work that stands still."
    )

    @field_validator("account_id")
    @classmethod
    def _none_for_empty(cls, value: str | None) -> str | None:
        return value or None  # models write "" where they know none


async def file_ticket(arguments: FileTicketArguments, context: ToolContext) -> tickets.FiledTicket:
    """File a ticket: the first delivery of a call writes it, any other returns the same.

    Where `first_stands`, so does a call with other arguments.

    Raises:
        NotFoundError: There is no account of this id.
        DatabaseUnavailableError: The database does not answer.
    """
    return await tickets.file_ticket(
        context.database,
        key=context.key,
        run_id=context.run_id,
        subject=arguments.subject,
        description=arguments.description,
        priority=arguments.priority,
        account_id=arguments.account_id,
        first_stands=context.first_stands,
    )


FILE_TICKET = Tool(
    name="file_ticket",
    description=(
        "File a ticket for the support team, when people have to act. Returns its number. "
        "File one for an issue, not several."
    ),
    arguments=FileTicketArguments,
    run=file_ticket,
    effect=True,
    timeout=timedelta(seconds=10),  # the mutation itself closes within 5 s
    about=lambda arguments: shortened(arguments.subject),
    consequences="A ticket is filed, and the people of the support team act on it.",
)
