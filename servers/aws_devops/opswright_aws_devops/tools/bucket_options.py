"""Options of a bucket that exists: cheaper storage with age, access log, key, protection."""

from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.buckets.encryption import (
    OWN_KEYS,
    encrypt,
    encrypts_so,
    find_key,
    planned_encryption,
)
from opswright_aws_devops.buckets.lifecycle import (
    LEAST_IA_DAYS,
    ArchiveClass,
    old_versions,
    same_rule,
    set_rule,
    sooner,
    transitions,
)
from opswright_aws_devops.buckets.policies import add_statement, has_statement
from opswright_aws_devops.buckets.protection import (
    PRIVATE,
    planned,
    protect,
    refuse_plain_http,
    refuses_plain_http,
)
from opswright_aws_devops.buckets.settings import BucketSettings, load_settings, log_statement
from opswright_aws_devops.steps import send
from opswright_aws_devops.tools.buckets import BUCKET, owned_tags
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, ResourceRef, Scope, Work
from opswright_core.errors import BadInputError, NotFoundError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.undo import UndoStep, aws_undo
from opswright_core.verdicts import Check, Unread, check

BucketName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$")]
Days = Annotated[int, Field(ge=1, le=3650)]


class BucketOptions(BaseModel):
    """The options of a bucket as they are now."""

    bucket: str
    transitions: list[str] = Field(description="Like STANDARD_IA after 30 days")
    log_bucket: str | None
    kms_key: str | None
    noncurrent_days: int | None = Field(description="Old versions are kept, by this tool's rule")
    versioned: bool
    public_access_blocked: bool


class Wanted(BaseModel):
    """What is asked for; None: as it is."""

    rule: dict[str, Any] | None
    log_bucket: str | None
    encryption: str | None
    """The ARN of a KMS key, or OWN_KEYS."""
    versioned: bool | None = None
    closed: bool = False
    """Closed to the public; False leaves it as it is."""
    noncurrent_days: int | None = None
    tls_only: bool = False
    """Plain HTTP refused; False leaves it as it is."""

    def logs_so(self, bucket: str, now: BucketSettings) -> bool:
        """Whether the access is logged as asked for."""
        wanted = {"TargetBucket": self.log_bucket, "TargetPrefix": f"{bucket}/"}
        found = now.logging or {}
        return {word: found.get(word) for word in wanted} == wanted


@write_tool(toolset="storage")
def configure_bucket(
    bucket: Annotated[BucketName, Field(description="One that exists")],
    ia_after_days: Annotated[
        Days | None, Field(description="Age to move objects to Standard-IA at")
    ] = None,
    archive_after_days: Annotated[
        Days | None, Field(description="Age to move them to the archive class at")
    ] = None,
    archive_class: Annotated[ArchiveClass, Field(description="Glacier class")] = "GLACIER",
    prefix: Annotated[str, Field(description="Moves only these keys", max_length=1024)] = "",
    log_bucket: Annotated[
        BucketName | None, Field(description="Bucket that takes the access log")
    ] = None,
    kms_key: Annotated[
        str | None,
        Field(description="Id, ARN or alias; AES256: S3's own keys", max_length=400),
    ] = None,
    versioned: Annotated[
        bool | None, Field(description="Keep old versions; false suspends")
    ] = None,
    noncurrent_days: Annotated[Days | None, Field(description="Then old versions go")] = None,
    block_public_access: Annotated[
        bool, Field(description="Close it to the public; false leaves it as it is")
    ] = False,
    tls_only: Annotated[bool, Field(description="Refuse plain HTTP; false leaves it")] = False,
    target: Target = HERE,
) -> Work[BucketOptions]:
    """Set a bucket's storage classes by age, server access log and KMS key; the rest stays."""
    if versioned is None and not (block_public_access or tls_only):
        _require_one(ia_after_days, archive_after_days, log_bucket, kms_key, noncurrent_days)
    _require_sense(bucket, ia_after_days, archive_after_days, log_bucket)
    a = aws(target)
    ages = ia_after_days is not None or archive_after_days is not None
    rule = transitions(prefix, ia_after_days, archive_after_days, archive_class) if ages else None

    def wanted() -> Wanted:
        return Wanted(
            rule=rule,
            log_bucket=log_bucket,
            encryption=find_key(a, kms_key) if kms_key and kms_key != OWN_KEYS else kms_key,
            versioned=versioned,
            closed=block_public_access,
            noncurrent_days=noncurrent_days,
            tls_only=tls_only,
        )

    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, bucket, wanted()),
        apply=lambda rec: _apply(a, rec, bucket, wanted(), target),
        verify=lambda made: _judge(a, bucket, wanted()),
        outputs=BucketOptions,
        existing=lambda: _outputs(a, bucket),
    )


def _require_one(*options: object) -> None:
    if all(option is None for option in options):
        raise BadInputError(
            "Nothing to set: give ia_after_days, archive_after_days, log_bucket, kms_key, "
            "versioned, noncurrent_days, block_public_access or tls_only."
        )


