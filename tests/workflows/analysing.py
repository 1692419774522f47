"""Stores documents, starts their analyses, and reads what was saved."""

from typing import Any

from sqlalchemy import select, text
from temporalio.client import Client, WorkflowHandle

from durable_agents.db.engine import Database
from durable_agents.db.flow_tables import Analysis
from durable_agents.models.analyze_document import DocumentAnalysisInput, DocumentAnalysisResult
from tests.workflows import runs

WORKFLOW = "DocumentAnalysisWorkflow"
GLAD = "The new depot is wonderful and the drivers are happy with the excellent routes. "
PLAIN = "The contract lists the depots of the northern region and their opening hours. "


async def new_document(database: Database, content: str) -> str:
    """A document of the test's own, which names itself, so that faults find it."""
    document_id = runs.token()
    statement = text(
        "INSERT INTO documents (document_id, title, source, content, content_hash)"
        " VALUES (:id, :title, 'test', :content, md5(:content))"
    )
    async with database.statement() as connection:
        values = {"id": document_id, "title": f"About {document_id}"}
        await connection.execute(statement, {**values, "content": content})
    return document_id


async def start(client: Client, document_id: str, **options: Any) -> WorkflowHandle[Any, Any]:
    request = DocumentAnalysisInput(document_id=document_id, **options)
    return await runs.start(client, WORKFLOW, request, result_type=DocumentAnalysisResult)


async def saved(database: Database, document_id: str) -> dict[str, Any] | None:
    async with database.statement() as connection:
        return await connection.scalar(select(Analysis.result).filter_by(document_id=document_id))
