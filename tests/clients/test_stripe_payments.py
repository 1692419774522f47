"""The adapter for Stripe against localstripe, a stand-in for Stripe's API, over HTTP.

localstripe ignores idempotency keys and refunds a payment twice: what is seen here to happen
once does so by our own care. The keys that were sent are recorded on the way.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx2
import pytest

from durable_agents.clients.stripe_payments import StripeGateway
from durable_agents.models.errors import (
    ConfigurationError,
    PaymentRequestError,
    PaymentUnavailableError,
)
from durable_agents.models.payments import ChargeRequest
from durable_agents.runtime.embedded.ports import free_port
from tests.clients.localstripe import DECLINED, running_localstripe
from tests.workflows.runs import token

LONG_AGO = timedelta(minutes=4)  # longer than a request may be under way


@dataclass
class Recorder(httpx2.AsyncBaseTransport):
    """Passes requests on, notes them, and lets the next ones to a path fail.

    A fault is a status to answer with, without passing the request on, or `lost`: the request
    is passed on, and its answer lost. `replayed` marks an answer as a repeated one.
    """

    inner: httpx2.AsyncHTTPTransport = field(default_factory=httpx2.AsyncHTTPTransport)
    sent: list[tuple[str, str, str]] = field(default_factory=list[tuple[str, str, str]])
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    faults: list[int | str] = field(default_factory=list[int | str])
    replayed: bool = False

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        key = request.headers.get("Idempotency-Key", "")
        self.sent.append((request.method, request.url.path, key))
        self.asked.append(dict(request.url.params))
        fault = self.faults.pop(0) if self.faults and request.method == "POST" else None
        if isinstance(fault, int):
            headers = {"Idempotent-Replayed": "true"} if self.replayed else {}
            error = {"error": {"type": "api_error", "message": "no"}}
            return httpx2.Response(fault, json=error, headers=headers)
        answer = await self.inner.handle_async_request(request)
        if fault == "lost":
            await answer.aclose()
            raise httpx2.ReadTimeout("lost", request=request)
        return answer

    def keys(self, path: str) -> list[str]:
        """The idempotency keys that were sent to a path with POST."""
        return [key for method, to, key in self.sent if (method, to) == ("POST", path)]


@pytest.fixture(scope="module")
async def localstripe(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """The address of a localstripe of these tests' own."""
    async with running_localstripe(tmp_path_factory.mktemp("localstripe")) as url:
        yield url


@pytest.fixture
async def recorder() -> AsyncIterator[Recorder]:
    recorder = Recorder()
    yield recorder
    await recorder.inner.aclose()


@pytest.fixture
async def gateway(localstripe: str, recorder: Recorder) -> AsyncIterator[StripeGateway]:
    http = httpx2.AsyncClient(transport=recorder, timeout=10)
    gateway = StripeGateway(api_key="sk_test_of_the_tests", api_base=localstripe, http=http)
    yield gateway
    await gateway.close()


def asked(card: str = "tok_ok", generation: int = 1) -> ChargeRequest:
    return ChargeRequest(order_id=token(), generation=generation, amount_cents=5997, card=card)


def now() -> datetime:
    return datetime.now(UTC)


async def test_a_charge_is_sent_with_its_key_and_found_by_its_metadata(
    gateway: StripeGateway, recorder: Recorder
) -> None:
    request = asked()

    payment = await gateway.charge(request)

    assert payment.status == "charged"
    assert payment.payment_id.startswith("pi_")
    assert recorder.keys("/v1/payment_intents") == [f"order/{request.order_id}/charge/1"]
    assert await gateway.find(request.order_id, 1, since=now()) == payment
    assert await gateway.find(request.order_id, 2, since=now()) is None
    assert await gateway.find(token(), 1, since=now()) is None


async def test_a_declined_card_is_an_answer_and_is_found_as_one(gateway: StripeGateway) -> None:
    request = asked(DECLINED)

    payment = await gateway.charge(request)

    assert payment.status == "declined"
    assert "declined" in payment.reason
    found = await gateway.find(request.order_id, 1, since=now())
    assert found is not None
    assert found.status == "declined"


async def test_a_refund_happens_once_though_localstripe_would_refund_twice(
    gateway: StripeGateway, recorder: Recorder
) -> None:
    request = asked()
    charged = await gateway.charge(request)

    first = await gateway.refund(request.order_id, 1, since=now(), asked_until=now())
    second = await gateway.refund(request.order_id, 1, since=now(), asked_until=now())

    assert first is not None
    assert (first.payment_id, first.status) == (charged.payment_id, "refunded")
    assert second == first == await gateway.find(request.order_id, 1, since=now())
    assert recorder.keys("/v1/refunds") == [f"order/{request.order_id}/refund/1"]


