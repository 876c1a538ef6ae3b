"""What a listener leads to: target groups and the rules to them, found, made and taken back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from opswright_aws_devops.balancers.state import TARGETS
from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.ownership import Maker, Request
from opswright_core.aws import Aws, AwsTarget, tags_of
from opswright_core.recorder import Recorder
from opswright_core.undo import aws_undo

RULE = "elb:listener-rule"


def find_target_group(a: Aws, request: Request, name: str) -> str | None:
    """The ARN of the request's target group of a name. Raises ConflictError for another's."""
    elb = a.client("elbv2")
    group = first(if_exists(lambda: elb.describe_target_groups(Names=[name])["TargetGroups"]))
    if group is None:
        return None
    arn: str = group["TargetGroupArn"]
    request.claim(f"target group {name}", _tags(a, [arn])[arn])
    return arn


def find_rule(a: Aws, request: Request, rules: Sequence[Mapping[str, Any]]) -> str | None:
    """The ARN of the rule that the request made, of those of a listener; None without one."""
    arns = [rule["RuleArn"] for rule in rules if not rule["IsDefault"]]
    return next((arn for arn, tags in _tags(a, arns).items() if request.made(tags)), None)


def _tags(a: Aws, arns: list[str]) -> dict[str, dict[str, str]]:
    """Tags by ARN; one call tells those of 20."""
    elb = a.client("elbv2")
    found: dict[str, dict[str, str]] = {}
    for start in range(0, len(arns), 20):
        answer = elb.describe_tags(ResourceArns=arns[start : start + 20])
        found |= {item["ResourceArn"]: tags_of(item["Tags"]) for item in answer["TagDescriptions"]}
    return found


@dataclass(frozen=True)
class TargetMaker:
    """Makes one request's target group and rule, each once and with its inverse."""

    a: Aws
    rec: Recorder
    request: Request
    target: AwsTarget
    known: Mapping[str, str]

    def target_group(self, name: str, **parameters: Any) -> str:
        """The target group of a name; returns its ARN."""
        elb, tags = self.a.client("elbv2"), self.request.tag_list(self.request.name)
        return Maker(self.rec, self.known).make(
            TARGETS,
            name,
            lambda: elb.create_target_group(Name=name, Tags=tags, **parameters)["TargetGroups"][0][
                "TargetGroupArn"
            ],
            lambda arn: [
                aws_undo(
                    f"delete target group {name}", "elbv2", "delete_target_group",
                    {"TargetGroupArn": arn}, target=self.target, region=self.a.region,
                    gone=("describe_target_groups", {"TargetGroupArns": [arn]}, "TargetGroups[]"),
                )
            ],
        )  # fmt: skip

    def rule(self, listener_arn: str, path: str, priority: int, group_arn: str) -> str:
        """The listener's rule that sends a path to the target group; returns its ARN."""
        elb, name = self.a.client("elbv2"), self.request.name
        condition = {"Field": "path-pattern", "PathPatternConfig": {"Values": [path]}}
        return Maker(self.rec, self.known).make(
            RULE,
            name,
            lambda: elb.create_rule(
                ListenerArn=listener_arn,
                Priority=priority,
                Conditions=[condition],
                Actions=[{"Type": "forward", "TargetGroupArn": group_arn}],
                Tags=self.request.tag_list(name),
            )["Rules"][0]["RuleArn"],
            lambda arn: [
                aws_undo(
                    f"delete the listener's rule for {path}", "elbv2", "delete_rule",
                    {"RuleArn": arn}, target=self.target, region=self.a.region,
                    gone=("describe_rules", {"RuleArns": [arn]}, "Rules[]"),
                )
            ],
        )  # fmt: skip