def _require_sense(
    bucket: str, ia: int | None, archive: int | None, log_bucket: str | None
) -> None:
    if ia is not None and ia < LEAST_IA_DAYS:
        raise BadInputError(f"ia_after_days is {ia}; S3 takes {LEAST_IA_DAYS} or more.")
    if ia is not None and archive is not None and archive < ia + LEAST_IA_DAYS:
        raise BadInputError(
            f"archive_after_days is {archive}; objects stay in Standard-IA for {LEAST_IA_DAYS} "
            f"days, so give {ia + LEAST_IA_DAYS} or more."
        )
    if log_bucket == bucket:
        raise BadInputError(f"{bucket} cannot log into itself: each entry would make the next.")


def _require_log_bucket(a: Aws, bucket: str, log_bucket: str) -> list[str]:
    """Warnings of a log bucket. Raises NotFoundError, ConflictError or BadInputError."""
    if owned_tags(a, log_bucket) is None:
        raise NotFoundError(f"There is no bucket {log_bucket!r}; create_bucket makes one.")
    settings = load_settings(a, log_bucket)
    if settings.key:
        raise BadInputError(
            f"{log_bucket} encrypts with a KMS key, which S3's log delivery does not support; "
            "give a bucket with S3's own encryption."
        )
    if (settings.logging or {}).get("TargetBucket") == bucket:
        raise BadInputError(f"{log_bucket} logs into {bucket}: the two would log each other.")
    return ["The log is written some hours late, and no entry is guaranteed (best effort)."]


def _plan(a: Aws, bucket: str, wanted: Wanted) -> ChangePlan:
    if owned_tags(a, bucket) is None:
        raise NotFoundError(f"There is no bucket {bucket!r}; create_bucket makes one.")
    now = load_settings(a, bucket)
    actions, warnings = [], []

    def modify(name: str, detail: str) -> None:
        actions.append(Action(verb="modify", type=BUCKET, name=name, detail=detail))

    if wanted.rule and not same_rule(now.rule, wanted.rule):
        modify(bucket, f"storage classes: {'; '.join(_said(wanted.rule))}")
        warnings.append(
            "Objects that have moved stay where they are after an undo. Standard-IA bills 30 days "
            "and 128 KB an object at least, archives 90 or 180 days; reading them costs by the GB, "
            "and from GLACIER and DEEP_ARCHIVE takes hours."
        )
    if wanted.log_bucket:
        logs = _require_log_bucket(a, bucket, wanted.log_bucket)
        if not has_statement(a, wanted.log_bucket, _statement(a, bucket, wanted.log_bucket)):
            modify(wanted.log_bucket, f"its policy lets S3 write the access log of {bucket}")
        if not wanted.logs_so(bucket, now):
            modify(bucket, f"access log to {wanted.log_bucket}/{bucket}/")
            warnings += logs
    if wanted.encryption and not encrypts_so(now, wanted.encryption):
        detail, warning = planned_encryption(now, wanted.encryption)
        modify(bucket, detail)
        warnings.append(warning)
    if (days := wanted.noncurrent_days) and days != now.kept_days:
        modify(bucket, f"old versions: kept {now.kept_days or 'as before'} -> {days} days")
        warnings += _about_old_versions(now, days, wanted.versioned)
    if wanted.tls_only and a.is_emulator:
        warnings.append("The emulator speaks plain HTTP: that it is refused is left out.")
    elif wanted.tls_only and not refuses_plain_http(a, bucket):
        modify(bucket, "its policy refuses plain HTTP")
        warnings.append("Who calls it over plain HTTP, a website's visitor too, is refused.")
    changed, told = planned(now, versioned=wanted.versioned, closed=wanted.closed)
    for detail in changed:
        modify(bucket, detail)
    warnings += told
    return ChangePlan(
        summary=f"Configure bucket {bucket}",
        actions=actions,
        warnings=warnings,
        observed={
            "now": [repr(now.rule), repr(now.logging), now.key],
            "protection": [now.versioning, repr(now.public_access)],
            "old_versions": now.kept_days,
        },
    )


def _about_old_versions(now: BucketSettings, days: int, versioned: bool | None) -> list[str]:
    """What has to be known of old versions that are deleted after some days."""
    said = ["Old versions are deleted for good; an undo brings back none."]
    if others := sooner(now.lifecycle, days):
        said.append(f"Another rule deletes them sooner, and counts: {', '.join(others)}.")
    if not (now.versioned if versioned is None else versioned):
        said.append("It keeps no old versions: give versioned too, or the rule has nothing to do.")
    return said


def _said(rule: dict[str, Any] | None) -> list[str]:
    moves = (rule or {}).get("Transitions", [])
    return [f"{move['StorageClass']} after {move['Days']} days" for move in moves]


def _statement(a: Aws, bucket: str, log_bucket: str) -> dict[str, Any]:
    return log_statement(log_bucket, bucket, partition=a.partition, account_id=a.account_id)


