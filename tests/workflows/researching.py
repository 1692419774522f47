"""Starts research, and reads the report that it saved."""

from typing import Any

from sqlalchemy import select
from temporalio.client import Client, WorkflowHandle

from durable_agents.db.engine import Database
from durable_agents.db.flow_tables import Report
from durable_agents.models.research import ResearchInput, ResearchResult
from tests.workflows import runs

WORKFLOW = "ResearchWorkflow"
QUERY = "How long does a customer have to ask for a refund"


async def start(client: Client, query: str, **options: Any) -> WorkflowHandle[Any, Any]:
    request = ResearchInput(query=query, **options)
    return await runs.start(client, WORKFLOW, request, result_type=ResearchResult)


async def report_of(database: Database, handle: WorkflowHandle[Any, Any]) -> Any:
    query = select(Report.report, Report.confidence, Report.rounds).where(
        Report.run_id == handle.first_execution_run_id
    )
    async with database.statement() as connection:
        return (await connection.execute(query)).one_or_none()
