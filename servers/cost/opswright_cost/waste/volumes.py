"""Volumes nobody uses, volumes of a dearer type, snapshots of volumes that are gone."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from opswright_core.aws import tags_of
from opswright_core.text import clean
from opswright_cost.components import monthly_usd
from opswright_cost.inventory import volume_component
from opswright_cost.prices import PriceBook
from opswright_cost.waste.findings import Finding, Sweep

SNAPSHOT_DAYS = 30
GP3_IOPS, GP3_MBPS = 3000, 125
"""Included in gp3 (EBS user guide). gp2 has 3 IOPS per GB up to 16,000; 250 MB/s from 334 GB."""


def find_volume_waste(sweep: Sweep) -> None:
    """Look at every volume and own snapshot of the region."""
    a = sweep.aws
    volumes = sweep.read("volumes", lambda: a.pages("ec2", "describe_volumes", "Volumes"))
    sweep.findings += judge_volumes(volumes or [], sweep.book)
    snapshots = sweep.read(
        "snapshots",
        lambda: a.pages("ec2", "describe_snapshots", "Snapshots", OwnerIds=["self"]),
    )
    images = sweep.read(
        "images", lambda: a.pages("ec2", "describe_images", "Images", Owners=["self"])
    )
    if volumes is None or images is None or snapshots is None:
        return
    used = {
        mapping["Ebs"].get("SnapshotId")
        for image in images
        for mapping in image.get("BlockDeviceMappings", [])
        if "Ebs" in mapping
    }
    kept = {v["VolumeId"] for v in volumes}
    sweep.findings += judge_snapshots(
        [s for s in snapshots if s["SnapshotId"] not in used and s.get("VolumeId") not in kept],
        sweep.book,
        sweep.now,
    )


def judge_volumes(volumes: Sequence[Mapping[str, Any]], book: PriceBook) -> list[Finding]:
    """Unattached volumes waste all they cost, attached gp2 ones the difference to an equal gp3."""
    found = []
    for volume in volumes:
        kind, size = volume["VolumeType"], volume["Size"]
        name = clean(tags_of(volume.get("Tags")).get("Name", ""), 80)
        if volume["State"] == "available":
            found.append(
                Finding(
                    kind="unattached_volume",
                    resource=volume["VolumeId"],
                    name=name,
                    why=f"{size} GB {kind}, attached to nothing",
                    monthly_usd=volume_usd(volume, book),
                    risk="medium",
                    next="delete_unattached_volume (it takes a snapshot first)",
                )
            )
        elif kind == "gp2" and (saving := gp3_saving(size, book)) != 0:
            found.append(
                Finding(
                    kind="gp2_volume",
                    resource=volume["VolumeId"],
                    name=name,
                    why=f"{size} GB gp2; gp3 of the same IOPS and throughput costs less",
                    monthly_usd=saving,
                    risk="low",
                    next="aws ec2 modify-volume --volume-type gp3 --volume-id "
                    + volume["VolumeId"],
                )
            )
    return found


def volume_usd(volume: Mapping[str, Any], book: PriceBook) -> float | None:
    """What a volume costs a month with its provisioned IOPS and throughput; None when not known."""
    kind, iops = volume["VolumeType"], volume.get("Iops") or 0
    parts = [monthly_usd(book, volume_component(dict(volume)))]
    paid_iops = {"gp3": max(0, iops - GP3_IOPS), "io1": iops, "io2": iops}.get(kind, 0)
    if paid_iops:
        unit = book.find("ebs_iops_month", kind)
        parts.append(None if unit is None else unit * paid_iops)
    if kind == "gp3" and (mbps := (volume.get("Throughput") or GP3_MBPS) - GP3_MBPS) > 0:
        unit = book.find("ebs_throughput_mbps_month", kind)
        parts.append(None if unit is None else unit * mbps)
    return _sum(parts)


def gp3_saving(size_gb: int, book: PriceBook) -> float | None:
    """What a gp2 volume would save a month as an equal gp3; 0: nothing, None: unknown."""
    gp2, gp3 = book.find("ebs_gb_month", "gp2"), book.find("ebs_gb_month", "gp3")
    iops, mbps = book.find("ebs_iops_month", "gp3"), book.find("ebs_throughput_mbps_month", "gp3")
    if gp2 is None or gp3 is None or iops is None or mbps is None:
        return None
    more_iops = max(0, min(16_000, 3 * size_gb) - GP3_IOPS)
    more_mbps = 125 if size_gb >= 334 else 0
    return max(0.0, round(size_gb * (gp2 - gp3) - more_iops * iops - more_mbps * mbps, 2))


def judge_snapshots(
    snapshots: Sequence[Mapping[str, Any]], book: PriceBook, now: datetime
) -> list[Finding]:
    """Snapshots over 30 days old of volumes that are gone; billed by blocks: price unknown."""
    unit = book.find("snapshot_gb_month")
    old = [s for s in snapshots if now - s["StartTime"] > timedelta(days=SNAPSHOT_DAYS)]
    return [
        Finding(
            kind="orphan_snapshot",
            resource=s["SnapshotId"],
            name=clean(s.get("Description") or "", 80),
            why=f"of {s['VolumeSize']} GB volume {s.get('VolumeId')}, now gone; no image has it"
            + (f"; at most ${unit * s['VolumeSize']:,.2f} a month" if unit else ""),
            monthly_usd=None,
            risk="medium",
            next="if it is no wanted backup: aws ec2 delete-snapshot --snapshot-id "
            + s["SnapshotId"],
        )
        for s in old
    ]


def _sum(parts: Sequence[float | None]) -> float | None:
    known = [part for part in parts if part is not None]
    return round(sum(known), 2) if len(known) == len(parts) else None
