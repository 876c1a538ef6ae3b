"""Single servers in an exported script. The function is copied into it as it stands."""

import time
from typing import Any

from opswright_aws_devops.export.script.building import TAG, Building, or_none


def instance(
    it: Building, key: str, *, IamInstanceProfile: str = "", Tags: Any = (),
    Monitoring: bool = False, SourceDestCheck: bool = True, **own: Any,
) -> dict[str, Any]:  # fmt: skip
    """A server that runs. A profile made a moment ago is not known at once: it is asked again."""
    ec2 = it.client("ec2")
    tags = it.tags(key, list(Tags))
    filters = [
        {"Name": f"tag:{TAG}", "Values": [f"{it.name}/{key}"]},
        {"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]},
    ]
    if Monitoring:
        own["Monitoring"] = {"Enabled": True}
    if IamInstanceProfile:
        own["IamInstanceProfile"] = {"Name": IamInstanceProfile}

    def find() -> dict[str, Any] | None:
        found = ec2.describe_instances(Filters=filters)["Reservations"]
        return {"InstanceId": found[0]["Instances"][0]["InstanceId"]} if found else None

    def start() -> Any:
        kinds = [{"ResourceType": kind, "Tags": tags} for kind in ("instance", "volume")]
        return ec2.run_instances(MinCount=1, MaxCount=1, TagSpecifications=kinds, **own)

    def create() -> dict[str, Any]:
        made = None
        for _ in range(6 if IamInstanceProfile else 0):
            if made := or_none(start, "InvalidParameterValue"):
                break
            time.sleep(5)
        made = made or start()
        return {"InstanceId": made["Instances"][0]["InstanceId"]}

    made = it.part(key, "instance", find, create)
    it.wait("ec2", "instance_running", InstanceIds=[made["InstanceId"]])
    if not SourceDestCheck:
        which = {"InstanceId": made["InstanceId"], "SourceDestCheck": {"Value": False}}
        it.setting(ec2.modify_instance_attribute, **which)
    return made
