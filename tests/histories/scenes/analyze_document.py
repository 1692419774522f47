"""Runs of `DocumentAnalysisWorkflow` to record."""

from durable_agents.models.analyze_document import DocumentAnalysisInput
from tests.histories.scene import HANG, Scene, cancel_in

SCENES = (
    Scene("analyze_document.analysed", DocumentAnalysisInput(document_id="refund-policy")),
    Scene(
        "analyze_document.out_of_budget",
        DocumentAnalysisInput(document_id="warranty", allow_partial=True, max_calls=2),
    ),
    Scene("analyze_document.unknown", DocumentAnalysisInput(document_id="no-such-document")),
    Scene(
        "analyze_document.partial",
        DocumentAnalysisInput(document_id="shipping", allow_partial=True),
        "up to five topics",
        ({"status": 401, "times": -1, "error_code": "invalid_api_key"},),
    ),
    Scene(
        "analyze_document.deadline",
        DocumentAnalysisInput(document_id="warranty", deadline_s=1),
        "up to five topics",
        (HANG,),
    ),
    Scene(
        "analyze_document.cancelled",
        DocumentAnalysisInput(document_id="warranty"),
        "Section 1 of 1 of a document",
        (HANG,),
        cancel_in("sentiment: 1-1 of 1, topics: 1-1 of 1, summary: 1-1 of 1"),
    ),
)
