"""Reviews of what is to be deployed: CloudFormation templates and Terraform plans."""

from collections import Counter
from typing import Annotated

from pydantic import BaseModel, Field

from opswright_aws_devops.cloudformation.lint import LintFinding, lint
from opswright_aws_devops.cloudformation.stacks import must_find_stack, parameters_of
from opswright_aws_devops.cloudformation.templates import parsed, template_text
from opswright_aws_devops.review import template as templates
from opswright_aws_devops.review import terraform
from opswright_aws_devops.review.components import PricedComponent, References, costs
from opswright_aws_devops.review.findings import ReviewFinding, ordered
from opswright_aws_devops.review.judgement import judge, types_without_rule
from opswright_aws_devops.review.losses import LOSS
from opswright_aws_devops.review.resources import Change, Resource, Verb
from opswright_core.aws import HERE, Aws, Target
from opswright_core.errors import BadInputError
from opswright_core.local_paths import local_path
from opswright_core.runtime import aws
from opswright_core.text import clean
from opswright_core.tools import read_tool
from opswright_core.verdicts import Unread, Verdict, worst

MOST_BYTES = 64_000_000
"""Of a plan's file; plans of thousands of resources have some tens of megabytes."""

_RISKY: tuple[Verb, ...] = ("delete", "replace", "forget", "update", "import", "create")
SCHEMAS_REGION = "us-east-1"


class ReviewedChange(BaseModel):
    """What happens to one resource."""

    verb: Verb
    resource: str
    type: str
    because: list[str] = Field(description="Properties that change, or that need the replacement")
    may_be_replaced: bool = Field(description="Whether it is only the deployment tells")


class Review(BaseModel):
    """What a template or a plan does, and what is wrong with it."""

    verdict: Verdict
    summary: str
    counts: dict[Verb, int]
    changes: list[ReviewedChange] = Field(description="The riskiest first")
    findings: list[ReviewFinding] = Field(description="The worst first")
    lint: list[str] = Field(description="What cfn-lint says of a template, errors first")
    passed: int = Field(description="Judgements that found nothing wrong")
    components: list[PricedComponent] = Field(
        description="What will cost by the month: for the cost agent's estimate_monthly_cost"
    )
    components_before: list[PricedComponent] = Field(description="The same of what there is now")
    unpriced: list[str] = Field(description="Paid for, and in no estimate of `components`")
    unread: list[str] = Field(description="What this review does not know")


@read_tool(toolset="review")
def review_template(
    template: Annotated[
        str,
        Field(description="Path of a file, or the YAML or JSON", min_length=1, max_length=60_000),
    ],
    parameters: Annotated[
        dict[str, str], Field(description="Values; else the defaults", max_length=200)
    ] = {},  # noqa: B006 (pydantic copies it)
    stack: Annotated[
        str | None, Field(description="Stack that it is to update", min_length=1, max_length=300)
    ] = None,
    target: Target = HERE,
) -> Review:
    """Review a CloudFormation template before it is deployed: changes, data loss, risks, costs."""
    a = aws(target) if stack or target != HERE else None  # a template alone needs no account
    text = template_text(template)
    body = parsed(text)
    region = a.region if a else None
    will = templates.resources_of(body, parameters, region)
    was = _deployed(a, stack) if a and stack else []
    changes = templates.compared(was, will, region or SCHEMAS_REGION)
    unread = [f"Types without a rule here: {', '.join(kinds)}"] if (
        kinds := types_without_rule(will)
    ) else []  # fmt: skip
    linted = lint(text, [region] if region else [])
    if isinstance(linted, Unread):
        unread.append(f"Not linted: {linted.reason}")
    if stack is None:
        unread.insert(0, "No stack was named, so that everything counts as new.")
    elif any(change.may_be_replaced for change in changes):
        unread.insert(0, "Whether some are replaced: deploy_stack with dry_run tells.")
    review = _review(will, was, changes, templates.references_of(body), unread)
    return review if isinstance(linted, Unread) else _linted(review, linted)


@read_tool(toolset="review")
def review_terraform_plan(
    plan: Annotated[
        str,
        Field(description="Path of what `terraform show -json PLAN` wrote, or the JSON",
              min_length=1, max_length=200_000),
    ],
) -> Review:  # fmt: skip
    """Review a Terraform plan before it is applied: changes, data loss, risks, costs."""
    read = terraform.read(terraform.parsed(_plan_text(plan)))
    changes = read.changes
    will = [*read.same, *(change.after for change in changes if change.after is not None)]
    was = [*read.same, *(change.before for change in changes if change.before is not None)]
    kinds = types_without_rule(will)
    unread = [*read.unsure, *([f"Types without a rule here: {', '.join(kinds)}"] if kinds else [])]
    if read.drifted:
        drifted = clean(", ".join(read.drifted[:20]), 600)
        unread.append(f"Changed outside of Terraform since its last run: {drifted}")
    return _review(will, was, changes, read.references, unread, unsure=bool(read.unsure))


