"""The metrics server: its table of contents."""

from pathlib import Path
from typing import Any

from fastmcp import FastMCP

from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_metrics.permissions import PERMISSIONS
from opswright_metrics.skills import incidents, monitoring
from opswright_metrics.tools import (
    alarms,
    anomalies,
    dashboards,
    diagnosis,
    firing,
    health,
    logs,
    series,
    topic,
)


def create_server(settings: Settings) -> FastMCP[Any]:
    """Build the metrics server."""
    return build_server(
        "metrics",
        title="Health, metrics, alarms and logs",
        instructions=Path(__file__).with_name("playbook.md").read_text(encoding="utf-8"),
        tools=[
            diagnosis.diagnose_web_tier,
            health.get_health,
            firing.list_alarms,
            firing.triage_alarms,
            series.get_metrics,
            alarms.create_alarms,
            dashboards.create_dashboard,
            anomalies.find_anomalies,
            logs.list_log_groups,
            logs.search_logs,
            logs.summarize_logs,
        ],
        settings=settings,
        permissions=PERMISSIONS,
        skills=[
            incidents.explain_web_tier,
            incidents.triage_firing_alarms,
            incidents.check_overall_health,
            incidents.find_log_errors,
            monitoring.set_up_monitoring,
        ],
        requirements=[
            "AWS credentials that may read CloudWatch, Logs, ELB, EC2, Auto Scaling, RDS"
        ],
        undo_handlers={topic.SUBSCRIPTION: topic.SubscriptionUndo()},
    )
