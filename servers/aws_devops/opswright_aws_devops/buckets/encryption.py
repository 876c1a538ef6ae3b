"""How a bucket that exists encrypts new objects: with a KMS key, or with S3's own keys."""

from typing import Any

from opswright_aws_devops.buckets.settings import BucketSettings
from opswright_aws_devops.lookup import must_exist
from opswright_aws_devops.steps import send
from opswright_core.aws import Aws, AwsTarget
from opswright_core.changes import ResourceRef
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.undo import aws_undo

OWN_KEYS = "AES256"
"""S3's name for encryption with its own keys (SSE-S3)."""
_WORD = "ServerSideEncryptionConfiguration"


def find_key(a: Aws, key: str) -> str:
    """The ARN of a KMS key that S3 can use. Raises NotFoundError or BadInputError."""
    kms = a.client("kms")
    found = must_exist(f"KMS key {key}", lambda: kms.describe_key(KeyId=key)["KeyMetadata"])
    if found["KeyState"] != "Enabled" or found.get("KeySpec", "") != "SYMMETRIC_DEFAULT":
        raise BadInputError(
            f"KMS key {key} is {found['KeyState']} ({found.get('KeySpec')}); S3 takes an enabled, "
            "symmetric one."
        )
    return str(found["Arn"])


def encrypts_so(now: BucketSettings, wanted: str) -> bool:
    """Whether new objects are encrypted by `wanted`: the ARN of a key, or OWN_KEYS."""
    return wanted == (now.key or now.algorithm)


def planned_encryption(now: BucketSettings, wanted: str) -> tuple[str, str]:
    """What is changed, and what has to be known of it."""
    if wanted == OWN_KEYS:
        return (
            f"new objects encrypted with S3's own keys, in place of {now.key or 'none'}",
            "Objects that are there keep their encryption, and their key has to stay. With S3's "
            "own keys whoever may read an object can: no key policy guards it besides.",
        )
    return (
        f"new objects encrypted with {wanted}",
        "Objects that are there keep their encryption. Who reads or writes new ones must be "
        "allowed to use the key (kms:Decrypt, kms:GenerateDataKey).",
    )


def encrypt(
    a: Aws, rec: Recorder, touched: ResourceRef, now: BucketSettings, wanted: str, target: AwsTarget
) -> None:
    """Encrypt new objects of the bucket `touched` by `wanted`, until the change is undone."""
    s3, bucket = a.client("s3"), touched.id
    default: dict[str, Any] = {"SSEAlgorithm": OWN_KEYS}
    if wanted != OWN_KEYS:
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": wanted}
    own = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": True}
    named, which = f"KMSMasterKeyID=='{wanted}'", {"Bucket": bucket}
    if wanted == OWN_KEYS:
        named = f"SSEAlgorithm=='{OWN_KEYS}'"
    rec.step(
        f"key of {bucket}",
        lambda: send(s3.put_bucket_encryption, **which, **{_WORD: {"Rules": [own]}}),
        undo=[
            aws_undo(
                f"encrypt new objects of {bucket} as before", "s3",
                "put_bucket_encryption" if now.encryption else "delete_bucket_encryption",
                {**which, _WORD: now.encryption} if now.encryption else which,
                target=target, region=a.region,
                gone=(
                    "get_bucket_encryption", which,
                    f"{_WORD}.Rules[].ApplyServerSideEncryptionByDefault | [?{named}]",
                ),
            )
        ],
        resource=touched,
    )  # fmt: skip
