"""Ingestion: what its jobs are given, and what they say in the end."""

from durable_agents.models.base import Record

INGEST_POOL = "ingest"
"""The work pool whose jobs fill the knowledge base."""


class IngestPayload(Record):
    """The upload that is to become a document."""

    upload_id: int
    source: str = ""


class IngestedDocument(Record):
    """What became of an upload.

    `unchanged` says that the document was there already, `superseded` that a later version of it
    was given meanwhile; both write nothing.
    """

    document_id: str = ""
    title: str = ""
    chunks: int = 0
    unchanged: bool = False
    superseded: bool = False


class ReembedPayload(Record):
    """The document whose passages are to get vectors of the current embedding model.

    Those that have one of this dimension keep it; 0 is any.
    """

    document_id: str
    dimension: int = 0


class ReembeddedDocument(Record):
    """How many passages got a vector."""

    chunks: int = 0


class IndexPayload(Record):
    """Nothing: the index is that of the current embedding model."""


class IndexedPassages(Record):
    """Whether an index was made."""

    made: bool = False
