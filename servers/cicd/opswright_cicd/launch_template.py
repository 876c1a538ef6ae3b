"""The launch-template version that starts a release: found again, or made from the one in use."""

import base64
from typing import Any

from opswright_cicd.boot import Boot, with_release
from opswright_cicd.fleet import Fleet, FleetState
from opswright_cicd.records import DeploymentRecord


def release_data(
    fleet: Fleet, state: FleetState, record: DeploymentRecord, port: int
) -> dict[str, Any]:
    """The data of the version in use, its user data with the release in it.

    `port` is where the target group expects the application. Raises what `with_release` raises.
    """
    version = fleet.template_version(state.template_id, str(state.version))
    data: dict[str, Any] = version["LaunchTemplateData"]
    own = base64.b64decode(data.get("UserData") or "").decode(errors="replace")
    boot = Boot(
        application=record.application,
        version=record.version,
        bucket=record.artifact_bucket,
        key=record.artifact_key,
        sha256=record.artifact_sha256,
        region=fleet.a.region,
        port=port,
    )
    return {**data, "UserData": base64.b64encode(with_release(own, boot).encode()).decode()}


def find_version(fleet: Fleet, state: FleetState, data: dict[str, Any]) -> int | None:
    """A template version that holds exactly this: the one in use, else the newest, else None."""
    same = [
        int(v["VersionNumber"])
        for v in fleet.template_versions(state.template_id)
        if v["LaunchTemplateData"] == data
    ]
    return state.version if state.version in same else next(iter(same), None)


def ensure_version(
    fleet: Fleet, state: FleetState, data: dict[str, Any], description: str
) -> dict[str, int]:
    """Find or make the version with this data; the answer is `{"version": its number}`.

    A version is kept when a deployment is undone: it costs nothing, and says what was tried.
    """
    found = find_version(fleet, state, data)
    if found is not None:
        return {"version": found}
    # AWS lays the data over the source version; an emulator takes it as the whole version.
    sent = data if fleet.a.is_emulator else {"UserData": data["UserData"]}
    made = fleet.a.client("ec2").create_launch_template_version(
        LaunchTemplateId=state.template_id,
        SourceVersion=str(state.version),
        VersionDescription=description[:255],
        LaunchTemplateData=sent,
    )
    return {"version": int(made["LaunchTemplateVersion"]["VersionNumber"])}
