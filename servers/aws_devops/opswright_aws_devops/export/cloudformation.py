"""Writes an assembly as a CloudFormation template in YAML."""

from collections.abc import Mapping
from typing import Any

from opswright_aws_devops.export.model import (
    REF_GIVES,
    Assembly,
    Join,
    Parameter,
    Part,
    PublicParameter,
    Ref,
    Value,
    Zone,
)

_SNAPSHOTS = {"AWS::RDS::DBInstance", "AWS::RDS::DBCluster", "AWS::EC2::Volume"}
"""Types whose DeletionPolicy may be Snapshot (CloudFormation user guide, "DeletionPolicy")."""

ZONE = "AWS::EC2::AvailabilityZone::Name"
IMAGE = "AWS::SSM::Parameter::Value<AWS::EC2::Image::Id>"


class _Tagged:
    def __init__(self, tag: str, value: Any) -> None:
        self.tag, self.value = tag, value


def as_template(assembly: Assembly) -> str:
    """The template. Public parameters and zones are parameters of it, each with its default."""
    import yaml

    class Dumper(yaml.SafeDumper):
        """Writes functions in their short form, and no anchors, which CloudFormation refuses."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    def represent(dumper: Any, value: _Tagged) -> Any:
        if isinstance(value.value, list):
            return dumper.represent_sequence(value.tag, value.value, flow_style=True)
        return dumper.represent_scalar(value.tag, value.value)

    Dumper.add_representer(_Tagged, represent)
    parameters: dict[str, dict[str, Any]] = {}
    types = {part.key: part.type for part in assembly.parts}
    resources = {
        part.key: _resource(part, types, parameters, assembly.retains) for part in assembly.parts
    }
    outputs = {
        key: {"Value": _value(value, types, parameters)} for key, value in assembly.outputs.items()
    }
    template = {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"{assembly.name}, exported by opswright",
        **({"Parameters": parameters} if parameters else {}),
        "Resources": resources,
        **({"Outputs": outputs} if outputs else {}),
    }
    text: str = yaml.dump(template, Dumper=Dumper, sort_keys=False, width=100, allow_unicode=True)
    return text


def _resource(
    part: Part,
    types: Mapping[str, str],
    parameters: dict[str, dict[str, Any]],
    retains: bool,
) -> dict[str, Any]:
    kept = "Retain" if retains else ""
    if part.holds_data and not retains:
        kept = "Snapshot" if part.type in _SNAPSHOTS else "Retain"
    return {
        "Type": part.type,
        **({"DependsOn": list(part.depends_on)} if part.depends_on else {}),
        **({"DeletionPolicy": kept, "UpdateReplacePolicy": kept} if kept else {}),
        "Properties": _value(dict(part.properties), types, parameters),
    }


def _value(value: Value, types: Mapping[str, str], parameters: dict[str, dict[str, Any]]) -> Any:
    if isinstance(value, Ref):
        if REF_GIVES.get(types[value.part]) == value.attribute:
            return _Tagged("!Ref", value.part)
        return _Tagged("!GetAtt", f"{value.part}.{value.attribute}")
    if isinstance(value, Join):
        parts = [_value(part, types, parameters) for part in value.parts]
        return _Tagged("!Join", [value.separator, parts])
    if isinstance(value, PublicParameter):
        key = "Image" + "".join(c for c in value.name.rpartition("-")[2] if c.isalnum())
        parameters[key] = {"Type": IMAGE, "Default": value.name}
        return _Tagged("!Ref", key)
    if isinstance(value, Zone):
        key = "Zone" + "".join(c for c in value.name.title() if c.isalnum())
        parameters[key] = {"Type": ZONE, "Default": value.name}
        return _Tagged("!Ref", key)
    if isinstance(value, Parameter):
        own = {} if value.default is None else {"Default": value.default}
        hidden: dict[str, Any] = {"NoEcho": True} if value.is_secret else {}
        parameters[value.key] = {"Type": "String", **own, **hidden}
        return _Tagged("!Ref", value.key)
    if isinstance(value, Mapping):
        return {key: _value(inner, types, parameters) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_value(inner, types, parameters) for inner in value]
    return value
