"""The kinds of jobs, one a module. To add one: write its module, put it into the table."""

from collections.abc import Mapping

from durable_agents.jobs.kind import JobKind
from durable_agents.jobs.kinds.index_passages import INDEX_PASSAGES
from durable_agents.jobs.kinds.ingest_document import INGEST_DOCUMENT
from durable_agents.jobs.kinds.noop import NOOP
from durable_agents.jobs.kinds.reembed_document import REEMBED_DOCUMENT

JOB_KINDS: Mapping[str, JobKind] = {
    kind.name: kind for kind in (NOOP, INGEST_DOCUMENT, REEMBED_DOCUMENT, INDEX_PASSAGES)
}
