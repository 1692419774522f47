"""The tool `lookup_account`: what is known of a customer."""

from datetime import timedelta

from pydantic import Field

from durable_agents.agent.tool import Tool, ToolArguments, ToolContext, shortened
from durable_agents.db import accounts


class LookupAccountArguments(ToolArguments):
    """Whose account."""

    account_id: str = Field(
        min_length=1, max_length=100, description="The account's id, exactly as it was given."
    )


async def lookup_account(
    arguments: LookupAccountArguments, context: ToolContext
) -> accounts.AccountRecord:
    """Read an account.

    Raises:
        NotFoundError: There is none of this id.
        DatabaseUnavailableError: The database does not answer.
    """
    async with context.database.statement() as connection:
        return await accounts.get_account(connection, arguments.account_id)


LOOKUP_ACCOUNT = Tool(
    name="lookup_account",
    description=(
        "Look up a customer's account by its id: name, email, plan, city, balance in US dollars "
        "and status."
    ),
    arguments=LookupAccountArguments,
    run=lookup_account,
    timeout=timedelta(seconds=10),
    untrusted=True,  # customers choose their names
    about=lambda arguments: shortened(arguments.account_id),
    touches=lambda arguments: arguments.account_id,
)
