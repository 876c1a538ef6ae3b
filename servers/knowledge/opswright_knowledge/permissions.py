"""The IAM actions that each tool needs: none, the store is opswright's own."""

PERMISSIONS: dict[str, tuple[str, ...]] = {
    "record_resources": (),
    "find_resources": (),
    "walk_relations": (),
    "mark_deleted": (),
    "record_deployment": (),
    "list_deployments": (),
    "remember": (),
    "recall": (),
    "forget_memory": (),
    "set_context": (),
    "get_context": (),
    "send_message": (),
    "read_messages": (),
    "acknowledge_messages": (),
    "record_run": (),
    "get_run": (),
    "list_runs": (),
    "record_report": (),
    "changes_since": (),
}