async def give_back(url: str, payment_id: str, cents: int) -> None:
    """Give a part back, as a person does who looks at Stripe's dashboard."""
    headers = {"Authorization": "Bearer sk_test_of_the_tests"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
        asked = {"payment_intent": payment_id, "amount": str(cents)}
        (await http.post("/v1/refunds", data=asked)).raise_for_status()


async def given_back(url: str, payment_id: str) -> list[int]:
    """What was given back of a payment, in cents."""
    headers = {"Authorization": "Bearer sk_test_of_the_tests"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False) as http:
        asked = {"payment_intent": payment_id, "limit": "100"}
        found = (await http.get("/v1/refunds", params=asked)).json()["data"]
    return sorted(refund["amount"] for refund in found)


async def test_a_payment_of_which_a_part_was_given_back_counts_as_charged_and_says_so(
    gateway: StripeGateway, localstripe: str
) -> None:
    request = asked()
    charged = await gateway.charge(request)
    for _ in range(12):  # more than Stripe lists at once when nobody says how many
        await give_back(localstripe, charged.payment_id, 100)

    found = await gateway.find(request.order_id, 1, since=now())

    assert found is not None
    assert (found.status, found.part_refunded_cents) == ("charged", 1200)


async def test_of_a_payment_of_which_a_part_was_given_back_the_rest_is_refunded(
    gateway: StripeGateway, localstripe: str, recorder: Recorder
) -> None:
    request = asked()
    charged = await gateway.charge(request)
    await give_back(localstripe, charged.payment_id, 997)

    first = await gateway.refund(request.order_id, 1, since=now(), asked_until=now())
    second = await gateway.refund(request.order_id, 1, since=now(), asked_until=now())

    assert first is not None
    assert (first.status, first.part_refunded_cents) == ("refunded", 997)
    assert second is not None
    assert (second.status, second.part_refunded_cents) == ("refunded", 0)
    assert await given_back(localstripe, charged.payment_id) == [997, 5000]
    assert recorder.keys("/v1/refunds") == [f"order/{request.order_id}/refund/1/rest-5000"]


async def test_a_look_up_ends_where_no_payment_of_the_order_can_be(
    gateway: StripeGateway, recorder: Recorder
) -> None:
    request, since = asked(), now()
    await gateway.charge(request)

    found = await gateway.find(request.order_id, 1, since=since)
    later = await gateway.find(request.order_id, 1, since=since + timedelta(hours=1))

    bound = int((since - timedelta(minutes=5)).timestamp())
    assert found is not None
    assert later is None
    bounds = [params["created[gte]"] for params in recorder.asked if "created[gte]" in params]
    assert bounds == [str(bound), str(bound + 3600)]


async def test_refunding_a_declined_payment_cancels_it(
    gateway: StripeGateway, recorder: Recorder
) -> None:
    request = asked(DECLINED)
    await gateway.charge(request)

    payment = await gateway.refund(request.order_id, 1, since=now(), asked_until=now())

    assert payment is not None
    assert payment.status == "declined"
    assert recorder.keys("/v1/refunds") == []
    assert any(path.endswith("/cancel") for _, path, _ in recorder.sent)
    await gateway.refund(
        request.order_id, 1, since=now(), asked_until=now()
    )  # once more is harmless


async def test_a_charge_whose_answer_is_lost_is_unknown_then_found(
    gateway: StripeGateway, recorder: Recorder
) -> None:
    request = asked()
    recorder.faults.append("lost")

    with pytest.raises(PaymentUnavailableError):
        await gateway.charge(request)

    found = await gateway.find(request.order_id, 1, since=now())
    assert found is not None
    assert found.status == "charged"


async def test_what_is_not_found_at_once_is_unknown_and_not_taken_for_not_charged(
    gateway: StripeGateway,
) -> None:
    with pytest.raises(PaymentUnavailableError, match="not known yet"):
        await gateway.refund(token(), 1, since=now(), asked_until=now())

    assert (
        await gateway.refund(token(), 1, since=now() - LONG_AGO, asked_until=now() - LONG_AGO)
        is None
    )


@pytest.mark.parametrize("status", [500, 503, 429, 409])
async def test_a_failure_that_may_pass_is_transient(
    gateway: StripeGateway, recorder: Recorder, status: int
) -> None:
    recorder.faults.append(status)

    with pytest.raises(PaymentUnavailableError):
        await gateway.charge(asked())


async def test_a_failure_that_stripe_only_repeats_is_looked_up_and_asked_under_another_key(
    gateway: StripeGateway, recorder: Recorder
) -> None:
    request = asked()
    recorder.faults.append(500)
    recorder.replayed = True

    payment = await gateway.charge(request)

    base = f"order/{request.order_id}/charge/1"
    assert payment.status == "charged"
    assert recorder.keys("/v1/payment_intents") == [base, f"{base}/2"]
    assert ("GET", "/v1/payment_intents", "") in recorder.sent


async def test_an_unknown_payment_method_and_a_wrong_key_are_final(
    gateway: StripeGateway, recorder: Recorder
) -> None:
    with pytest.raises(PaymentRequestError):
        await gateway.charge(asked("pm_unknown"))
    recorder.faults.append(401)
    with pytest.raises(ConfigurationError, match="STRIPE_API_KEY"):
        await gateway.charge(asked())


async def test_a_server_that_is_not_there_is_transient() -> None:
    gateway = StripeGateway(api_key="sk_test_x", api_base=f"http://127.0.0.1:{free_port()}")

    with pytest.raises(PaymentUnavailableError):
        await gateway.find(token(), 1, since=now())

    await gateway.close()
