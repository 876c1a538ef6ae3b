"""The cost server: its table of contents."""

from pathlib import Path
from typing import Any

from fastmcp import FastMCP

from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_cost.clock import Clock, utc_now
from opswright_cost.permissions import PERMISSIONS
from opswright_cost.skills import estimate, savings
from opswright_cost.tools import (
    budgets,
    cleanup,
    estimates,
    models,
    rightsizing,
    spend,
    waste,
)


def create_server(settings: Settings, *, clock: Clock = utc_now) -> FastMCP[Any]:
    """Build the server; `clock` gives the time that windows and ages are counted from."""
    return build_server(
        "cost",
        title="AWS costs",
        instructions=Path(__file__).with_name("playbook.md").read_text(encoding="utf-8"),
        tools=[
            estimates.estimate_monthly_cost,
            estimates.estimate_existing,
            spend.get_spend,
            spend.forecast_spend,
            waste.find_waste,
            rightsizing.find_rightsizing,
            models.compare_pricing_models,
            budgets.list_budgets,
            budgets.create_budget,
            cleanup.delete_unattached_volume,
            cleanup.release_address,
        ],
        settings=settings,
        permissions=PERMISSIONS,
        skills=[
            savings.find_savings,
            savings.explain_spend,
            savings.rightsize_instances,
            estimate.estimate_planned_cost,
            estimate.estimate_running_cost,
        ],
        requirements=[
            "AWS credentials for everything but estimate_monthly_cost",
            "Cost Explorer enabled, for get_spend and forecast_spend",
        ],
        extras={"clock": clock},
    )
