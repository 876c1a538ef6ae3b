"""How stacks hang together: references inside one, nested stacks, exports and who imports them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from opswright_aws_devops.cloudformation.stacks import find_stack, importers_of, resources_of
from opswright_aws_devops.cloudformation.templates import parsed
from opswright_core.aws import Aws
from opswright_core.text import clean
from opswright_core.verdicts import Unread, attempt

DEEPEST = 5
"""Levels of nested stacks that are followed."""

NESTED = "AWS::CloudFormation::Stack"
_IN_SUB = re.compile(r"\$\{([A-Za-z0-9]+)(?:\.[^}]*)?\}")


@dataclass
class StackGraph:
    """One stack: its resources' types by name, and what leads from where to where."""

    name: str
    resources: dict[str, str]
    references: list[tuple[str, str]]
    """(who refers, to whom), by logical names."""
    imports: list[tuple[str, str]]
    """(resource, name of an export of another stack)."""
    exports: dict[str, list[str] | None] = field(default_factory=dict)
    """The stacks that import each; None where that could not be read."""
    nested: dict[str, "StackGraph"] = field(default_factory=dict)
    """By the resource that it is in this stack."""


def load_graph(a: Aws, stack: dict[str, Any], unread: list[str], depth: int = 0) -> StackGraph:
    """Read a stack, as `describe_stacks` gives it, with what is nested in it."""
    stack_id, name = stack["StackId"], clean(stack["StackName"], 128)
    found = a.client("cloudformation").get_template(StackName=stack_id)["TemplateBody"]
    template = parsed(found) if isinstance(found, str) else found
    graph = graph_of(name, template)
    for output in stack.get("Outputs") or []:
        if export := output.get("ExportName"):
            users = attempt(lambda export=export: importers_of(a, export))  # type: ignore[misc]
            if isinstance(users, Unread):
                unread.append(f"importers of {export}: {users.reason}")
            graph.exports[export] = None if isinstance(users, Unread) else users
    inner = [n for n, kind in graph.resources.items() if kind == NESTED]
    if inner and depth >= DEEPEST:
        unread.append(f"{name}: stacks nested deeper than {DEEPEST} levels")
    elif inner:
        ids = {
            r["LogicalResourceId"]: r.get("PhysicalResourceId", "")
            for r in resources_of(a, stack_id)
        }
        for key in inner:
            child = attempt(lambda key=key: find_stack(a, ids[key]) if ids.get(key) else None)  # type: ignore[misc]
            if isinstance(child, Unread) or child is None:
                why = child.reason if isinstance(child, Unread) else "it is not there"
                unread.append(f"{name}/{key}: {why}")
            else:
                graph.nested[key] = load_graph(a, child, unread, depth + 1)
    return graph


def graph_of(name: str, template: dict[str, Any]) -> StackGraph:
    """What a template says by itself; functions in the long form or the short one."""
    own = template["Resources"]
    references: list[tuple[str, str]] = []
    imports: list[tuple[str, str]] = []
    for key, resource in own.items():
        named = dict.fromkeys(_named(resource))
        references += [(key, other) for kind, other in named if kind == "own" and other in own]
        imports += [(key, other) for kind, other in named if kind == "import"]
    return StackGraph(
        name,
        {key: str(resource.get("Type", "")) for key, resource in own.items()},
        [edge for edge in references if edge[0] != edge[1]],
        imports,
    )


def _named(value: Any) -> Iterator[tuple[str, str]]:
    """("own", logical name) and ("import", export name) of everything inside a value."""
    if isinstance(value, list):
        for item in value:
            yield from _named(item)
    if not isinstance(value, dict):
        return
    for key, inner in value.items():
        match key.removeprefix("!").removeprefix("Fn::"):
            case "Ref" if isinstance(inner, str):
                yield "own", inner
            case "GetAtt":
                first = inner.split(".")[0] if isinstance(inner, str) else inner[0]
                yield "own", str(first)
            case "Sub":
                text = inner if isinstance(inner, str) else inner[0]
                yield from (("own", name) for name in _IN_SUB.findall(str(text)))
                yield from _named(inner)
            case "DependsOn":
                names = [inner] if isinstance(inner, str) else inner
                yield from (("own", str(name)) for name in names)
            case "ImportValue" if isinstance(inner, str):
                yield "import", inner
            case "ImportValue":
                yield "import", "(worked out when deployed)"
                yield from _named(inner)
            case _:
                yield from _named(inner)
