"""Instances and databases that are stopped, idle, or of a previous generation."""

from collections.abc import Mapping, Sequence
from typing import Any

from opswright_core.aws import tags_of
from opswright_core.text import clean
from opswright_core.verdicts import Unread, attempt
from opswright_cost.components import Component, monthly_usd
from opswright_cost.inventory import database_component, instance_component, load_instances
from opswright_cost.prices import PriceBook
from opswright_cost.series import Series, read_series
from opswright_cost.waste.findings import LEAST_DAYS, WINDOW_DAYS, Finding, Sweep, saved
from opswright_cost.waste.volumes import volume_usd

IDLE_CPU_PERCENT = 5.0
"""AWS Compute Optimizer: an instance is idle when its peak CPU stays below 5 % over 14 days."""

SUCCESSORS = {
    "t2": "t3",
    "m4": "m6i",
    "c4": "c6i",
    "r4": "r6i",
    "m3": "m6i",
    "c3": "c6i",
    "r3": "r6i",
}
"""Families that the EC2 user guide lists as previous generation, and their current x86 ones."""


def find_server_waste(sweep: Sweep) -> None:
    """Look at every instance and database of the region."""
    a = sweep.aws
    instances = sweep.read(
        "instances", lambda: load_instances(a, ["running", "stopped", "stopping"])
    )
    if instances:
        running = [i for i in instances if i["State"]["Name"] == "running"]
        sweep.findings += judge_generation(running, sweep.book)
        _stopped(sweep, [i for i in instances if i["State"]["Name"] != "running"])
        _idle_instances(sweep, running)
    databases = sweep.read(
        "databases", lambda: a.pages("rds", "describe_db_instances", "DBInstances")
    )
    if databases:
        _idle_databases(sweep, [db for db in databases if db["DBInstanceStatus"] == "available"])


def judge_generation(instances: Sequence[Mapping[str, Any]], book: PriceBook) -> list[Finding]:
    """Running instances whose successor of the same size is not dearer, or has no known price."""
    found = []
    for instance in instances:
        family, _, size = instance["InstanceType"].partition(".")
        if family not in SUCCESSORS:
            continue
        better = f"{SUCCESSORS[family]}.{size}"
        own = monthly_usd(book, instance_component(dict(instance)))
        saving = saved(own, monthly_usd(book, Component(kind="ec2", type=better)))
        if saving is None or saving > 0:
            found.append(
                _instance_finding(
                    instance,
                    "previous_generation",
                    f"{instance['InstanceType']} is of a previous generation; {better} follows it",
                    saving,
                    f"stop it, change the type to {better} (drivers: ENA and NVMe), start it",
                )
            )
    return found


def _stopped(sweep: Sweep, stopped: list[dict[str, Any]]) -> None:
    attached = {
        mapping["Ebs"]["VolumeId"]: i["InstanceId"]
        for i in stopped
        for mapping in i.get("BlockDeviceMappings", [])
        if "Ebs" in mapping
    }
    volumes = (
        sweep.read("volumes of stopped instances", lambda: _volumes(sweep, list(attached)))
        if attached
        else []
    )
    for instance in stopped:
        own = [v for v in volumes or [] if attached.get(v["VolumeId"]) == instance["InstanceId"]]
        if not own:
            continue
        prices = [volume_usd(v, sweep.book) for v in own]
        known = [usd for usd in prices if usd is not None]
        sweep.covered |= {("gp2_volume", v["VolumeId"]) for v in own}
        sweep.findings.append(
            _instance_finding(
                instance,
                "stopped_instance",
                f"stopped ({clean(instance.get('StateTransitionReason') or 'unknown', 80)}), "
                f"its {len(own)} volumes of {sum(v['Size'] for v in own)} GB are billed on",
                round(sum(known), 2) if len(known) == len(prices) else None,
                "make an image of it and terminate it, or start it",
            )
        )


def _volumes(sweep: Sweep, ids: list[str]) -> list[dict[str, Any]]:
    return [
        volume
        for start in range(0, len(ids), 200)
        for volume in sweep.aws.pages(
            "ec2",
            "describe_volumes",
            "Volumes",
            Filters=[{"Name": "volume-id", "Values": ids[start : start + 200]}],
        )
    ]


def _idle_instances(sweep: Sweep, running: list[dict[str, Any]]) -> None:
    wanted = {
        i["InstanceId"]: Series(
            "AWS/EC2", "CPUUtilization", (("InstanceId", i["InstanceId"]),), "Maximum"
        )
        for i in running
    }
    values = _series(sweep, "instance CPU", wanted)
    if values is None:
        return
    for instance in running:
        points = values[instance["InstanceId"]]
        if len(points) >= LEAST_DAYS and max(points) < IDLE_CPU_PERCENT:
            sweep.covered.add(("previous_generation", instance["InstanceId"]))
            sweep.findings.append(
                _instance_finding(
                    instance,
                    "idle_instance",
                    f"{instance['InstanceType']}: peak CPU {max(points):.1f} % in {len(points)} "
                    f"of {WINDOW_DAYS} days",
                    monthly_usd(sweep.book, instance_component(instance)),
                    "check what it is for (memory and network are not judged), then stop it",
                )
            )
    unknown = [key for key, points in values.items() if len(points) < LEAST_DAYS]
    sweep.undetermined(f"instances with CPU data of fewer than {LEAST_DAYS} days", unknown)


def _idle_databases(sweep: Sweep, databases: list[dict[str, Any]]) -> None:
    wanted = {
        db["DBInstanceIdentifier"]: Series(
            "AWS/RDS",
            "DatabaseConnections",
            (("DBInstanceIdentifier", db["DBInstanceIdentifier"]),),
            "Maximum",
        )
        for db in databases
    }
    values = _series(sweep, "database connections", wanted)
    if values is None:
        return
    sweep.findings += [
        Finding(
            kind="idle_database",
            resource=db["DBInstanceIdentifier"],
            name=db["DBInstanceIdentifier"],
            why=f"{db['Engine']} {db['DBInstanceClass']}: nobody connected in {WINDOW_DAYS} days",
            monthly_usd=monthly_usd(sweep.book, database_component(db)),
            risk="high",
            next="delete it with a final snapshot, or stop it (AWS starts it after 7 days)",
        )
        for db in databases
        if len(points := values[db["DBInstanceIdentifier"]]) >= LEAST_DAYS and max(points) == 0
    ]
    unknown = [key for key, points in values.items() if len(points) < LEAST_DAYS]
    sweep.undetermined(f"databases with data of fewer than {LEAST_DAYS} days", unknown)


def _series(sweep: Sweep, what: str, wanted: Mapping[str, Series]) -> dict[str, list[float]] | None:
    values = attempt(lambda: read_series(sweep.aws, wanted, now=sweep.now, days=WINDOW_DAYS))
    if isinstance(values, Unread):
        sweep.unread.append(f"{what}: {values.reason}")
        return None
    return values


def _instance_finding(
    instance: Mapping[str, Any], kind: Any, why: str, usd: float | None, following: str
) -> Finding:
    return Finding(
        kind=kind,
        resource=instance["InstanceId"],
        name=clean(tags_of(instance.get("Tags")).get("Name", ""), 80),
        why=why,
        monthly_usd=usd,
        risk="medium",
        next=following,
    )
