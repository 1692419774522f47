"""Runs of `DocumentBatchWorkflow` to record."""

from durable_agents.models.process_documents import DocumentBatchInput
from tests.histories.scene import HANG, Scene, cancel_in

SLOW = "up to five topics"
SCENES = (
    Scene(
        "process_documents.processed",
        DocumentBatchInput(document_ids=("refund-policy", "warranty", "no-such-document")),
    ),
    Scene("process_documents.unknown_batch", DocumentBatchInput(batch="no-such-batch")),
    Scene(
        "process_documents.deadline",
        DocumentBatchInput(document_ids=("shipping", "warranty"), deadline_s=2),
        SLOW,
        (HANG,),
    ),
    Scene(
        "process_documents.cancelled",
        DocumentBatchInput(document_ids=("shipping", "warranty")),
        SLOW,
        (HANG,),
        cancel_in("process documents"),
    ),
    Scene(
        "process_documents.continued_as_new",
        DocumentBatchInput(document_ids=("shipping",), pool="documents-early", deadline_s=9),
        SLOW,
        (HANG,),
        last="process_documents.resumed",
    ),
)
