"""Whether a resource has a copy in another region: pure judgements of what was read."""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opswright_core.verdicts import Verdict


@dataclass(frozen=True)
class Copy:
    """One resource, whether it has a copy in the other region, and what tells."""

    id: str
    verdict: Verdict
    evidence: str = ""


def region_of(arn: str) -> str:
    """The region of an ARN; '' for what is no ARN, or has none."""
    parts = arn.split(":")
    return parts[3] if len(parts) > 5 and parts[0] == "arn" else ""


def judge_key(key: Mapping[str, Any], to_region: str) -> Copy:
    """A KMS key: its replicas are listed with it."""
    config = key.get("MultiRegionConfiguration") or {}
    replicas = [config.get("PrimaryKey", {}), *config.get("ReplicaKeys", [])]
    there = any(one.get("Region") == to_region for one in replicas)
    if there:
        return Copy(key["KeyId"], "PASS", f"multi-Region, with a key in {to_region}")
    multi = bool(key.get("MultiRegion"))
    return Copy(key["KeyId"], "FAIL", f"no replica in {to_region}" if multi else "single-Region")


def judge_secrets(
    secrets: Iterable[Mapping[str, Any]], there: Iterable[Mapping[str, Any]], from_region: str
) -> list[Copy]:
    """Secrets: a replica has the same name there and names the region of its primary."""
    replicas = {s["Name"] for s in there if s.get("PrimaryRegion") == from_region}
    return [
        Copy(s["Name"], "PASS", "replicated")
        if s["Name"] in replicas
        else Copy(s["Name"], "FAIL", "no replica")
        for s in secrets
    ]


def judge_parameters(names: Iterable[str], there: Collection[str]) -> list[Copy]:
    """Parameters: one of the same name there may be a copy; the values are not compared."""
    return [
        Copy(name, "UNKNOWN", "one of the same name is there; values not compared")
        if name in there
        else Copy(name, "FAIL", "none of the same name")
        for name in names
    ]


def judge_database(
    database: Mapping[str, Any], snapshots: Sequence[Mapping[str, Any]], to_region: str
) -> Copy:
    """An RDS instance: a replica there, replicated backups, or at least a copied snapshot."""
    name, arn = database["DBInstanceIdentifier"], database["DBInstanceArn"]
    replicas = database.get("ReadReplicaDBInstanceIdentifiers", [])
    if any(region_of(replica) == to_region for replica in replicas):
        return Copy(name, "PASS", "a read replica; what it lags behind is lost")
    backups = database.get("DBInstanceAutomatedBackupsReplications", [])
    if any(region_of(b["DBInstanceAutomatedBackupsArn"]) == to_region for b in backups):
        return Copy(name, "PASS", "replicated backups, to a point some minutes ago")
    copies = [
        s
        for s in snapshots
        if s.get("DBInstanceIdentifier") == name
        and region_of(s.get("SourceDBSnapshotIdentifier", "")) == region_of(arn)
    ]
    return _by_snapshot(name, copies, "OriginalSnapshotCreateTime", "SnapshotCreateTime")


def judge_cluster(
    cluster: Mapping[str, Any],
    global_members: Collection[Collection[str]],
    snapshots: Sequence[Mapping[str, Any]],
    to_region: str,
) -> Copy:
    """An Aurora cluster: a member of its global database there, or a copied snapshot.

    `global_members` has the cluster ARNs of each global database.
    """
    name, arn = cluster["DBClusterIdentifier"], cluster["DBClusterArn"]
    for members in global_members:
        if arn in members and any(region_of(one) == to_region for one in members):
            return Copy(name, "PASS", "a global database, about a second behind as a rule")
    copies = [
        s
        for s in snapshots
        if s.get("DBClusterIdentifier") == name
        and region_of(s.get("SourceDBClusterSnapshotArn", "")) == region_of(arn)
    ]
    return _by_snapshot(name, copies, "SnapshotCreateTime")


def _by_snapshot(name: str, copies: Sequence[Mapping[str, Any]], *times: str) -> Copy:
    taken = [next((c[t] for t in times if c.get(t)), None) for c in copies]
    if not copies:
        return Copy(name, "FAIL", "no replica, replicated backup or snapshot there")
    newest = max((t for t in taken if t is not None), default=None)
    when = f"{newest:%Y-%m-%d %H:%M} UTC" if newest else "an unknown time"
    return Copy(name, "PASS", f"a snapshot of {when} alone: what is newer would be lost")


def judge_table(table: Mapping[str, Any], to_region: str) -> Copy:
    """A DynamoDB table: its replicas are listed with it."""
    states = {r["RegionName"]: r.get("ReplicaStatus", "") for r in table.get("Replicas", [])}
    state = states.get(to_region)
    if state is None:
        return Copy(table["TableName"], "FAIL", "no replica")
    verdict: Verdict = "PASS" if state == "ACTIVE" else "UNKNOWN"
    return Copy(table["TableName"], verdict, f"replica {state.lower()}")


