"""The knowledge server: its table of contents."""

import os
from pathlib import Path
from typing import Any

from fastmcp import FastMCP

from opswright_core.namespaces import named
from opswright_core.server import build_server
from opswright_core.settings import Settings
from opswright_knowledge import publishing
from opswright_knowledge.permissions import PERMISSIONS
from opswright_knowledge.skills import deployed, history, inventory, recollection
from opswright_knowledge.store import DEFAULT_NAMESPACE, Clock, Store, utc_now
from opswright_knowledge.tools import (
    changes,
    context,
    deployments,
    memories,
    messages,
    registry,
    relations,
    reports,
    runs,
    transfer,
    upkeep,
)


def create_server(
    settings: Settings,
    url: str | None = None,
    clock: Clock = utc_now,
    namespace: str | None = None,
) -> FastMCP[Any]:
    """Make the server.

    The store is at `url`, else at OPSWRIGHT_KNOWLEDGE_URL, else in the state directory; what is
    read and written is in `namespace`, else in OPSWRIGHT_KNOWLEDGE_NAMESPACE, else in `default`,
    but for callers over HTTP whose token names others. Raises BadInputError for a namespace that is
    no name.
    """
    url = url or os.environ.get("OPSWRIGHT_KNOWLEDGE_URL")
    namespace = namespace or os.environ.get("OPSWRIGHT_KNOWLEDGE_NAMESPACE") or DEFAULT_NAMESPACE
    store = Store(
        url or f"sqlite:///{settings.state_dir / 'knowledge.db'}", clock, named(namespace)
    )
    server = build_server(
        "knowledge",
        title="Shared operational knowledge",
        instructions=Path(__file__).with_name("playbook.md").read_text(encoding="utf-8"),
        tools=[
            registry.record_resources,
            registry.find_resources,
            registry.mark_deleted,
            relations.walk_relations,
            relations.find_cycles,
            deployments.record_deployment,
            deployments.list_deployments,
            deployments.list_running_versions,
            memories.remember,
            memories.recall,
            memories.forget_memory,
            context.set_context,
            context.get_context,
            messages.send_message,
            messages.read_messages,
            messages.acknowledge_messages,
            runs.record_run,
            runs.get_run,
            runs.list_runs,
            reports.record_report,
            changes.changes_since,
            changes.get_history,
            transfer.export_records,
            transfer.import_records,
            upkeep.prune_records,
        ],
        settings=settings,
        permissions=PERMISSIONS,
        skills=[
            inventory.list_what_runs,
            inventory.find_dependents,
            inventory.tell_owner_and_dependents,
            deployed.tell_deployed_version,
            history.tell_what_changed,
            history.tell_last_actions,
            recollection.recall_what_is_known,
        ],
        requirements=["A directory it can write (or OPSWRIGHT_KNOWLEDGE_URL)"],
        namespace=store.namespace,
        extras={"store": store},
    )
    publishing.publish(server, store)
    return server
