"""What a model's tokens cost, for budgets and reports in dollars.

List prices in USD per million tokens of the provider's own API, from its page "Pricing"
(platform.claude.com/docs/en/about-claude/pricing), as of PRICES_AS_OF. A model that is not listed
has no known price, and its cost is unknown, never 0. Claude Haiku 5.5 is left out: its price
depends on the length of each prompt.
"""

import re
from dataclasses import dataclass

PRICES_AS_OF = "2026-10-24"

_MILLION = 1_000_000


@dataclass(frozen=True)
class ModelPrice:
    """USD per million tokens; cache writes are those kept for five minutes, which are used here."""

    input: float
    cache_write: float
    cache_read: float
    output: float

    def cost_usd(
        self,
        *,
        input_tokens: int,
        cache_write_tokens: int,
        cache_read_tokens: int,
        output_tokens: int,
    ) -> float:
        """What one answer costs."""
        return (
            input_tokens * self.input
            + cache_write_tokens * self.cache_write
            + cache_read_tokens * self.cache_read
            + output_tokens * self.output
        ) / _MILLION


PRICES = {
    "claude-fable-5-1": ModelPrice(10, 12.50, 0.25, 50),
    "claude-fable-5": ModelPrice(10, 12.50, 1, 50),
    "claude-opus-5-5": ModelPrice(4, 5, 0.20, 20),
    "claude-opus-5": ModelPrice(5, 6.25, 0.50, 25),
    "claude-opus-4-8": ModelPrice(5, 6.25, 0.50, 25),
    "claude-opus-4-7": ModelPrice(5, 6.25, 0.50, 25),
    "claude-opus-4-6": ModelPrice(5, 6.25, 0.50, 25),
    "claude-opus-4-5": ModelPrice(5, 6.25, 0.50, 25),
    "claude-sonnet-5-5": ModelPrice(2, 2.50, 0.20, 10),
    "claude-sonnet-5": ModelPrice(2, 2.50, 0.20, 10),
    "claude-sonnet-4-6": ModelPrice(3, 3.75, 0.30, 15),
    "claude-sonnet-4-5": ModelPrice(3, 3.75, 0.30, 15),
    "claude-haiku-4-5": ModelPrice(1, 1.25, 0.10, 5),
}


def price_of(model: str) -> ModelPrice | None:
    """The price of a model, also of one with a date at its end; None when it is not known."""
    return PRICES.get(re.sub(r"-\d{8}$", "", model))
