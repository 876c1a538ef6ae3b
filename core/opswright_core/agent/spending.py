"""What a model may use of a task's budget: looked at before each call to it, counted after."""

from typing import Any

from opswright_core.agent.model_prices import PRICES, PRICES_AS_OF, price_of
from opswright_core.agent.report import TaskBudget, Usage
from opswright_core.agent.worker import BudgetSpentError
from opswright_core.errors import BadInputError

MAX_OUTPUT_TOKENS = 8_000
LEAST_OUTPUT_TOKENS = 500
"""What a report needs; with less left the model is not asked."""

BYTES_PER_TOKEN = 2.5
"""For what no answer has counted yet. English and JSON have 3.5 to 4; the tokenizers since Opus 4.7
make up to 1.35 times as many tokens of them. The estimate is meant to be too high."""


class Spending:
    """One task's use of one model.

    Raises BadInputError when the budget is in dollars and the model's price is not known.
    """

    def __init__(self, budget: TaskBudget, usage: Usage, model: str) -> None:
        self._budget, self._usage, self._price = budget, usage, price_of(model)
        self._counted = 0
        """Tokens of the conversation so far, as the last answer told."""
        if budget.usd is not None and self._price is None:
            raise BadInputError(
                f"budget.usd cannot be kept: no price of {model!r} is known here (as of "
                f"{PRICES_AS_OF}). Give budget.tokens instead, or set OPSWRIGHT_MODEL to one of "
                f"{', '.join(PRICES)}."
            )

    def room(self, added_bytes: int) -> int:
        """How many tokens the next answer may have, when so many bytes come to the conversation.

        The most that the call can cost is reckoned with: nothing of it cached yet. Raises
        BudgetSpentError when what is left would not do for a short answer; nothing is sent then.
        """
        tokens_in = self._counted + round(added_bytes / BYTES_PER_TOKEN)
        tokens_left = self._budget.tokens - self._usage.input_tokens - self._usage.output_tokens
        room = min(MAX_OUTPUT_TOKENS, tokens_left - tokens_in)
        if room < LEAST_OUTPUT_TOKENS:
            need = f"{tokens_in + LEAST_OUTPUT_TOKENS} tokens"
            raise self._too_little(f"{self._budget.tokens} tokens", need)
        if self._budget.usd is None or self._price is None:
            return room
        cost_in = self._price.cost_usd(
            input_tokens=0, cache_write_tokens=tokens_in, cache_read_tokens=0, output_tokens=0
        )
        left = self._budget.usd - (self._usage.cost_usd or 0.0) - cost_in
        room = min(room, int(left * 1_000_000 / self._price.output))
        if room < LEAST_OUTPUT_TOKENS:
            cost = cost_in + LEAST_OUTPUT_TOKENS * self._price.output / 1_000_000
            raise self._too_little(f"{self._budget.usd:g} USD", f"{cost:.4f} USD")
        return room

    def count(self, usage: Any) -> str:
        """Add up what an answer used; says which part of the budget is used up, or ''."""
        used, budget = self._usage, self._budget
        read = usage.cache_read_input_tokens or 0
        written = usage.cache_creation_input_tokens or 0
        tokens_in = usage.input_tokens + read + written
        self._counted = tokens_in + usage.output_tokens
        used.input_tokens += tokens_in
        used.output_tokens += usage.output_tokens
        if self._price is None or used.cost_usd is None:
            used.cost_usd = None
        else:
            cost = self._price.cost_usd(
                input_tokens=usage.input_tokens,
                cache_write_tokens=written,
                cache_read_tokens=read,
                output_tokens=usage.output_tokens,
            )
            used.cost_usd = round(used.cost_usd + cost, 6)
        if used.input_tokens + used.output_tokens > budget.tokens:
            return f"{budget.tokens} tokens"
        if budget.usd is not None and used.cost_usd is not None and used.cost_usd > budget.usd:
            return f"{budget.usd:g} USD"
        return ""

    def _too_little(self, budget: str, need: str) -> BudgetSpentError:
        if self._counted == 0:
            return BudgetSpentError(
                f"the task's budget of {budget} does not do for one call to the model, which could "
                f"take {need}. The model was not asked; give more, or leave the budget out."
            )
        return BudgetSpentError(
            f"the task's budget of {budget} is used up: another call to the model could take "
            f"{need}, which is more than is left"
        )
