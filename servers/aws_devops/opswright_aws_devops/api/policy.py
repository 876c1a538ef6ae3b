"""The operator's rules for calls of any AWS operation: allow, ask a person, or deny.

The first rule that fits decides; the file's rules come before those that opswright brings
(`default_policy.toml`). What no rule fits is allowed, and a change still needs its approval.
"""

import json
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from opswright_aws_devops.api.access import Access
from opswright_aws_devops.api.models import Operation
from opswright_core.errors import BadInputError
from opswright_core.text import clean

VARIABLE = "OPSWRIGHT_AWS_POLICY"
DEFAULT = Path(__file__).with_name("default_policy.toml")

Effect = Literal["allow", "ask", "deny"]
Pattern = Annotated[str, StringConstraints(min_length=1)]
OperationPattern = Annotated[str, StringConstraints(pattern=r"^[\w*?\[\]-]+:[\w*?\[\]]+$")]


class Rule(BaseModel):
    """One rule; what it leaves out fits everything."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    effect: Effect
    operations: list[OperationPattern] = Field(
        ["*:*"], description="Globs of service:Operation, or of IAM's prefix:Action", min_length=1
    )
    accounts: list[Pattern] | None = Field(None, description="Globs of account ids")
    regions: list[Pattern] | None = Field(None, description="Globs of regions")
    access: Literal["read", "write", "permissions"] | None = None
    when: dict[str, Any] = Field(
        default_factory=dict, description="Top-level parameters that must have these values"
    )
    reason: str = ""


class Policy(BaseModel):
    """A policy file."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    default_rules: bool = Field(True, description="Whether opswright's own rules follow")
    rules: list[Rule] = Field(default_factory=list)


@dataclass(frozen=True)
class Call:
    """What is asked for."""

    operation: Operation
    access: Access
    account: Callable[[], str]
    region: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True)
class Decision:
    """What the rules say, and which rule said it."""

    effect: Effect
    said_by: str = ""


@dataclass(frozen=True)
class Rules:
    """The rules in force, in order, each with where it is written."""

    ordered: tuple[tuple[str, Rule], ...]

    def decide(self, call: Call) -> Decision:
        """The effect of the first rule that fits; `allow` when none does."""
        for place, rule in self.ordered:
            if _fits(rule, call):
                reason = f": {rule.reason}" if rule.reason else ""
                return Decision(rule.effect, f"{place}{reason}")
        return Decision("allow")


def from_environment(environ: Mapping[str, str] = os.environ) -> Rules:
    """The rules of OPSWRIGHT_AWS_POLICY and opswright's own.

    Raises BadInputError for a file that cannot be read or has anything unknown in it.
    """
    own = _numbered("built-in rule", _read(DEFAULT))
    if not (named := environ.get(VARIABLE)):
        return Rules(own)
    path = Path(named).expanduser()
    policy = _read(path)
    listed = _numbered(f"{path.name} rule", policy)
    return Rules((*listed, *(own if policy.default_rules else ())))


def _numbered(what: str, policy: Policy) -> tuple[tuple[str, Rule], ...]:
    return tuple((f"{what} {number}", rule) for number, rule in enumerate(policy.rules, 1))


def _read(path: Path) -> Policy:
    try:
        text = path.read_text(encoding="utf-8")
        declared = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        return Policy.model_validate(declared)
    except OSError as exc:
        reason = exc.strerror or str(exc)
    except ValidationError as exc:
        errors = exc.errors(include_url=False)[:5]
        reason = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in errors)
    except ValueError as exc:  # of both parsers, and of text that is not UTF-8
        kind = "JSON" if path.suffix == ".json" else "TOML"
        reason = f"it is not {kind}: {exc}"
    raise BadInputError(
        f"{VARIABLE} names {path}, which cannot be used: {clean(reason, 600)}. "
        "docs/configuration.md shows the form; nothing is served without it."
    )


def _fits(rule: Rule, call: Call) -> bool:
    names = (f"{call.operation.service}:{call.operation.name}".lower(), call.access.action.lower())
    if not any(fnmatchcase(name, glob.lower()) for glob in rule.operations for name in names):
        return False
    if rule.access == "read" and not call.access.only_reads:
        return False
    if rule.access == "write" and call.access.only_reads:
        return False
    if rule.access == "permissions" and call.access.level != "Permissions management":
        return False
    if rule.regions is not None and not any(fnmatchcase(call.region, g) for g in rule.regions):
        return False
    if any(call.parameters.get(name) != value for name, value in rule.when.items()):
        return False
    return rule.accounts is None or any(fnmatchcase(call.account(), g) for g in rule.accounts)
