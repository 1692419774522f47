"""Signatures of decisions: that our service made one, for a person it knows.

HMAC-SHA256 (RFC 2104) under the service's key, over the run, the request's digest, the person,
the verdict, and the digests of feedback and edit. The Temporal server may have no login, so that
anybody who reaches it can send a decision under any name; nobody without the key can sign one.
"""

import hashlib
import hmac
import json

from durable_agents.models.approval import Decision

_PURPOSE = "durable-agents decision 1"


def signature_of(
    key: str, decision: Decision, *, workflow_id: str, run_id: str, edit: str = ""
) -> str:
    """Sign a decision.

    Args:
        key: The service's signing key.
        decision: What is signed.
        workflow_id: Whose request it is about.
        run_id: The run that asked.
        edit: The text of the edit, if the verdict is one.
    """
    signed = [
        _PURPOSE,
        workflow_id,
        run_id,
        decision.digest,
        decision.by,
        decision.verdict,
        _sha256(decision.feedback),
        _sha256(edit),
    ]
    return hmac.new(_bytes(key), _bytes(json.dumps(signed)), hashlib.sha256).hexdigest()


def is_signed(
    key: str, decision: Decision, *, workflow_id: str, run_id: str, edit: str = ""
) -> bool:
    """Whether a decision carries our signature; never without a key."""
    if not key or not decision.signature:
        return False
    ours = signature_of(key, decision, workflow_id=workflow_id, run_id=run_id, edit=edit)
    return hmac.compare_digest(_bytes(ours), _bytes(decision.signature))


def _sha256(text: str) -> str:
    return hashlib.sha256(_bytes(text)).hexdigest()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
