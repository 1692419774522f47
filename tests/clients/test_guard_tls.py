import asyncio
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from durable_agents.clients import guard
from durable_agents.clients.http import fetch
from durable_agents.models.errors import ServiceUnavailableError
from tests.clients.loopback import FakeResolver, Loopback, answer

pytestmark = pytest.mark.skipif(
    not (shutil.which("openssl") or os.environ.get("CI")), reason="makes a certificate"
)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for pinned.test, and its key, in one file."""
    folder = tmp_path_factory.mktemp("tls")
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -keyout key.pem -out certificate.pem "
        "-subj /CN=pinned.test -addext subjectAltName=DNS:pinned.test"
    )
    subprocess.run(command.split(), cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "certificate.pem").read_text())
    return both


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context = ssl.create_default_context(cafile=certificate)
    monkeypatch.setattr(guard, "_tls_context", lambda: context)


@asynccontextmanager
async def tls_server(certificate: Path) -> AsyncGenerator[tuple[int, list[str | None]]]:
    """A server, the port where it listens, and the names that it was asked for."""
    names: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda connection, name, context: names.append(name)
    running = Loopback(answers={"/": answer("over TLS")})
    server = await asyncio.start_server(running.handle, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], names
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.usefixtures("trusted")
async def test_a_pinned_connection_shows_and_checks_the_name(certificate: Path) -> None:
    async with tls_server(certificate) as (port, names):
        page = await fetch(
            f"https://pinned.test:{port}/",
            allow=frozenset({f"pinned.test:{port}"}),
            resolver=FakeResolver([["127.0.0.1"]]),
        )

    assert page.text == "over TLS"
    assert names == ["pinned.test"]


@pytest.mark.usefixtures("trusted")
async def test_a_certificate_for_another_name_is_refused(certificate: Path) -> None:
    async with tls_server(certificate) as (port, _):
        with pytest.raises(ServiceUnavailableError, match=r"(?i)certificate"):
            await fetch(
                f"https://other.test:{port}/",
                allow=frozenset({f"other.test:{port}"}),
                resolver=FakeResolver([["127.0.0.1"]]),
            )
