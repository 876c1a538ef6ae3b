"""Judges what watches the account."""

from typing import Any

from opswright_security.facts import detection as read
from opswright_security.reading import Fact
from opswright_security.rules import Problem, rule


@rule(
    "cloudtrail-multi-region",
    "A trail records all regions",
    "high",
    read.load_trail_coverage,
    "cis-3.0:3.1",
    "fsbp:CloudTrail.1",
    fix="Create a multi-region trail for all management events, to a bucket few can write to.",
    command="aws cloudtrail create-trail --name main --s3-bucket-name BUCKET "
    "--is-multi-region-trail --enable-log-file-validation; "
    "aws cloudtrail start-logging --name main",
)
def trail_multi_region(account: Fact) -> Problem:
    """Without it nobody can tell who did what, least of all in a region nobody uses."""
    trails: list[Fact] = account["trails"]
    if not trails:
        return "no trail"
    wide = [t for t in trails if t.get("IsMultiRegionTrail")]
    if not wide:
        return f"no multi-region trail among {len(trails)}"
    logging = [t for t in wide if t["logging"]]
    if not logging:
        return "the multi-region trail is stopped"
    full = any(_records_management(t["selectors"]) for t in logging)
    return None if full else "no multi-region trail records all management events"


def _records_management(answer: dict[str, Any]) -> bool:
    simple, advanced = answer.get("EventSelectors"), answer.get("AdvancedEventSelectors")
    if advanced:
        return any(_selects_management(s.get("FieldSelectors", [])) for s in advanced)
    return not simple or any(
        s.get("IncludeManagementEvents", True) and s.get("ReadWriteType", "All") == "All"
        for s in simple
    )


def _selects_management(fields: list[dict[str, Any]]) -> bool:
    by_name = {field["Field"]: field for field in fields}
    category = by_name.get("eventCategory", {}).get("Equals", [])
    return "Management" in category and "readOnly" not in by_name


@rule(
    "cloudtrail-validation",
    "Trails sign their log files",
    "low",
    read.load_trails,
    "cis-3.0:3.2",
    "fsbp:CloudTrail.4",
    fix="Turn log file validation on.",
    command="aws cloudtrail update-trail --name TRAIL --enable-log-file-validation",
)
def trail_validation(trail: Fact) -> Problem:
    """An intruder who edits the log leaves no mark otherwise."""
    return None if trail.get("LogFileValidationEnabled") else "log file validation is off"


@rule(
    "cloudtrail-encrypted",
    "Trails are encrypted with a KMS key",
    "low",
    read.load_trails,
    "cis-3.0:3.5",
    "fsbp:CloudTrail.2",
    fix="Give the trail a KMS key whose policy lets CloudTrail use it.",
    command="aws cloudtrail update-trail --name TRAIL --kms-key-id KEY",
)
def trail_encrypted(trail: Fact) -> Problem:
    """Reading the log then takes two permissions, and is itself logged."""
    return None if trail.get("KmsKeyId") else "no KMS key"


@rule(
    "guardduty-enabled",
    "GuardDuty watches the region",
    "high",
    read.load_detectors,
    "fsbp:GuardDuty.1",
    fix="Enable GuardDuty in every region, also the unused ones.",
    command="aws guardduty create-detector --enable",
)
def guardduty(region: Fact) -> Problem:
    """It is what notices stolen credentials and miners."""
    status = region["status"]
    if status is None:
        return "not enabled"
    return None if status == "ENABLED" else f"detector is {status.lower()}"


@rule(
    "config-enabled",
    "AWS Config records the region",
    "medium",
    read.load_recorders,
    "cis-3.0:3.3",
    fix="Set up a recorder for all supported types and start it.",
    command="aws configservice start-configuration-recorder --configuration-recorder-name default",
)
def config_recorder(region: Fact) -> Problem:
    """It answers what changed, and when."""
    if not region["recorders"]:
        return "no recorder"
    if not region["recording"]:
        return "the recorder is stopped"
    group = region["group"]
    strategy = group.get("recordingStrategy", {}).get("useOnly", "")
    everything = group.get("allSupported") or strategy == "ALL_SUPPORTED_RESOURCE_TYPES"
    return None if everything else "the recorder leaves types out"


@rule(
    "securityhub-enabled",
    "Security Hub is on",
    "low",
    read.load_hub,
    "cis-3.0:4.16",
    fix="Enable Security Hub with the standards you follow.",
    command="aws securityhub enable-security-hub",
)
def security_hub(region: Fact) -> Problem:
    """It keeps the findings of all services in one place."""
    return None if region["enabled"] else "not enabled"
