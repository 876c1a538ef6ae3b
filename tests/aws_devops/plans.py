"""Terraform plans, written after its JSON Output Format (format_version 1.2)."""

import json
from typing import Any


def change(address: str, *actions: str, **values: Any) -> dict[str, Any]:
    """One entry of `resource_changes`; `before`, `after`, `unknown` and the like in values."""
    kind = address.rpartition(".")[0].rpartition(".")[2]
    return {
        "address": address,
        "mode": values.get("mode", "managed"),
        "type": kind,
        "name": address.rpartition(".")[2],
        "provider_name": "registry.example/hashicorp/aws",
        "change": {
            "actions": list(actions),
            "before": values.get("before"),
            "after": values.get("after"),
            "after_unknown": values.get("unknown", {}),
            "before_sensitive": {},
            "after_sensitive": {},
            **({"replace_paths": values["replace_paths"]} if "replace_paths" in values else {}),
            **({"importing": values["importing"]} if "importing" in values else {}),
        },
        **({"action_reason": values["reason"]} if "reason" in values else {}),
    }


def plan(*changes: dict[str, Any], **more: Any) -> str:
    """A plan with those changes, as `terraform show -json` writes it."""
    return json.dumps(
        {
            "format_version": "1.2",
            "terraform_version": "1.9.5",
            "planned_values": {"root_module": {}},
            "resource_changes": list(changes),
            "configuration": {"root_module": {}},
            "applyable": True,
            "complete": True,
            "errored": False,
            **more,
        }
    )


DATABASE = {
    "identifier": "shop", "engine": "postgres", "instance_class": "db.t4g.medium",
    "allocated_storage": 20, "storage_type": "gp3", "storage_encrypted": True, "multi_az": True,
    "publicly_accessible": False, "backup_retention_period": 7, "deletion_protection": True,
    "skip_final_snapshot": False, "replicate_source_db": None, "password": None,
}  # fmt: skip
"""An aws_db_instance with which nothing is wrong."""
