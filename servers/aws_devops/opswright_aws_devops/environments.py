"""Environment variables of what runs: plain values, and secrets by their ARNs alone."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from opswright_aws_devops.access.statements import Statement
from opswright_aws_devops.lookup import must_exist
from opswright_core.aws import Aws
from opswright_core.errors import BadInputError
from opswright_core.redact import redact

Environment = Annotated[dict[str, str], Field(description="Variables; never secrets")]

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET_ARN = re.compile(
    r"(?P<secret>arn:(?P<partition>[a-z-]+):secretsmanager:(?P<region>[a-z0-9-]+):\d{12}:secret:"
    r"[A-Za-z0-9/_+=.@-]+)(?::(?P<key>[^:]*):[^:]*:[^:]*)?"
)
"""With, maybe, which JSON key, version stage and version id of the secret is meant."""


def refuse_secrets(environment: Mapping[str, str], instead: str) -> None:
    """Raise BadInputError for a name no variable can have, and for what looks like a secret.

    `instead` says where a secret belongs.
    """
    for name in environment:
        if not _NAME.fullmatch(name):
            raise BadInputError(
                f"environment variable {name!r}: letters, digits and _ only, no digit first."
            )
    masked = redact(dict(environment))
    if hidden := [name for name, value in environment.items() if masked[name] != value]:
        raise BadInputError(
            f"environment {', '.join(hidden)} looks like a secret, which anyone who may read the "
            f"configuration would see. Keep it in Secrets Manager and {instead}."
        )


def read_secrets(a: Aws, secrets: Mapping[str, str]) -> list[dict[str, Any]]:
    """The statements that let a role read the secrets, by variable name the ARN of each.

    Raises BadInputError for what is no secret's ARN, NotFoundError for one that is not there.
    """
    if not secrets:
        return []
    refuse_secrets(dict.fromkeys(secrets, ""), "")
    client, kms = a.client("secretsmanager"), a.client("kms")
    arns, keys = set(), set()
    for name, value in secrets.items():
        match = _SECRET_ARN.fullmatch(value)
        if match is None or match["region"] != a.region:
            raise BadInputError(
                f"secrets {name}: give the ARN of a secret of Secrets Manager in {a.region}, with "
                ":KEY:: after it for one key of a JSON secret."
            )
        arn = match["secret"]
        described = must_exist(f"Secret {arn}", lambda: client.describe_secret(SecretId=arn))  # noqa: B023
        arns.add(arn)
        # AWS's own key (alias/aws/secretsmanager) needs no permission to decrypt.
        if (key := described.get("KmsKeyId", "")) and "alias/aws/" not in key:
            keys.add(kms.describe_key(KeyId=key)["KeyMetadata"]["Arn"])
    allowed = [Statement(actions=["secretsmanager:GetSecretValue"], resources=sorted(arns))]
    if keys:
        allowed.append(Statement(actions=["kms:Decrypt"], resources=sorted(keys)))
    return [statement.as_policy() for statement in allowed]
