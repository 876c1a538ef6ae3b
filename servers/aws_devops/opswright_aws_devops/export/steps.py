"""Joins intents to one assembly: each is a building tool with its arguments.

An argument may be an output of an earlier one: `${network.private_subnet_ids}`.
"""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from opswright_aws_devops.export.applications import bucket, load_balancer, web_tier
from opswright_aws_devops.export.databases import aurora_cluster, database
from opswright_aws_devops.export.intent import Made, Outputs, Place, camel
from opswright_aws_devops.export.model import Assembly, Join, Value, references
from opswright_aws_devops.export.networks import network, security_groups
from opswright_aws_devops.instances.setup import find_architecture
from opswright_aws_devops.tools.network import usable_zones
from opswright_core.aws import Aws, AwsTarget
from opswright_core.errors import BadInputError
from opswright_core.text import clean

BUILDERS: dict[str, Callable[[str, Mapping[str, Any], Place], Made]] = {
    "create_network": network,
    "create_security_groups": security_groups,
    "create_database": database,
    "create_aurora_cluster": aurora_cluster,
    "create_load_balancer": load_balancer,
    "create_web_tier": web_tier,
    "create_bucket": bucket,
}
_REFERENCE = re.compile(r"\$\{([a-z][a-z0-9_]*)\.([a-z_]+)\}")


Building = Literal[
    "create_network",
    "create_security_groups",
    "create_database",
    "create_aurora_cluster",
    "create_load_balancer",
    "create_web_tier",
    "create_bucket",
]


class Step(BaseModel):
    """One intent."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    tool: Annotated[Building, Field(description="Building tool")]
    arguments: dict[str, Any] = Field(description="The tool's; ${network.vpc_id} of an earlier one")
    id: Annotated[
        str | None, Field(description="Else the tool without create_", pattern="^[a-z][a-z0-9_]*$")
    ] = None

    @property
    def key(self) -> str:
        """What later ones refer to it by."""
        return self.id or self.tool.removeprefix("create_")


def assemble(
    a: Aws, target: AwsTarget, steps: Sequence[Step], makers: Mapping[str, Callable[..., Any]]
) -> Assembly:
    """The parts of all steps; `makers` are the tools' functions, which check their arguments.

    Raises BadInputError for what a tool would refuse, and for a reference to nothing.
    """
    outputs: dict[str, Outputs] = {}
    assembly = Assembly(name=str(steps[0].arguments.get("name", "application")), region=a.region)
    for step in steps:
        if step.key in outputs:
            raise BadInputError(f"Two steps are called {step.key!r}; give one of them another id.")
        given = _checked(step, makers[step.tool], target)
        resolved = {key: _resolved(value, outputs, step) for key, value in given.items()}
        zones = usable_zones(a, given["az_count"]) if step.tool == "create_network" else []
        type_ = given.get("instance_type")
        place = Place(
            a.region, a.partition, tuple(zones), find_architecture(a, type_) if type_ else ""
        )
        prefix = camel(step.key.replace("_", " "))
        made = BUILDERS[step.tool](prefix, resolved, place)
        outputs[step.key] = made.outputs
        assembly.parts += made.parts
        for name, value in made.outputs.items():
            if any(references(value)):
                joined = Join(tuple(value), ",") if isinstance(value, list) else value
                assembly.outputs[prefix + camel(name.replace("_", " "))] = joined
    _check_keys(assembly)
    return assembly


def _checked(step: Step, tool: Callable[..., Any], target: AwsTarget) -> dict[str, Any]:
    """The arguments with their defaults, each as the tool declares it."""
    own, hints = inspect.signature(tool), get_type_hints(tool, include_extras=True)
    known = [name for name in own.parameters if name != "target"]
    if odd := [name for name in step.arguments if name not in known]:
        raise BadInputError(
            f"{step.tool} takes no {clean(', '.join(odd), 100)}; it takes {', '.join(known)}."
        )
    given: dict[str, Any] = {}
    for name in known:
        default = own.parameters[name].default
        if name not in step.arguments and default is inspect.Parameter.empty:
            raise BadInputError(f"{step.tool} needs {name}.")
        value = step.arguments.get(name, default)
        if name in step.arguments and not _refers(value):
            try:
                value = TypeAdapter(hints[name]).validate_python(value)
            except ValidationError as exc:
                said = "; ".join(error["msg"] for error in exc.errors()[:3])
                raise BadInputError(f"{step.tool}, {name}: {clean(said, 300)}.") from exc
        given[name] = value
    tool(**given, target=target)  # what it checks beyond that; it only reads before its plan
    return given


def _refers(value: Any) -> bool:
    if isinstance(value, list):
        return any(_refers(item) for item in value)
    return isinstance(value, str) and "${" in value


def _resolved(value: Any, outputs: Mapping[str, Outputs], step: Step) -> Value:
    if isinstance(value, list):
        items = [_resolved(item, outputs, step) for item in value]
        return [x for item in items for x in (item if isinstance(item, list) else [item])]
    if not isinstance(value, str) or "${" not in value:
        return value
    match = _REFERENCE.fullmatch(value)
    if match is None:
        raise BadInputError(
            f"{step.tool}: {value[:80]!r} is no reference like ${{network.vpc_id}}."
        )
    key, name = match.groups()
    if key not in outputs:
        there = ", ".join(outputs) or "none"
        raise BadInputError(
            f"{step.tool}: no step before it is called {key!r}; there are: {there}."
        )
    if name not in outputs[key]:
        raise BadInputError(
            f"{step.tool}: {key} has no output {name!r} that is known before it is built; "
            f"it has {', '.join(outputs[key])}."
        )
    return outputs[key][name]


def _check_keys(assembly: Assembly) -> None:
    keys = [part.key for part in assembly.parts]
    if twice := {key for key in keys if keys.count(key) > 1}:
        raise BadInputError(f"Two parts would be called {min(twice)}; give a step another id.")
