"""The IAM actions that each tool needs; a changing tool's include those of its inverse.

What AWS asks for besides an operation's own action (tags given on creation, service-linked roles,
what a managed password or a final snapshot takes) follows its service authorization reference and
has not been tried on a real account yet.
"""

from opswright_aws_devops.permissions import (
    applications,
    building,
    data,
    edge,
    lifecycle,
    messaging,
    networking,
    reading,
    stacks,
    storage,
    updating,
    verifying,
)

_LOOKS = tuple(
    sorted(
        {
            action
            for actions in {
                **applications.PERMISSIONS,
                **building.PERMISSIONS,
                **data.PERMISSIONS,
                **edge.PERMISSIONS,
                **messaging.PERMISSIONS,
                **networking.PERMISSIONS,
                **storage.PERMISSIONS,
                **updating.PERMISSIONS,
            }.values()
            for action in actions
            if action.partition(":")[2].startswith(("Describe", "Get", "List"))
        }
        | {"ec2:DescribeTags"}
    )
)
"""Of those who make the checks of every change again."""

PERMISSIONS: dict[str, tuple[str, ...]] = {
    **reading.PERMISSIONS,
    **verifying.PERMISSIONS,
    **stacks.PERMISSIONS,
    **applications.PERMISSIONS,
    **building.PERMISSIONS,
    **data.PERMISSIONS,
    **edge.PERMISSIONS,
    **messaging.PERMISSIONS,
    **networking.PERMISSIONS,
    **storage.PERMISSIONS,
    **updating.PERMISSIONS,
    **lifecycle.PERMISSIONS,
    "find_drift": _LOOKS,
    "preview_undo": _LOOKS,
    "preview_teardown": (*_LOOKS, "tag:GetResources"),
    # None by themselves: what they may call, the operator grants.
    "find_operation": (),
    "describe_operation": (),
    "read_aws": (),
    "change_aws": (),
}
