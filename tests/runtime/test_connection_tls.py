"""Servers with TLS: reached with what a profile or variables say, and what is said otherwise.

A front that ends TLS stands before the session's Temporal server.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.connection import connect, way_to
from durable_agents.runtime.settings import Settings

AUTHORITY = trustme.CA()
STRANGER = trustme.CA()
PAST = datetime.now(UTC) - timedelta(days=1)


def expired(authority: trustme.CA, name: str) -> trustme.LeafCert:
    return authority.issue_cert(name, not_before=PAST - timedelta(days=1), not_after=PAST)


SetUp = Callable[[dict[str, str]], None]


@pytest.fixture
def set_up(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> SetUp:
    """Sets TEMPORAL_* variables, with the authority's certificate unless told otherwise."""
    AUTHORITY.cert_pem.write_to_path(tmp_path / "authority.pem")

    def variables(given: dict[str, str]) -> None:
        known = {"TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(tmp_path / "authority.pem")}
        for name, value in {**known, **given}.items():
            monkeypatch.setenv(name, value)

    return variables


def client_certificate(folder: Path, leaf: trustme.LeafCert) -> dict[str, str]:
    leaf.cert_chain_pems[0].write_to_path(folder / "client.pem")
    leaf.private_key_pem.write_to_path(folder / "client.key")
    return {
        "TEMPORAL_TLS_CLIENT_CERT_PATH": str(folder / "client.pem"),
        "TEMPORAL_TLS_CLIENT_KEY_PATH": str(folder / "client.key"),
    }


def server_context(leaf: trustme.LeafCert, *, asks_who: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["h2"])
    leaf.configure_cert(context)  # pyright: ignore[reportUnknownMemberType] - of an optional part
    if asks_who:
        AUTHORITY.configure_trust(context)  # pyright: ignore[reportUnknownMemberType]
        context.verify_mode = ssl.CERT_REQUIRED
    return context


@asynccontextmanager
async def front(
    settings: Settings, leaf: trustme.LeafCert, *, asks_who: bool = False
) -> AsyncGenerator[Settings]:
    """The session's server behind TLS; with `asks_who`, for holders of a certificate alone."""
    context = server_context(leaf, asks_who=asks_who)
    host, _, port = settings.temporal_address.rpartition(":")

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection(host, int(port))
        pumps = asyncio.gather(_pump(reader, inner_writer), _pump(inner_reader, writer))
        await asyncio.wait([pumps])

    server = await asyncio.start_server(pass_on, "127.0.0.1", 0, ssl=context)
    async with server:
        where = server.sockets[0].getsockname()[1]
        yield settings.model_copy(update={"temporal_address": f"127.0.0.1:{where}"})


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass  # whoever was connected has gone
    finally:
        writer.close()


@asynccontextmanager
async def refusing(settings: Settings) -> AsyncGenerator[Settings]:
    """A server that says why it lets nobody in; asyncio's would hang up without a word."""
    context = server_context(AUTHORITY.issue_cert("127.0.0.1"), asks_who=True)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        answering = asyncio.ensure_future(_refuse(listening, context))
        where = listening.getsockname()[1]
        yield settings.model_copy(update={"temporal_address": f"127.0.0.1:{where}"})
        answering.cancel()
        with suppress(asyncio.CancelledError):
            await answering


async def _refuse(listening: socket.socket, context: ssl.SSLContext) -> None:
    while True:
        connection, _ = await asyncio.get_running_loop().sock_accept(listening)
        connection.settimeout(2)
        await asyncio.to_thread(_shake_hands, connection, context)


def _shake_hands(connection: socket.socket, context: ssl.SSLContext) -> None:
    with connection, suppress(OSError):
        context.wrap_socket(connection, server_side=True).close()


async def test_a_client_certificate_leads_in(
    settings: Settings, set_up: SetUp, tmp_path: Path
) -> None:
    set_up(client_certificate(tmp_path, AUTHORITY.issue_cert("worker@example.com")))

    async with front(settings, AUTHORITY.issue_cert("127.0.0.1"), asks_who=True) as behind:
        client = await connect(behind)
        told = way_to(client)

    assert told == f"over TLS, with a client certificate, as {client.identity}"


async def test_a_profile_with_an_api_key_leads_in(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    AUTHORITY.cert_pem.write_to_path(tmp_path / "authority.pem")
    file = tmp_path / "profiles.toml"
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(file))
    monkeypatch.setenv("TEMPORAL_PROFILE", "cluster")

    async with front(settings, AUTHORITY.issue_cert("127.0.0.1")) as behind:
        file.write_text(
            f'[profile.cluster]\naddress = "{behind.temporal_address}"\nnamespace = "default"\n'
            'api_key = "not-a-real-key"\n'
            f'[profile.cluster.tls]\nserver_ca_cert_path = "{tmp_path / "authority.pem"}"\n',
            encoding="utf-8",
        )
        client = await connect(settings.model_copy(update={"temporal_address": ""}))
        told = way_to(client)

    assert client.service_client.config.target_host == behind.temporal_address
    assert told == f"over TLS, with an API key, as {client.identity}"


@pytest.mark.parametrize(
    ("leaf", "said"),
    [
        (expired(AUTHORITY, "127.0.0.1"), "(certificate has expired). Have it"),
        (STRANGER.issue_cert("127.0.0.1"), "its certificate does not hold ("),
        (AUTHORITY.issue_cert("elsewhere.example"), "its certificate does not hold ("),
    ],
    ids=["expired", "unknown", "another-name"],
)
async def test_a_certificate_that_does_not_hold_is_one_sentence(
    settings: Settings, set_up: SetUp, leaf: trustme.LeafCert, said: str
) -> None:
    set_up({})

    async with front(settings, leaf) as behind:
        with pytest.raises(ConfigurationError) as caught:
            await connect(behind)

    assert said in caught.value.message
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 400


@pytest.mark.parametrize(
    ("leaf", "said"),
    [
        (expired(AUTHORITY, "worker"), "our client certificate has expired. "),
        (STRANGER.issue_cert("worker"), "it does not know who issued our client certificate. "),
        (None, "it asks for a client certificate. "),
    ],
    ids=["expired", "unknown", "none"],
)
async def test_a_client_certificate_that_is_refused_is_one_sentence(
    settings: Settings,
    set_up: SetUp,
    tmp_path: Path,
    leaf: trustme.LeafCert | None,
    said: str,
) -> None:
    set_up(client_certificate(tmp_path, leaf) if leaf else {})

    async with refusing(settings) as behind:
        with pytest.raises(ConfigurationError) as caught:
            await connect(behind)

    assert said in caught.value.message
    assert "TEMPORAL_TLS_CLIENT_CERT_PATH" in caught.value.message
    assert "\n" not in caught.value.message


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "/nowhere.pem"}, "nowhere.pem"),
        ({"TEMPORAL_TLS_SERVER_CA_CERT_PATH": __file__}, "cannot be used (no certificate"),
        ({"TEMPORAL_TLS_SERVER_CA_CERT_PATH": "", "TEMPORAL_TLS": "true"}, "does not hold"),
    ],
    ids=["no-file", "no-certificate", "no-authority"],
)
async def test_certificates_that_cannot_be_used_are_one_sentence(
    settings: Settings, set_up: SetUp, variables: dict[str, str], said: str
) -> None:
    set_up(variables)

    async with front(settings, AUTHORITY.issue_cert("127.0.0.1")) as behind:
        with pytest.raises(ConfigurationError) as caught:
            await connect(behind)

    assert said in caught.value.message
    assert "\n" not in caught.value.message


async def test_a_server_without_tls_is_told_from_one_that_is_away(
    settings: Settings, set_up: SetUp
) -> None:
    set_up({"TEMPORAL_TLS": "true"})

    with pytest.raises(ConfigurationError, match=r"there is no TLS with it|over TLS, nothing"):
        await connect(settings)
