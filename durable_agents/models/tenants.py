"""How a tenant is named where names are short: as the key by which the server takes turns."""

import hashlib

_LONGEST_KEY = 64  # bytes, says the server


def tenant_key(tenant: str) -> str:
    """The tenant's name, or its digest where that is too long for the server."""
    named = tenant.encode()
    if len(named) <= _LONGEST_KEY:
        return tenant
    return hashlib.sha256(named).hexdigest()
