"""Functions behind an application load balancer: a path of a listener that invokes one."""

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, Field

from opswright_aws_devops.balancers.state import TARGETS
from opswright_aws_devops.balancers.targets import RULE, TargetMaker, find_rule, find_target_group
from opswright_aws_devops.functions.apis import FunctionName, find_function
from opswright_aws_devops.functions.invocation import Invoker, let_invoke, may_invoke
from opswright_aws_devops.lookup import first, if_exists
from opswright_aws_devops.networking.listeners import (
    EVERYTHING,
    Listener,
    free_priority,
    load_listener,
    paths_of,
)
from opswright_aws_devops.ownership import Request, ResourceName, key, outstanding, short_name
from opswright_core.aws import HERE, Aws, AwsTarget, Target
from opswright_core.changes import Action, ChangePlan, Scope, Work
from opswright_core.errors import BadInputError
from opswright_core.recorder import Recorder
from opswright_core.runtime import aws
from opswright_core.tools import write_tool
from opswright_core.verdicts import Check, check


class FunctionTarget(BaseModel):
    """A function behind a listener's path."""

    target_group_arn: str
    rule_arn: str
    function_arn: str
    url: str


@dataclass(frozen=True)
class Wanted:
    """What is asked for, besides the name."""

    function_name: str
    listener_arn: str
    path: str


@write_tool(toolset="apis")
def create_function_target(
    name: ResourceName,
    function_name: FunctionName,
    listener_arn: Annotated[
        str, Field(description="Of an application load balancer", max_length=300)
    ],
    path: Annotated[
        str, Field(description="That leads to it", pattern="^/", max_length=128)
    ] = EVERYTHING,
    target: Target = HERE,
) -> Work[FunctionTarget]:
    """Put a Lambda function behind a path of an application load balancer's listener."""
    a = aws(target)
    wanted = Wanted(function_name, listener_arn, path)
    request = Request.of("create_function_target", name, wanted=vars(wanted))
    return Work(
        scope=Scope.of(a),
        plan=lambda: _plan(a, request, wanted),
        apply=lambda rec: _apply(a, rec, request, wanted, target),
        verify=lambda made: judge_function_target(made, wanted, _load(a, request, made, wanted)),
        outputs=FunctionTarget,
    )


def _group_name(request: Request) -> str:
    """A name of its own: the request's may be that of the load balancer or of a service."""
    return short_name(f"{request.name}-function")


def _invoker(request: Request, group_arn: str) -> Invoker:
    service = "elasticloadbalancing.amazonaws.com"
    return Invoker(f"balancer-{request.name}", service, group_arn)


def _known(a: Aws, request: Request, listener: Listener) -> dict[str, str]:
    known = {}
    if arn := find_target_group(a, request, _group_name(request)):
        known[key(TARGETS, _group_name(request))] = arn
    if arn := find_rule(a, request, listener.rules):
        known[key(RULE, request.name)] = arn
    return known


def _plan(a: Aws, request: Request, wanted: Wanted) -> ChangePlan:
    find_function(a, wanted.function_name)
    listener = load_listener(a, wanted.listener_arn)
    if listener.balancer["Type"] != "application":
        raise BadInputError(
            f"{wanted.listener_arn} is of a {listener.balancer['Type']} load balancer, which takes "
            "no functions; create_load_balancer makes one that does."
        )
    known = _known(a, request, listener)
    free_priority(listener.rules, wanted.path, known.get(key(RULE, request.name)))
    public = listener.balancer["Scheme"] == "internet-facing"
    warnings = [
        f"{'Anyone on the internet' if public else 'Whoever reaches the load balancer'} can invoke "
        "it: the load balancer asks nobody who calls; create_api asks for signatures or tokens.",
        "A request or answer of more than 1 MB is refused.",
    ]
    if listener.listener["Protocol"] == "HTTP":
        warnings.append("The listener serves plain HTTP.")
    actions = [
        Action(
            verb="create",
            type=TARGETS,
            name=_group_name(request),
            detail=f"function {wanted.function_name}, which it may invoke",
        ),
        Action(verb="create", type=RULE, name=request.name, detail=f"{wanted.path} to it"),
    ]
    return ChangePlan(
        summary=f"Put function {wanted.function_name} behind {listener.url}{wanted.path}",
        actions=outstanding(actions, known),
        warnings=warnings,
        observed={"known": known},
    )


def _apply(
    a: Aws, rec: Recorder, request: Request, wanted: Wanted, target: AwsTarget
) -> FunctionTarget:
    elb, function_arn = a.client("elbv2"), find_function(a, wanted.function_name)
    listener = load_listener(a, wanted.listener_arn)
    known = _known(a, request, listener)
    maker = TargetMaker(a, rec, request, target, known)
    group_arn = maker.target_group(_group_name(request), TargetType="lambda")
    let_invoke(a, rec, wanted.function_name, _invoker(request, group_arn), target)

    def register() -> dict[str, str]:
        elb.register_targets(TargetGroupArn=group_arn, Targets=[{"Id": function_arn}])
        return {"registered": function_arn}

    rec.step(f"register {wanted.function_name}", register)  # it goes with the target group
    priority = free_priority(listener.rules, wanted.path, known.get(key(RULE, request.name)))
    rule_arn = maker.rule(wanted.listener_arn, wanted.path, priority, group_arn)
    if a.is_emulator:
        rec.gap("The emulator's load balancer forwards no traffic: the function is not invoked.")
    return FunctionTarget(
        target_group_arn=group_arn,
        rule_arn=rule_arn,
        function_arn=function_arn,
        url=listener.url + wanted.path.removesuffix("*"),
    )


class FunctionTargetState(BaseModel):
    """What was read: the targets of the group, None without one, the rule, and the permission."""

    target_ids: list[str] | None
    rule: dict[str, Any] | None = None
    may_invoke: bool = False


def _load(a: Aws, request: Request, made: FunctionTarget, wanted: Wanted) -> FunctionTargetState:
    elb, which = a.client("elbv2"), {"TargetGroupArn": made.target_group_arn}
    targets = if_exists(lambda: elb.describe_target_health(**which)["TargetHealthDescriptions"])
    rules = if_exists(lambda: elb.describe_rules(RuleArns=[made.rule_arn])["Rules"])
    return FunctionTargetState(
        target_ids=None if targets is None else [item["Target"]["Id"] for item in targets],
        rule=first(rules),
        may_invoke=may_invoke(a, wanted.function_name, _invoker(request, made.target_group_arn)),
    )


def judge_function_target(
    made: FunctionTarget, wanted: Wanted, state: FunctionTargetState
) -> list[Check]:
    """Whether the path leads to the function, and the load balancer may invoke it."""
    ids, rule = state.target_ids, state.rule or {}
    goes_to = [action.get("TargetGroupArn") for action in rule.get("Actions", [])]
    leads = paths_of(rule) == [wanted.path] and goes_to == [made.target_group_arn]
    facts = [
        ("The function is the only target", ids == [made.function_arn], str(ids)),
        (f"{wanted.path} leads to it", leads, f"{paths_of(rule)} to {goes_to}"),
        ("The load balancer may invoke it", state.may_invoke, wanted.function_name),
    ]
    return [check(name, ok, said, made.target_group_arn) for name, ok, said in facts]