def _apply(a: Aws, rec: Recorder, bucket: str, wanted: Wanted, target: AwsTarget) -> BucketOptions:
    s3, which, now = a.client("s3"), {"Bucket": bucket}, load_settings(a, bucket)
    touched = ResourceRef(type=BUCKET, id=bucket, name=bucket, action="modified")

    def back(what: str, operation: str, params: dict[str, Any], gone: Any) -> list[UndoStep]:
        return [
            aws_undo(
                what, "s3", operation, {**which, **params}, target=target, region=a.region,
                gone=gone,
            )
        ]  # fmt: skip

    if (rule := wanted.rule) and not same_rule(now.rule, rule):
        set_rule(a, rec, touched, rule, "storage classes", target)
    if (days := wanted.noncurrent_days) and days != now.kept_days:
        set_rule(a, rec, touched, old_versions(days), "expiry of old versions", target)
    if log_bucket := wanted.log_bucket:
        statement = _statement(a, bucket, log_bucket)
        if not has_statement(a, log_bucket, statement):
            add_statement(a, rec, log_bucket, statement, f"S3 log the access to {bucket}", target)
        if not wanted.logs_so(bucket, now):
            logging = {"TargetBucket": log_bucket, "TargetPrefix": f"{bucket}/"}
            before = {"LoggingEnabled": now.logging} if now.logging else {}
            rec.step(
                f"access log of {bucket}",
                lambda: send(
                    s3.put_bucket_logging, **which, BucketLoggingStatus={"LoggingEnabled": logging}
                ),
                undo=back(
                    f"log the access to {bucket} as before",
                    "put_bucket_logging",
                    {"BucketLoggingStatus": before},
                    (
                        "get_bucket_logging",
                        which,
                        f"LoggingEnabled.TargetBucket=='{log_bucket}' && "
                        f"LoggingEnabled.TargetPrefix=='{bucket}/'",
                    ),
                ),
                resource=touched,
            )
    if wanted.encryption and not encrypts_so(now, wanted.encryption):
        encrypt(a, rec, touched, now, wanted.encryption, target)
    protect(a, rec, touched, now, versioned=wanted.versioned, closed=wanted.closed, target=target)
    if wanted.tls_only and not a.is_emulator and not refuses_plain_http(a, bucket):
        refuse_plain_http(a, rec, bucket, target)
    if a.is_emulator:
        rec.gap("The emulator moves no objects to other storage classes and writes no access log.")
    return _outputs(a, bucket)


def _outputs(a: Aws, bucket: str) -> BucketOptions:
    now = load_settings(a, bucket)
    return BucketOptions(
        bucket=bucket,
        transitions=_said(now.rule),
        log_bucket=(now.logging or {}).get("TargetBucket"),
        kms_key=now.key,
        noncurrent_days=now.kept_days,
        versioned=now.versioned,
        public_access_blocked=now.public_access == PRIVATE,
    )


def _judge(a: Aws, bucket: str, wanted: Wanted) -> list[Check]:
    allowed = wanted.log_bucket is None or has_statement(
        a, wanted.log_bucket, _statement(a, bucket, wanted.log_bucket)
    )
    refuses: bool | Unread = Unread(
        operation="s3:PutBucketPolicy", reason="this backend speaks plain HTTP"
    )
    if not a.is_emulator:
        refuses = wanted.tls_only and refuses_plain_http(a, bucket)
    now = load_settings(a, bucket)
    return judge_options(bucket, wanted, now, allowed=allowed, refuses=refuses)


def judge_options(
    bucket: str, wanted: Wanted, now: BucketSettings, *, allowed: bool, refuses: bool | Unread
) -> list[Check]:
    """Whether the options are as asked for.

    `allowed`: the log bucket's policy lets S3 write; `refuses`: its own refuses plain HTTP.
    """
    checks = []
    if wanted.rule:
        so, said = same_rule(now.rule, wanted.rule), "; ".join(_said(now.rule))
        checks.append(check("Objects move to cheaper storage as asked", so, said, bucket))
    if wanted.log_bucket:
        so, said = wanted.logs_so(bucket, now), str((now.logging or {}).get("TargetBucket"))
        checks.append(check("Its access is logged", so, said, bucket))
        checks.append(check("S3 may write the log", allowed, "", wanted.log_bucket))
    if wanted.encryption:
        so, said = encrypts_so(now, wanted.encryption), now.key or now.algorithm
        checks.append(check("New objects are encrypted as asked", so, said, bucket))
    if wanted.noncurrent_days:
        so, said = now.kept_days == wanted.noncurrent_days, f"{now.kept_days} days"
        checks.append(check("Old versions go after the days asked for", so, said, bucket))
    if wanted.tls_only:
        checks.append(check("Plain HTTP is refused", refuses, "", bucket))
    if wanted.versioned is not None:
        so, said = now.versioned == wanted.versioned, str(now.versioning)
        checks.append(check("It keeps old versions as asked", so, said, bucket))
    if wanted.closed:
        so, said = now.public_access == PRIVATE, str(now.public_access)
        checks.append(check("Public access is blocked", so, said, bucket))
    return checks