def judge_bucket(
    name: str,
    rules: Sequence[Mapping[str, Any]],
    regions: Mapping[str, str],
    to_region: str,
) -> Copy:
    """A bucket: an enabled rule to a bucket there. `regions` has those of this account's buckets.

    A rule with a filter copies a part; objects older than a rule are not copied by it.
    """
    enabled = [rule for rule in rules if rule["Status"] == "Enabled"]
    if not enabled:
        return Copy(name, "FAIL", "no replication rule")
    to = [(rule, rule["Destination"]["Bucket"].rpartition(":")[2]) for rule in enabled]
    there = [rule for rule, bucket in to if regions.get(bucket) == to_region]
    if any(not _is_partial(rule) for rule in there):
        return Copy(name, "PASS", "replicated since the rule was made")
    if there:
        return Copy(name, "UNKNOWN", "only a part is replicated: the rules have filters")
    foreign = [bucket for _, bucket in to if bucket not in regions]
    if foreign:
        return Copy(name, "UNKNOWN", f"replicated to {foreign[0]}, of another account")
    return Copy(name, "FAIL", "replicated to other regions alone")


def _is_partial(rule: Mapping[str, Any]) -> bool:
    wanted = rule.get("Filter") or {}
    narrowed = wanted.get("Prefix") or wanted.get("Tag") or wanted.get("And")
    return bool(narrowed or rule.get("Prefix"))


def judge_file_system(
    file_system: Mapping[str, Any], replications: Iterable[Mapping[str, Any]], to_region: str
) -> Copy:
    """An EFS file system: a replication whose destination is there."""
    own = file_system["FileSystemId"]
    for replication in replications:
        if replication["SourceFileSystemId"] != own:
            continue
        for to in replication["Destinations"]:
            if to["Region"] == to_region:
                state = to["Status"]
                verdict: Verdict = "PASS" if state == "ENABLED" else "UNKNOWN"
                return Copy(own, verdict, f"replication {state.lower()}")
    return Copy(own, "FAIL", "no replication")


def judge_volume(
    volume: Mapping[str, Any],
    snapshots: Sequence[Mapping[str, Any]],
    there: Sequence[Mapping[str, Any]],
) -> Copy:
    """A volume: a copy there of one of its snapshots.

    EC2 keeps no link from a copy to its source: it is recognised by the description that EC2 gives
    a copy (`[Copied snap-… from …]`); another description is UNKNOWN, never "no copy".
    """
    own = {
        s["SnapshotId"]: s["StartTime"] for s in snapshots if s["VolumeId"] == volume["VolumeId"]
    }
    if not own:
        return Copy(volume["VolumeId"], "FAIL", "no snapshot at all")
    named = {one for s in there for one in re.findall(r"snap-[0-9a-f]+", s.get("Description", ""))}
    copied = [own[one] for one in own if one in named]
    if copied:
        return Copy(volume["VolumeId"], "PASS", f"a snapshot of {max(copied):%Y-%m-%d %H:%M} UTC")
    if there:
        return Copy(volume["VolumeId"], "UNKNOWN", "no snapshot there says that it is a copy of it")
    return Copy(volume["VolumeId"], "FAIL", "its snapshots are in this region alone")


def judge_image(
    image: Mapping[str, Any], there: Iterable[Mapping[str, Any]], from_region: str
) -> Copy:
    """An image: a copy there names its source, or has the same name (older copies name none)."""
    name = image["ImageId"]
    for one in there:
        if (one.get("SourceImageId"), one.get("SourceImageRegion")) == (name, from_region):
            return Copy(name, "PASS", f"copied as {one['ImageId']}")
        if one.get("Name") == image.get("Name"):
            return Copy(name, "UNKNOWN", f"{one['ImageId']} there has the same name")
    return Copy(name, "FAIL", "no copy")


def judge_repository(name: str, rules: Iterable[Mapping[str, Any]], to_region: str) -> Copy:
    """A container repository: a replication rule of its registry to that region that fits it."""
    for rule in rules:
        prefixes = [f["filter"] for f in rule.get("repositoryFilters", [])]
        fits = not prefixes or any(name.startswith(prefix) for prefix in prefixes)
        if fits and any(to["region"] == to_region for to in rule["destinations"]):
            return Copy(name, "PASS", "images pushed since the rule was made")
    return Copy(name, "FAIL", "no replication rule")


def judge_cache(
    group: Mapping[str, Any], datastores: Mapping[str, Collection[str]], to_region: str
) -> Copy:
    """A cache: a member of its global datastore there. `datastores` has their regions by id."""
    name = group["ReplicationGroupId"]
    store = (group.get("GlobalReplicationGroupInfo") or {}).get("GlobalReplicationGroupId")
    there = to_region in datastores.get(store, ()) if store else False
    return Copy(name, "PASS" if there else "FAIL", store if there and store else "no global member")
