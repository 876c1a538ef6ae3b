"""Reads ARNs into the dimensions CloudWatch files their metrics under."""

import re

from opswright_core.errors import BadInputError

_LOAD_BALANCER = re.compile(r"^arn:[\w-]+:elasticloadbalancing:[\w-]+:\d{12}:loadbalancer/(\S+)$")
_TARGET_GROUP = re.compile(r"^arn:[\w-]+:elasticloadbalancing:[\w-]+:\d{12}:(targetgroup/\S+)$")


def load_balancer_dimension(arn: str) -> str:
    """`…:loadbalancer/app/web/50dc6c495c0c9188` → `app/web/50dc6c495c0c9188`.

    Raises BadInputError for anything but the ARN of an Application or Network Load Balancer.
    """
    match = _LOAD_BALANCER.match(arn)
    if match is None or match.group(1).partition("/")[0] not in {"app", "net"}:
        raise BadInputError(
            f"{arn!r} is not the ARN of an Application or Network Load Balancer; it looks like "
            "arn:aws:elasticloadbalancing:REGION:ACCOUNT:loadbalancer/app/NAME/ID."
        )
    return match.group(1)


def target_group_dimension(arn: str) -> str:
    """`…:targetgroup/web/73e2d6bc24d8a067` → `targetgroup/web/73e2d6bc24d8a067`.

    Raises BadInputError for anything but a target group's ARN.
    """
    match = _TARGET_GROUP.match(arn)
    if match is None:
        raise BadInputError(
            f"{arn!r} is not a target group's ARN; it looks like "
            "arn:aws:elasticloadbalancing:REGION:ACCOUNT:targetgroup/NAME/ID."
        )
    return match.group(1)


def short_name(dimension: str) -> str:
    """The name in a load balancer's or target group's dimension: `app/web/50dc` → `web`."""
    parts = dimension.split("/")
    return parts[-2] if len(parts) > 1 else dimension