def _review(
    will: list[Resource],
    was: list[Resource],
    changes: list[Change],
    references: References,
    unread: list[str],
    *,
    unsure: bool = False,
) -> Review:
    found, passed = judge(will, changes)
    after, before = costs(will, references), costs(was, references)
    verdicts: list[Verdict] = [finding.verdict for finding in found]
    if passed:
        verdicts.append("PASS")
    if unsure:
        verdicts.append("UNKNOWN")
    counts = Counter(change.verb for change in changes)
    return Review(
        verdict=worst(verdicts),
        summary=_said(counts, found, passed),
        counts=dict(counts),
        changes=[_shown(c) for c in sorted(changes, key=lambda c: _RISKY.index(c.verb))],
        findings=[_clean(finding) for finding in ordered(found)],
        lint=[],
        passed=passed,
        components=after.components,
        components_before=before.components,
        unpriced=[clean(said, 300) for said in after.unpriced],
        unread=unread,
    )


def _linted(review: Review, found: list[LintFinding]) -> Review:
    """The review with what cfn-lint says; an error of it is a FAIL: the template cannot be made."""
    errors = sum(finding.level == "error" for finding in found)
    said = f"; cfn-lint: {errors} errors, {len(found) - errors} others" if found else ""
    return review.model_copy(
        update={
            "lint": [f"{finding.level}: {finding}" for finding in found],
            "verdict": "FAIL" if errors else review.verdict,
            "summary": review.summary + said,
        }
    )


def _said(counts: Counter[Verb], found: list[ReviewFinding], passed: int) -> str:
    done = ", ".join(f"{counts[verb]} {verb}" for verb in _RISKY if counts[verb]) or "nothing"
    losses = sum(finding.rule == LOSS.id and finding.verdict == "FAIL" for finding in found)
    failed = Counter(finding.severity for finding in found if finding.verdict == "FAIL")
    unknown = sum(finding.verdict == "UNKNOWN" for finding in found)
    wrong = ", ".join(f"{n} {severity}" for severity, n in failed.items()) or "none"
    lost = f"DATA LOSS in {losses}; " if losses else ""
    return f"{done}; {lost}findings: {wrong}; {unknown} UNKNOWN, {passed} passed"


def _shown(change: Change) -> ReviewedChange:
    resource = change.resource
    return ReviewedChange(
        verb=change.verb,
        resource=clean(resource.address, 300),
        type=clean(resource.type, 120),
        because=[clean(name, 120) for name in change.because[:10]],
        may_be_replaced=change.may_be_replaced,
    )


def _clean(finding: ReviewFinding) -> ReviewFinding:
    return finding.model_copy(
        update={"resource": clean(finding.resource, 300), "problem": clean(finding.problem, 400)}
    )


def _deployed(a: Aws, stack: str) -> list[Resource]:
    """The resources of the template that a stack has. Raises NotFoundError without such a stack."""
    found = must_find_stack(a, stack)
    answer = a.client("cloudformation").get_template(
        StackName=found["StackId"], TemplateStage="Processed"
    )
    body = answer["TemplateBody"]
    given = {p["ParameterKey"]: p["ParameterValue"] for p in parameters_of(found)}
    before = parsed(body) if isinstance(body, str) else dict(body)
    declared = before.get("Parameters") or {}
    known = {name: value for name, value in given.items() if name in declared}
    return templates.resources_of(before, known, a.region)


def _plan_text(given: str) -> str:
    if given.lstrip().startswith("{"):
        return given
    path = local_path(given.strip())
    if not path.is_file():
        raise BadInputError(
            f"plan: {given[:80]!r} is no file here and no JSON. Make one with `terraform plan "
            "-out=tfplan` and `terraform show -json tfplan > plan.json`, and give its path."
        )
    if path.stat().st_size > MOST_BYTES:
        raise BadInputError(f"plan: {path} has more than {MOST_BYTES} bytes.")
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as exc:
        raise BadInputError(
            f"plan: {path} cannot be read as text: {exc}. The file of `terraform plan -out` is "
            "binary: `terraform show -json` makes the JSON of it."
        ) from exc
