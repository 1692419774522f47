"""What tokens cost."""

import pytest

from durable_agents.agent.prices import Prices
from durable_agents.models.errors import ConfigurationError


def test_a_published_price_is_known() -> None:
    assert Prices().cost("gpt-5-mini", 1_000_000, 1_000_000) == 2.25


def test_a_dated_name_has_the_price_of_the_longest_name_it_begins_with() -> None:
    prices = Prices()

    assert prices.of("gpt-5-mini-2025-08-07") == prices.of("gpt-5-mini")
    assert prices.of("gpt-5-2025-08-07") == prices.of("gpt-5")
    assert prices.of("gpt-5-turbo") is None


def test_an_unknown_model_costs_nothing_as_far_as_we_know() -> None:
    assert Prices().of("llama") is None
    assert Prices().cost("llama", 1000, 1000) == 0


def test_settings_add_and_override_prices() -> None:
    prices = Prices(" llama = 0.5/1 , gpt-5=1/2,")

    assert prices.of("llama") == (0.5, 1.0)
    assert prices.of("gpt-5") == (1.0, 2.0)
    assert prices.of("gpt-5-nano") == (0.05, 0.4)


@pytest.mark.parametrize("text", ["llama", "llama=1", "llama=a/b", "llama=1/2/3", "=/"])
def test_a_text_that_cannot_be_read_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ConfigurationError, match="name=input/output"):
        Prices(text)


@pytest.mark.parametrize("text", ["llama=-1/2", "llama=nan/1", "llama=1/inf", "=1/2"])
def test_a_price_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="MODEL_PRICES"):
        Prices(text)
