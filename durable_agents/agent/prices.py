"""What tokens cost, in US dollars for a million of them.

Source: the providers' published price lists; `MODEL_PRICES` overrides and adds, for example
`MODEL_PRICES=my-model=0.25/2.00,other=1/4` (input/output). A dated name such as
`gpt-5-mini-2025-08-07` has the price of the name it begins with.
"""

import math
from collections.abc import Mapping

from durable_agents.models.errors import ConfigurationError

Price = tuple[float, float]

PUBLISHED: Mapping[str, Price] = {
    "gpt-5": (1.25, 10.0),
    "gpt-5-mini": (0.25, 2.0),
    "gpt-5-nano": (0.05, 0.4),
    "gpt-4.1": (2.0, 8.0),
    "gpt-4.1-mini": (0.4, 1.6),
    "gpt-4.1-nano": (0.1, 0.4),
    "gpt-4o": (2.5, 10.0),
    "gpt-4o-mini": (0.15, 0.6),
    "text-embedding-3-small": (0.02, 0.0),
    "text-embedding-3-large": (0.13, 0.0),
    "simulator-extractive-1": (0.0, 0.0),
    "simulator-embedding-1": (0.0, 0.0),
}


class Prices:
    """Looks prices up.

    Args:
        overrides: The text of `MODEL_PRICES`.

    Raises:
        ConfigurationError: The text cannot be read.
    """

    def __init__(self, overrides: str = "") -> None:
        self._prices = {**PUBLISHED, **_parse(overrides)}

    def of(self, model: str) -> Price | None:
        """Input and output price of a model, or None when it is not known."""
        if model in self._prices:
            return self._prices[model]
        names = [name for name in self._prices if model.startswith(f"{name}-2")]
        return self._prices[max(names, key=len)] if names else None

    def cost(self, model: str, input_tokens: int, output_tokens: int) -> float:
        """US dollars for a call; 0 when the price is not known."""
        price = self.of(model)
        if price is None:
            return 0.0
        return round((input_tokens * price[0] + output_tokens * price[1]) / 1_000_000, 8)


def _parse(text: str) -> dict[str, Price]:
    """Read `name=input/output,…`."""
    prices: dict[str, Price] = {}
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        name, _, amounts = part.partition("=")
        given, _, made = amounts.partition("/")
        try:
            price = (float(given), float(made))
            if not name.strip() or not all(math.isfinite(p) and p >= 0 for p in price):
                raise ValueError(part)
            prices[name.strip()] = price
        except ValueError as error:
            raise ConfigurationError(
                f"MODEL_PRICES cannot be read at `{part}`: write name=input/output in US dollars "
                "for a million tokens, for example my-model=0.25/2.00."
            ) from error
    return prices
