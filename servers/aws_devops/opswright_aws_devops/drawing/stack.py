"""A stack's graph as Mermaid text."""

from collections.abc import Iterator

from opswright_aws_devops.cloudformation.graph import StackGraph
from opswright_aws_devops.drawing.mermaid import quoted


def stack_as_mermaid(graph: StackGraph) -> str:
    """Stacks hold their resources; arrows go from who needs to what is needed, dotted by import."""
    return "\n".join(["flowchart LR", *_stack(graph, "s", "  ")]) + "\n"


def _stack(graph: StackGraph, key: str, pad: str) -> Iterator[str]:
    keys = {name: f"{key}r{number}" for number, name in enumerate(graph.resources)}
    yield f'{pad}subgraph {key}["{quoted(graph.name)}"]'
    for name, kind in graph.resources.items():
        yield f'{pad}  {keys[name]}["{quoted(name)}<br/>{quoted(kind.removeprefix("AWS::"))}"]'
    for source, needed in graph.references:
        yield f"{pad}  {keys[source]} --> {keys[needed]}"
    yield f"{pad}end"
    for number, (name, export) in enumerate(graph.imports):
        yield f'{pad}{key}i{number}(["{quoted(export)}"])'
        yield f"{pad}{keys[name]} -.-> {key}i{number}"
    for number, (export, users) in enumerate(graph.exports.items()):
        yield f'{pad}{key}e{number}(["{quoted(export)}"])'
        yield f"{pad}{key}e{number} -.-> {key}"
        for user, stack in enumerate(users or []):
            yield f'{pad}{key}u{number}x{user}["{quoted(stack)}"] -.-> {key}e{number}'
    for name, inner in graph.nested.items():
        yield from _stack(inner, f"{keys[name]}s", pad)
        yield f"{pad}{keys[name]} --> {keys[name]}s"
