"""Reads what watches the account: CloudTrail, GuardDuty, Config, Security Hub."""

from typing import Any

from opswright_core.verdicts import Unread
from opswright_security.reading import Fact, Reader, account_wide, picked


def load_trails(reader: Reader) -> list[Fact]:
    """Trails, with `logging` and `selectors` (each may be Unread)."""

    def one(trail: dict[str, Any]) -> Fact:
        arn = trail["TrailARN"]
        selectors = reader.maybe("cloudtrail", "get_event_selectors", TrailName=arn)
        return Fact(
            trail["Name"],
            {
                **trail,
                "logging": picked(
                    reader.maybe("cloudtrail", "get_trail_status", Name=arn), "IsLogging"
                ),
                "selectors": selectors,
            },
            region=trail.get("HomeRegion", ""),
        )

    found = reader.call("cloudtrail", "describe_trails", includeShadowTrails=True)["trailList"]
    return reader.each(found, one)


@account_wide
def load_trail_coverage(reader: Reader) -> list[Fact]:
    """One fact: all `trails` of the account as this region sees them."""
    return [Fact("account", {"trails": reader.load(load_trails)})]


def load_detectors(reader: Reader) -> list[Fact]:
    """One fact: the `status` of GuardDuty's detector in the region; None when there is none."""
    ids = reader.pages("guardduty", "list_detectors", "DetectorIds")
    status = None
    if ids:
        status = picked(reader.maybe("guardduty", "get_detector", DetectorId=ids[0]), "Status")
    return [Fact(reader.aws.region, {"status": status})]


def load_recorders(reader: Reader) -> list[Fact]:
    """One fact: how many Config `recorders` there are, `recording` or not, and their `group`."""
    recorders = reader.call("config", "describe_configuration_recorders")["ConfigurationRecorders"]
    statuses = reader.maybe("config", "describe_configuration_recorder_status")
    running: Any = picked(statuses, "ConfigurationRecordersStatus")
    if not isinstance(running, Unread):
        running = any(status.get("recording") for status in running or [])
    group = recorders[0].get("recordingGroup", {}) if recorders else {}
    fields = {"recorders": len(recorders), "recording": running, "group": group}
    return [Fact(reader.aws.region, fields)]


def load_hub(reader: Reader) -> list[Fact]:
    """One fact: whether Security Hub is `enabled` in the region."""
    try:
        reader.call("securityhub", "describe_hub")
    except Exception as exc:
        if getattr(exc, "code", "") in {"InvalidAccessException", "ResourceNotFoundException"}:
            return [Fact(reader.aws.region, {"enabled": False})]
        raise
    return [Fact(reader.aws.region, {"enabled": True})]
