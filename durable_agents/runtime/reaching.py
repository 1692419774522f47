"""Why a Temporal server was not reached, in words for people.

The SDK gives a dump of its inner errors. So what it tried is tried again, one layer after the
other, by Python's own sockets and TLS, which tell one cause from another.
"""

import asyncio
import socket
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path

from temporalio.envconfig import ClientConnectConfig
from temporalio.service import TLSConfig

PROBE_TIMEOUT_S = 2
DOES_NOT_SPEAK = "what listens there does not speak as a Temporal server does"

OUR_CERTIFICATES = (
    "Correct TEMPORAL_TLS_CLIENT_CERT_PATH, TEMPORAL_TLS_CLIENT_KEY_PATH and "
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH (or ..._DATA, or the profile)."
)
ITS_CERTIFICATE = (
    "Have it renewed or corrected there; or name its authority with "
    "TEMPORAL_TLS_SERVER_CA_CERT_PATH, and the name it stands for with TEMPORAL_TLS_SERVER_NAME."
)
# What a server says of the client's certificate, by OpenSSL's names of the alerts.
_REFUSALS = {
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "our client certificate has expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "our client certificate is revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not accept our client certificate",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept our client certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it does not accept our kind of client certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not know who issued our client certificate",
    "TLSV1_ALERT_ACCESS_DENIED": "it does not let our client certificate in",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it asks for a client certificate",
}


@dataclass(frozen=True)
class Reason:
    """What is wrong, what to do about it where that is known, and whether it may pass by itself."""

    what: str
    to_do: str = ""
    may_pass: bool = True


def tls_of(config: ClientConnectConfig) -> TLSConfig | None:
    """The TLS that the SDK uses for this; None when it uses none. An API key brings TLS along."""
    tls = config.get("tls")
    if isinstance(tls, TLSConfig):
        return tls
    if tls is None:
        tls = bool(config.get("api_key"))
    return TLSConfig() if tls else None


async def why_not_reached(address: str, tls: TLSConfig | None) -> Reason:
    """Find out why a server was not reached.

    Args:
        address: Where it should be, as HOST:PORT.
        tls: With which TLS; None without.
    """
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit():
        return Reason("its address is not HOST:PORT", may_pass=False)
    host = host.strip("[]")
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            _, writer = await asyncio.open_connection(host, int(port))
    except TimeoutError:
        return Reason("nothing came back in time")
    except (OSError, OverflowError, UnicodeError) as error:
        return Reason(_words(error))
    writer.close()
    if tls is None:
        return Reason(f"{DOES_NOT_SPEAK} (is TLS set as it wants?)")
    return await _why_no_tls(host, int(port), tls)


async def _why_no_tls(host: str, port: int, tls: TLSConfig) -> Reason:
    try:
        context = _context(tls)
    except (ssl.SSLError, ValueError) as error:
        reason = getattr(error, "reason", None) or "no certificate in PEM form"
        what = f"the certificates for it cannot be used ({_small(str(reason))})"
        return Reason(what, OUR_CERTIFICATES, may_pass=False)
    try:
        async with asyncio.timeout(PROBE_TIMEOUT_S):
            reader, writer = await asyncio.open_connection(
                host, port, ssl=context, server_hostname=tls.domain or host
            )
            try:
                await reader.read(1)  # with TLS 1.3 our certificate is refused only now
            finally:
                writer.close()
    except ssl.SSLCertVerificationError as error:
        what = f"its certificate does not hold ({error.verify_message.rstrip('.')})"
        return Reason(what, ITS_CERTIFICATE, may_pass=False)
    except ssl.SSLError as error:
        refused = _REFUSALS.get(error.reason or "")
        if refused:
            return Reason(refused, OUR_CERTIFICATES, may_pass=False)
        return Reason(f"there is no TLS with it ({_small(error.reason or str(error))})")
    except TimeoutError:
        return Reason("over TLS, nothing came back in time")
    except OSError as error:
        return Reason(_words(error))
    return Reason(DOES_NOT_SPEAK)


def _context(tls: TLSConfig) -> ssl.SSLContext:
    """What the SDK was given, for Python's TLS.

    Raises:
        ssl.SSLError: A certificate or a key cannot be used.
        ValueError: The same, when it is not even text.
    """
    authority = tls.server_root_ca_cert
    context = ssl.create_default_context(cadata=authority.decode("ascii") if authority else None)
    context.set_alpn_protocols(["h2"])
    if tls.client_cert and tls.client_private_key:
        with tempfile.TemporaryDirectory() as folder:  # nobody else's to read; OpenSSL wants files
            certificate, key = Path(folder, "certificate"), Path(folder, "key")
            certificate.write_bytes(tls.client_cert)
            key.write_bytes(tls.client_private_key)
            context.load_cert_chain(certificate, key)
    return context


def _small(name: str) -> str:
    return name.replace("_", " ").lower()


def _words(error: Exception) -> str:
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, socket.gaierror):
        return "there is no host of this name"
    return str(getattr(error, "strerror", "") or error).rstrip(".")
