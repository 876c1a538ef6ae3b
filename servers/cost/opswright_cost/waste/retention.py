"""Logs and objects that are kept for ever because nobody said for how long."""

from typing import Any

from opswright_core.aws import is_absent
from opswright_core.parallel import each
from opswright_core.text import clean
from opswright_core.verdicts import Unread, attempt
from opswright_cost.waste.findings import Finding, Sweep

MOST_BUCKETS = 500
"""Each bucket takes two calls; more than these are counted and said, not read."""
GIB = 1024**3


def find_retention_waste(sweep: Sweep) -> None:
    """Look at every log group of the region and at the account's buckets there."""
    a = sweep.aws
    groups = sweep.read("log groups", lambda: a.pages("logs", "describe_log_groups", "logGroups"))
    unit = sweep.book.find("log_storage_gb_month")
    sweep.findings += [_log_finding(g, unit) for g in groups or [] if "retentionInDays" not in g]
    buckets = sweep.read("buckets", lambda: _buckets(sweep)) or []
    looked_at = buckets[:MOST_BUCKETS]
    answers = each(looked_at, lambda bucket: attempt(lambda: _missing_rules(sweep, bucket)))
    for bucket, missing in zip(looked_at, answers, strict=True):
        if isinstance(missing, Unread):
            sweep.unread.append(f"lifecycle of bucket {bucket}: {missing.reason}")
        elif missing:
            sweep.findings.append(
                Finding(
                    kind="bucket_without_lifecycle",
                    resource=bucket,
                    name=bucket,
                    why=f"no rule ends {' or '.join(missing)}",
                    monthly_usd=None,
                    risk="low",
                    next="add a lifecycle rule for each",
                )
            )
    if len(buckets) > MOST_BUCKETS:
        sweep.undetermined("buckets not looked at", buckets[MOST_BUCKETS:])


def missing_rules(rules: list[dict[str, Any]], versioned: bool) -> list[str]:
    """What no enabled lifecycle rule ends: incomplete uploads, and old versions if kept."""
    enabled = [rule for rule in rules if rule.get("Status") == "Enabled"]
    missing = []
    if not any("AbortIncompleteMultipartUpload" in rule for rule in enabled):
        missing.append("incomplete uploads")
    if versioned and not any("NoncurrentVersionExpiration" in rule for rule in enabled):
        missing.append("old versions")
    return missing


def _log_finding(group: dict[str, Any], unit_usd: float | None) -> Finding:
    gib = group.get("storedBytes", 0) / GIB
    now = f"; storing it costs ${gib * unit_usd:,.2f} a month now" if unit_usd else ""
    name = clean(group["logGroupName"], 120)
    return Finding(
        kind="log_group_without_retention",
        resource=name,
        name=name,
        why=f"{gib:,.2f} GB kept for ever{now}",
        monthly_usd=None,
        risk="low",
        next="set a retention of as many days as are needed",
    )


def _buckets(sweep: Sweep) -> list[str]:
    region = sweep.aws.region
    listed = sweep.aws.client("s3").list_buckets(BucketRegion=region)["Buckets"]
    return [b["Name"] for b in listed if b.get("BucketRegion", region) == region]


def _missing_rules(sweep: Sweep, bucket: str) -> list[str]:
    client = sweep.aws.client("s3")
    try:
        rules = client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]
    except Exception as exc:
        if not is_absent(exc):
            raise
        rules = []
    versioned = client.get_bucket_versioning(Bucket=bucket).get("Status") == "Enabled"
    return missing_rules(rules, versioned)
