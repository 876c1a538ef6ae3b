"""Record sets: read, compared, said in words, written with an inverse that restores them."""

import json
from collections.abc import Sequence
from typing import Any

from opswright_aws_devops.dns.zones import Zone, normal
from opswright_aws_devops.lookup import if_exists
from opswright_core.aws import Aws, AwsTarget
from opswright_core.canonical import digest
from opswright_core.changes import ResourceRef
from opswright_core.errors import ConflictError
from opswright_core.recorder import Recorder
from opswright_core.redact import MASK, redact
from opswright_core.runtime import aws
from opswright_core.undo import UndoStep
from opswright_core.verdicts import Check, Unread, attempt, check

RESTORE_RECORD = "route53-record"
"""The kind of undo step that gives a record back its value before, or removes it."""

RECORD = "route53:record"
IN_SYNC_SECONDS = 900.0
"""Changes reach all of Route 53's name servers within 60 seconds as a rule (its FAQ)."""

_KEY = ("Name", "Type", "SetIdentifier")
_ROUTING = ("Weight", "Failover", "HealthCheckId")


def load_records(a: Aws, zone_id: str, name: str) -> list[dict[str, Any]]:
    """Every record set of a name, as Route 53 describes it."""
    # Names are listed in the order of their labels reversed: those of one name stand together.
    route53 = a.client("route53")
    start: dict[str, str] = {"StartRecordName": name.replace("*", "\\052")}
    found: list[dict[str, Any]] = []
    while True:
        page = route53.list_resource_record_sets(HostedZoneId=zone_id, **start)
        here = [r for r in page["ResourceRecordSets"] if normal(r["Name"]) == normal(name)]
        found += here
        if not page["IsTruncated"] or normal(page["NextRecordName"]) != normal(name):
            return found
        start = {
            key: page[f"Next{key.removeprefix('Start')}"]
            for key in ("StartRecordName", "StartRecordType", "StartRecordIdentifier")
            if page.get(f"Next{key.removeprefix('Start')}")
        }


