"""Monthly budgets with a mail before and when they are exceeded."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from opswright_core.aws import HERE, Aws, Target, exists, tag_list
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import ConflictError
from opswright_core.pages import Page, page
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws, runtime
from opswright_core.text import clean
from opswright_core.tools import read_tool, write_tool
from opswright_core.undo import aws_undo
from opswright_core.verdicts import Check, attempt, check

BUDGETS_REGION = "us-east-1"
TAGS = {"managed-by": "opswright"}
ALERTS = (("ACTUAL", 80.0), ("FORECASTED", 100.0))
"""Two of the alerts of the console's monthly cost template: 80 % spent, 100 % forecast."""


class Budget(BaseModel):
    """One budget and where it stands."""

    model_config = ConfigDict(frozen=True)
    name: str
    limit: float | None = Field(description="None for a planned or automatic limit")
    spent: float
    forecast: float | None
    currency: str
    period: str
    state: str = Field(description="ok, forecast_over or over")


class BudgetMade(BaseModel):
    """The budget that was created."""

    name: str
    monthly_usd: float


@read_tool(toolset="spend")
def list_budgets(
    cursor: Annotated[str | None, Field(description="From the page before", max_length=40)] = None,
    target: Target = HERE,
) -> Page[Budget]:
    """List the account's budgets with what is spent and forecast; those over their limit first."""
    a = aws(target)

    def read() -> list[Budget]:
        client = a.client("budgets", BUDGETS_REGION)
        pages = client.get_paginator("describe_budgets").paginate(AccountId=a.account_id)
        return [_budget(b) for found in pages for b in found.get("Budgets") or []]

    budgets = sorted(
        runtime().snapshots.get(cursor, ("list_budgets", target), read),
        key=lambda b: (["over", "forecast_over", "ok"].index(b.state), b.name),
    )
    over = sum(b.state == "over" for b in budgets)
    return page(budgets, cursor=cursor, summary=f"{len(budgets)} budgets, {over} over their limit")


@write_tool("spend")
def create_budget(
    name: Annotated[str, Field(description="Of the budget", pattern=r"^[^:\\]{1,100}$")],
    monthly_usd: Annotated[float, Field(description="Limit", gt=0, le=1e9)],
    notify_email: Annotated[
        str, Field(description="Who is told", pattern=r"^[^@\s]{1,64}@[^@\s]{3,180}$")
    ],
    target: Target = HERE,
) -> Work[BudgetMade]:
    """Create a monthly cost budget that mails at 80 % spent and when 100 % is forecast."""
    a = aws(target)
    client = a.client("budgets", BUDGETS_REGION)
    where = {"AccountId": a.account_id, "BudgetName": name}

    def plan() -> ChangePlan:
        there = _limit(client, where)
        if there is not None and there != monthly_usd:
            raise ConflictError(
                f"A budget {name!r} of {there:g} USD exists already. Use another name, or change "
                "that one in the console."
            )
        detail = f"{monthly_usd:,.2f} USD a month, mail to {notify_email}"
        actions = [Action(verb="create", type="budgets:budget", name=name, detail=detail)]
        return ChangePlan(
            summary=f"Budget {name}: {detail}",
            actions=[] if there is not None else actions,
            observed={"limit": there},
        )

    def apply(rec: Recorder) -> BudgetMade:
        rec.step(
            "create budget",
            lambda: _create(client, a, name, monthly_usd, notify_email),
            undo=[
                aws_undo(
                    f"delete budget {name}",
                    "budgets",
                    "delete_budget",
                    where,
                    target=target,
                    region=BUDGETS_REGION,
                    gone=("describe_budget", where, "Budget"),
                )
            ],
            resource=ResourceRef(type="budgets:budget", id=name, name=name),
            find=lambda: {"name": name} if _limit(client, where) == monthly_usd else None,
        )
        if a.is_emulator:
            rec.gap("This backend keeps the budget but never mails.")
        return BudgetMade(name=name, monthly_usd=monthly_usd)

    def verify(made: BudgetMade) -> list[Check]:
        limit = attempt(lambda: _limit(client, where) == made.monthly_usd)
        return [check("the budget has its limit", limit, f"{made.monthly_usd:g} USD", name)]

    return Work(
        scope=Scope.of(a),
        plan=plan,
        apply=apply,
        verify=verify,
        existing=lambda: BudgetMade(name=name, monthly_usd=monthly_usd),
        outputs=BudgetMade,
    )


def _create(client: Any, a: Aws, name: str, monthly_usd: float, email: str) -> dict[str, str]:
    client.create_budget(
        AccountId=a.account_id,
        Budget={
            "BudgetName": name,
            "BudgetLimit": {"Amount": f"{monthly_usd:.2f}", "Unit": "USD"},
            "TimeUnit": "MONTHLY",
            "BudgetType": "COST",
        },
        NotificationsWithSubscribers=[
            {
                "Notification": {
                    "NotificationType": kind,
                    "ComparisonOperator": "GREATER_THAN",
                    "Threshold": percent,
                    "ThresholdType": "PERCENTAGE",
                },
                "Subscribers": [{"SubscriptionType": "EMAIL", "Address": email}],
            }
            for kind, percent in ALERTS
        ],
        ResourceTags=tag_list(TAGS),
    )
    return {"name": name}


def _limit(client: Any, where: dict[str, str]) -> float | None:
    """The limit of a budget; None when there is no such budget."""
    if not exists(lambda: client.describe_budget(**where)):
        return None
    limit = client.describe_budget(**where)["Budget"].get("BudgetLimit") or {}
    return float(limit.get("Amount", 0))


def _budget(raw: dict[str, Any]) -> Budget:
    limit = raw.get("BudgetLimit") or {}
    calculated = raw.get("CalculatedSpend") or {}
    actual, forecast = calculated.get("ActualSpend") or {}, calculated.get("ForecastedSpend") or {}
    most = float(limit["Amount"]) if limit else None
    spent = float(actual.get("Amount", 0))
    ahead = float(forecast["Amount"]) if forecast else None
    state = "ok"
    if most is not None and spent > most:
        state = "over"
    elif most is not None and ahead is not None and ahead > most:
        state = "forecast_over"
    return Budget(
        name=clean(raw["BudgetName"], 100),
        limit=most,
        spent=spent,
        forecast=ahead,
        currency=limit.get("Unit") or actual.get("Unit") or "USD",
        period=raw["TimeUnit"],
        state=state,
    )
