from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from durable_agents.clients.retry_after import MAX_RETRY_AFTER, retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": " 7 "}, 7),
        ({"retry-after": "0"}, 0),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 GMT"}, 30),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:30 -0000"}, 30),
        ({"retry-after": "Sun, 01 Mar 2026 13:00:30 +0100"}, 30),
    ],
)
def test_each_form_of_a_delay_is_read(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers, NOW) == timedelta(seconds=seconds)


def test_milliseconds_win_over_seconds() -> None:
    headers = {"retry-after-ms": "200", "retry-after": "1"}

    assert retry_after(headers, NOW) == timedelta(milliseconds=200)


def test_nonsense_in_milliseconds_leaves_the_seconds() -> None:
    headers = {"retry-after-ms": "soon", "retry-after": "1"}

    assert retry_after(headers, NOW) == timedelta(seconds=1)


@pytest.mark.parametrize(
    "headers", [{"retry-after": "-5"}, {"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}]
)
def test_a_moment_that_has_passed_means_at_once(headers: dict[str, str]) -> None:
    assert retry_after(headers, NOW) == timedelta(0)


@pytest.mark.parametrize("value", ["86400", "1e300", "Sun, 01 Mar 2099 12:00:00 GMT"])
def test_a_long_delay_is_capped(value: str) -> None:
    assert retry_after({"retry-after": value}, NOW) == MAX_RETRY_AFTER


@pytest.mark.parametrize(
    "value", ["", "soon", "nan", "inf", "1 minute", "Sun, 99 Foo 2026", "99999999999999999 GMT"]
)
def test_nonsense_says_nothing(value: str) -> None:
    assert retry_after({"retry-after": value}, NOW) is None


def test_no_header_says_nothing() -> None:
    assert retry_after({}, NOW) is None


def test_the_headers_of_the_client_are_read_in_any_case() -> None:
    assert retry_after(httpx2.Headers({"Retry-After": "2"}), NOW) == timedelta(seconds=2)
