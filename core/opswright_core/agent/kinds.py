"""The kinds of AWS resources by the words for them: inputs that skills of several servers share."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from opswright_core.agent.skills import FromText

KINDS_BY_WORD: dict[str, tuple[str, ...]] = {
    r"db subnet groups?": ("rds:subnet-group",),
    r"vpcs?|networks?": ("ec2:vpc",),
    r"subnets?": ("ec2:subnet",),
    r"internet gateways?": ("ec2:internet-gateway",),
    r"nat gateways?|nats?": ("ec2:natgateway",),
    r"route tables?": ("ec2:route-table",),
    r"security groups?": ("ec2:security-group",),
    r"elastic ips?": ("ec2:elastic-ip",),
    r"(?:vpc )?endpoints?": ("ec2:vpc-endpoint",),
    r"network interfaces?": ("ec2:network-interface",),
    r"flow logs?": ("ec2:flow-log",),
    r"(?:(?:application|network) )?load balancers?|balancers?|[an]lbs?": ("elb:loadbalancer",),
    r"target groups?": ("elb:targetgroup",),
    r"hosted zones?|dns zones?": ("route53:hosted-zone",),
    r"certificates?": ("acm:certificate",),
    r"(?:ec2 )?instances?|servers?|virtual machines?|vms?": ("ec2:instance",),
    r"launch templates?": ("ec2:launch-template",),
    r"(?:ebs )?volumes?|disks?": ("ec2:volume",),
    r"auto[- ]?scaling groups?|asgs?": ("autoscaling:group",),
    r"(?:lambda )?functions?|lambdas?": ("lambda:function",),
    r"(?:ecs |container )?services": ("ecs:service",),
    r"(?:container |ecr )?repositories": ("ecr:repository",),
    r"clusters?": ("ecs:cluster", "eks:cluster", "rds:cluster"),
    r"(?:rds )?databases?|dbs?": ("rds:db", "rds:cluster"),
    r"(?:s3 )?buckets?": ("s3:bucket",),
    r"(?:dynamodb )?tables?": ("dynamodb:table",),
    r"(?:sqs )?queues?": ("sqs:queue",),
    r"(?:sns )?topics?": ("sns:topic",),
    r"stacks?": ("cloudformation:stack",),
    r"(?:iam )?roles?": ("iam:role",),
    r"secrets?": ("secretsmanager:secret",),
    r"parameters?": ("ssm:parameter",),
    r"(?:kms )?keys?": ("kms:key",),
    r"(?:ebs )?snapshots?": ("ec2:snapshot",),
    r"images?|amis?": ("ec2:image",),
    r"distributions?": ("cloudfront:distribution",),
    r"log groups?": ("logs:log-group",),
}
"""The types that a word for a kind stands for. Of words that overlap the longest counts."""

KIND = "(?:" + "|".join(KINDS_BY_WORD) + ")"
_SEVERAL = rf"\b({KIND}(?:(?:\s*,\s*|\s*,?\s+(?:and|or)\s+){KIND})*)\b"


def types_of(words: Any) -> Any:
    """`databases and load balancers` → the types that are meant; a list stays as it is."""
    if not isinstance(words, str):
        return words
    asked = [word.strip().lower() for word in re.split(r",|\band\b|\bor\b", words) if word.strip()]
    return [
        kind
        for word in asked
        for pattern, types in KINDS_BY_WORD.items()
        if re.fullmatch(pattern, word)
        for kind in types
    ]


Types = Annotated[
    list[str] | None,
    BeforeValidator(types_of),
    Field(description="Kinds, like databases and queues, or types like rds:db"),
    FromText(_SEVERAL),
]