def same_key(record: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two record sets are the same one: name, type and set identifier."""

    def key(one: dict[str, Any]) -> tuple[str, str, str | None]:
        return normal(one["Name"]), one["Type"], one.get("SetIdentifier")

    return key(record) == key(other)


def load_record(a: Aws, zone_id: str, record: dict[str, Any]) -> dict[str, Any] | None:
    """The record set of the same name, type and set identifier as it is now, or None."""
    there = load_records(a, zone_id, record["Name"])
    return next((found for found in there if same_key(found, record)), None)


def answers_of(record: dict[str, Any] | None) -> dict[str, Any] | None:
    """What a record set answers, in a form that compares."""
    if record is None:
        return None
    alias = record.get("AliasTarget")
    found: dict[str, Any] = {key: record[key] for key in _ROUTING if record.get(key) is not None}
    if alias:
        to = {"zone": alias["HostedZoneId"], "name": normal(alias["DNSName"])}
        return {**found, "alias": {**to, "health": bool(alias["EvaluateTargetHealth"])}}
    values = sorted(value["Value"] for value in record.get("ResourceRecords", []))
    return {**found, "values": values, "ttl": record.get("TTL")}


def in_words(record: dict[str, Any] | None) -> str:
    """What a record set answers, in words."""
    answers = answers_of(record)
    if answers is None:
        return "nothing"
    routed = "".join(f", {key.lower()} {answers[key]}" for key in _ROUTING if key in answers)
    if alias := answers.get("alias"):
        return f"alias of {alias['name']}{routed}"
    return f"{', '.join(answers['values'])} (TTL {answers['ttl']} s){routed}"


def is_kept(record: dict[str, Any] | None) -> bool:
    """Whether the journal keeps a record as it is, so that it can be restored from there."""
    return bool(redact(record) == record)


def put_record(
    a: Aws, rec: Recorder, zone: Zone, record: dict[str, Any], target: AwsTarget
) -> str | None:
    """Write a record set, unless it is so already; the id of Route 53's change then, else None.

    The inverse restores what was there before, as long as nobody changed it since.
    """
    before = load_record(a, zone.id, record)
    name, kind = normal(record["Name"]), record["Type"]
    back = "delete" if before is None else "restore"
    to = "" if before is None else f" to {in_words(before)}"
    which = f"{kind} {name}" + (f" ({i})" if (i := record.get("SetIdentifier")) else "")

    def send() -> dict[str, str | None]:
        if answers_of(load_record(a, zone.id, record)) == answers_of(record):
            return {"change": None}
        return {"change": _change(a, zone.id, "UPSERT", record)}

    done: dict[str, str | None] = rec.step(
        f"{RECORD} {which}",
        send,
        undo=[
            UndoStep(
                kind=RESTORE_RECORD,
                description=f"{back} {which}{to}",
                args={
                    "zone": zone.id,
                    "record": {k: v for k, v in record.items() if k in _KEY},
                    "made": digest(answers_of(record)),
                    "before": before,
                    "target": target.model_dump(exclude_none=True),
                    "region": a.region,
                },
            )
        ],
        resource=ResourceRef(
            type=RECORD,
            id=f"{zone.id}/{which}",
            name=name,
            action="created" if before is None else "modified",
        ),
    )
    return done["change"]


def wait_in_sync(a: Aws, rec: Recorder, changes: Sequence[str | None]) -> None:
    """Wait until every one of Route 53's name servers has the changes (None: there is none)."""
    route53, left = a.client("route53"), [change for change in changes if change]

    def have_all() -> bool:
        states = (route53.get_change(Id=change)["ChangeInfo"]["Status"] for change in left)
        return all(state == "INSYNC" for state in states)

    rec.wait("Route 53's name servers have it", have_all, timeout_seconds=IN_SYNC_SECONDS)


def _change(a: Aws, zone_id: str, action: str, record: dict[str, Any]) -> str:
    answer = a.client("route53").change_resource_record_sets(
        HostedZoneId=zone_id,
        ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]},
    )
    change: str = answer["ChangeInfo"]["Id"]
    return change


class RecordUndo:
    """Gives a record back its value before, or removes it; never over somebody's later change."""

    def replay(self, step: UndoStep) -> None:
        """Restore the record. Raises ConflictError when it is neither as made nor as before."""
        record, before = step.args["record"], step.args["before"]
        a, now = self._open(step), self._now(step)
        if answers_of(now) == answers_of(before):
            return
        if digest(answers_of(now)) != step.args["made"]:
            raise ConflictError(
                f"{record['Type']} {record['Name']} was changed since, to {in_words(now)}: it is "
                f"left as it is. Before this change it was {in_words(before)}; set that yourself "
                "if it is still wanted."
            )
        if MASK in str(before):
            raise ConflictError(
                f"What {record['Type']} {record['Name']} was before looks like a secret, which the "
                "journal does not keep: set it yourself."
            )
        if now is not None and before is None:
            _change(a, step.args["zone"], "DELETE", now)
        elif before is not None:
            _change(a, step.args["zone"], "UPSERT", before)

    def verify(self, step: UndoStep) -> Check:
        """PASS when the record is as it was before."""
        now = attempt(lambda: json.dumps(answers_of(self._now(step)), sort_keys=True))
        before = json.dumps(answers_of(step.args["before"]), sort_keys=True)
        return check(
            step.description,
            now if isinstance(now, Unread) else now == before,
            "" if isinstance(now, Unread) else f"list_resource_record_sets finds {now}",
        )

    def _open(self, step: UndoStep) -> Aws:
        return aws(AwsTarget(**{**step.args["target"], "region": step.args["region"]}))

    def _now(self, step: UndoStep) -> dict[str, Any] | None:
        """The record as it is; None also when its zone is gone."""
        a, record = self._open(step), step.args["record"]
        return if_exists(lambda: load_record(a, step.args["zone"], record))
