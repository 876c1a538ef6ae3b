"""Writes an assembly as Terraform, for the provider `awscc`.

Its resources are CloudFormation's types one to one, with names in snake case, and it takes the same
identifiers for an import. So the mapping is mechanical and leaves nothing out, where the provider
`aws` would need a table by hand for each type and its properties.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from opswright_aws_devops.export.model import (
    DOCUMENTS,
    Assembly,
    Join,
    Parameter,
    Part,
    PublicParameter,
    Ref,
    Value,
    Zone,
    values_of,
)

_WORD_ENDS = re.compile(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Za-z])|(?<=[A-Z])(?=[A-Z][a-z])")
_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


def snake_case(name: str) -> str:
    """A CloudFormation name as the provider writes it: TargetGroupARNs is target_group_ar_ns."""
    whole = re.sub(r"CloudF(ormation|ront)", r"Cloudf\1", name).replace("CloudWatch", "Cloudwatch")
    return _WORD_ENDS.sub("_", whole.replace("FSx", "Fsx")).lower()


def resource_type(kind: str) -> str:
    """AWS::EC2::VPCGatewayAttachment is awscc_ec2_vpc_gateway_attachment."""
    _, service, name = kind.split("::")
    return f"awscc_{service.lower()}_{snake_case(name)}"


def as_configuration(assembly: Assembly) -> str:
    """The configuration, with an `import` block for each part that exists (Terraform 1.5)."""
    return "\n".join(_lines(assembly))


def _lines(assembly: Assembly) -> Iterator[str]:
    types = {part.key: part.type for part in assembly.parts}
    yield "terraform {"
    yield '  required_version = ">= 1.5"'
    yield "  required_providers {"
    yield '    awscc = { source = "hashicorp/awscc" }'
    yield "  }"
    yield "}"
    yield ""
    yield 'provider "awscc" {'
    yield f"  region = {_text(assembly.region)}"
    yield "}"
    inside = [part.properties for part in assembly.parts]
    given = {parameter.key: parameter for parameter in values_of(inside, Parameter)}
    for parameter in given.values():
        yield ""
        yield from _variable(parameter)
    for part in assembly.parts:
        yield ""
        yield from _resource(part, types, guarded=part.holds_data or assembly.retains)
    for key, value in assembly.outputs.items():
        yield ""
        yield f'output "{snake_case(key)}" {{'
        yield f"  value = {_value(value, types, 2)}"
        yield "}"
    yield ""


def _variable(parameter: Parameter) -> Iterator[str]:
    yield f'variable "{snake_case(parameter.key)}" {{'
    lines = [("type", "string")]
    if parameter.default is not None:
        lines.append(("default", _text(parameter.default)))
    if parameter.is_secret:
        lines.append(("sensitive", "true"))
    yield from _aligned(lines, "  ")
    yield "}"


def _resource(part: Part, types: Mapping[str, str], *, guarded: bool) -> Iterator[str]:
    yield f'resource "{resource_type(part.type)}" "{snake_case(part.key)}" {{'
    lines = [
        (snake_case(name), _property(name, value, types, 2))
        for name, value in part.properties.items()
    ]
    if part.depends_on:
        others = ", ".join(_address(key, types) for key in part.depends_on)
        lines.append(("depends_on", f"[{others}]"))
    yield from _aligned(lines, "  ")
    if guarded:
        yield "  lifecycle {"
        yield "    prevent_destroy = true"
        yield "  }"
    yield "}"


def _address(key: str, types: Mapping[str, str]) -> str:
    return f"{resource_type(types[key])}.{snake_case(key)}"


def _value(value: Value, types: Mapping[str, str], indent: int, *, raw: bool = False) -> str:
    """A value in HCL; `raw` leaves the keys of objects as they are."""
    pad = " " * indent
    if isinstance(value, Ref):
        attribute = ".".join(snake_case(word) for word in value.attribute.split("."))
        return f"{_address(value.part, types)}.{attribute}"
    if isinstance(value, Join):
        parts = ", ".join(_value(part, types, indent) for part in value.parts)
        return f"join({_text(value.separator)}, [{parts}])"
    if isinstance(value, PublicParameter):
        # EC2 looks it up by itself wherever it takes an image of a launch template.
        return _text(f"resolve:ssm:{value.name}")
    if isinstance(value, Parameter):
        return f"var.{snake_case(value.key)}"
    if isinstance(value, Zone):
        return _text(value.name)
    if isinstance(value, Mapping):
        lines = [
            (_key(key, raw=raw), _property(key, item, types, indent + 2, raw=raw))
            for key, item in value.items()
        ]
        inner = "".join(f"{line}\n" for line in _aligned(lines, f"{pad}  "))
        return f"{{\n{inner}{pad}}}"
    if isinstance(value, list | tuple):
        if len(value) > 1 and any(isinstance(item, Mapping) for item in value):
            items = [_value(item, types, indent + 2, raw=raw) for item in value]
            return "[\n" + "".join(f"{pad}  {item},\n" for item in items) + f"{pad}]"
        return f"[{', '.join(_value(item, types, indent, raw=raw) for item in value)}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _property(
    name: str, value: Value, types: Mapping[str, str], indent: int, *, raw: bool = False
) -> str:
    """A property's value; a document of IAM is given as JSON, its own keys as they are."""
    if name in DOCUMENTS and not raw:
        return f"jsonencode({_value(value, types, indent, raw=True)})"
    return _value(value, types, indent, raw=raw)


def _aligned(lines: Sequence[tuple[str, str]], pad: str) -> Iterator[str]:
    """Attributes as `terraform fmt` writes them: the signs of a run of short ones line up.

    A value of several lines ends a run.
    """
    run: list[tuple[str, str]] = []
    for index, line in enumerate(lines):
        run.append(line)
        if "\n" in line[1] or index == len(lines) - 1:
            short = [key for key, value in run if "\n" not in value]
            width = max(map(len, short), default=0)
            for key, value in run:
                yield f"{pad}{key if chr(10) in value else key.ljust(width)} = {value}"
            run = []


def _key(key: str, *, raw: bool) -> str:
    if not raw:
        return snake_case(key)
    return key if _IDENTIFIER.fullmatch(key) else _text(key)


def _text(text: str) -> str:
    """A string in quotes; what HCL would read as a template is escaped."""
    return json.dumps(text, ensure_ascii=False).replace("${", "$${").replace("%{", "%%{")
