"""By which names the page is reached, and which settings are refused."""

import pytest

from durable_agents.models.errors import ConfigurationError
from durable_agents.runtime.settings import Settings
from inbox.site import site_of


def site(host: str, url: str = ""):
    return site_of(Settings(inbox_url=url), host, 8232)


def test_on_loopback_it_is_reached_by_the_names_of_loopback() -> None:
    made = site("127.0.0.1")

    assert made.url == "http://127.0.0.1:8232"
    assert made.hosts == {"127.0.0.1:8232", "localhost:8232", "[::1]:8232"}
    assert not made.secure


def test_behind_a_proxy_it_is_reached_by_its_public_name() -> None:
    made = site("0.0.0.0", "https://Inbox.Example/")  # noqa: S104 - that is what is tested

    assert made.hosts == {"inbox.example"}
    assert made.secure


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "some.name"])  # noqa: S104
def test_other_than_loopback_needs_to_be_told_so(host: str) -> None:
    with pytest.raises(ConfigurationError, match=f"would be open to others at {host}"):
        site(host)


def test_passwords_do_not_travel_without_tls() -> None:
    with pytest.raises(ConfigurationError, match="put a proxy with TLS before the page"):
        site("0.0.0.0", "http://inbox.example")  # noqa: S104


@pytest.mark.parametrize("url", ["inbox.example", "ftp://x", "https://", "https://x/path"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="INBOX_URL"):
        site("127.0.0.1", url)
