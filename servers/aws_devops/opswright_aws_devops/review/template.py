"""CloudFormation templates as resources: parameters are filled in, other references UNKNOWN.

What a Ref to a resource, a Fn::GetAtt, an import or a condition yields only the deployment tells.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from opswright_aws_devops.review.resources import UNKNOWN, Change, Resource, is_known
from opswright_aws_devops.review.schemas import create_only
from opswright_core.errors import BadInputError

_VARIABLE = re.compile(r"\$\{(!?)([^}]*)\}")


def resources_of(
    template: Mapping[str, Any], parameters: Mapping[str, str], region: str | None = None
) -> list[Resource]:
    """The resources of a parsed template, with its parameters' values or defaults.

    Raises BadInputError for a parameter that it does not declare, or a resource without a type.
    """
    declared = template.get("Parameters") or {}
    if odd := sorted(set(parameters) - set(declared)):
        raise BadInputError(
            f"parameters: the template declares no {odd[0]!r}; it has "
            f"{', '.join(sorted(declared)) or 'none'}."
        )
    values: dict[str, Any] = {}
    for name, parameter in declared.items():
        given = parameters.get(name, (parameter or {}).get("Default", UNKNOWN))
        kind = str((parameter or {}).get("Type", "String"))
        if kind.startswith("AWS::SSM::"):
            given = UNKNOWN
        several = kind == "CommaDelimitedList" or kind.startswith("List<")
        values[name] = str(given).split(",") if several and given is not UNKNOWN else given
    values |= {"AWS::NoValue": None, "AWS::Region": region or UNKNOWN}
    resolve = _Resolver(values)
    found = []
    for logical_id, entry in template["Resources"].items():
        if not isinstance(entry, Mapping) or not isinstance(entry.get("Type"), str):
            raise BadInputError(f"template: resource {str(logical_id)[:80]!r} has no Type.")
        properties = resolve(entry.get("Properties") or {})
        if not isinstance(properties, Mapping):
            raise BadInputError(f"template: Properties of {str(logical_id)[:80]!r} are no object.")
        attributes = {**entry, "Properties": _long(entry.get("Properties") or {})}
        found.append(Resource(str(logical_id), entry["Type"], properties, attributes))
    return found


def references_of(template: Mapping[str, Any]) -> dict[str, dict[str, list[str]]]:
    """By logical id, by property, the logical ids that its value refers to."""
    known = set(template["Resources"])
    return {
        logical_id: {
            name: [target for target in _targets(value) if target in known]
            for name, value in (entry.get("Properties") or {}).items()
        }
        for logical_id, entry in template["Resources"].items()
    }


def compared(before: Iterable[Resource], after: Iterable[Resource], region: str) -> list[Change]:
    """What comes of putting one template in the place of another."""
    old = {resource.address: resource for resource in before}
    new = {resource.address: resource for resource in after}
    changes = [Change("create", None, new[a]) for a in new if a not in old]
    changes += [Change("delete", old[a], None) for a in old if a not in new]
    for address in (a for a in new if a in old):
        was, will = old[address], new[address]
        if was.type != will.type:
            changes.append(Change("replace", was, will, ("Type",)))
            continue
        names = [name for name in _names(was, will) if _differs(was, will, name)]
        if not names:
            continue
        fixed = create_only(will.type, region)
        if fixed is None:
            changes.append(Change("update", was, will, tuple(names), may_be_replaced=True))
            continue
        must = [name for name in names if name in fixed.always]
        may = [name for name in names if name in fixed.sometimes]
        unsure = any(
            not is_known([was.properties.get(name), will.properties.get(name)]) for name in must
        )
        if must and not unsure:
            changes.append(Change("replace", was, will, tuple(must)))
        else:
            maybe = bool(must or may)
            changes.append(Change("update", was, will, tuple(names), may_be_replaced=maybe))
    return changes


def _names(was: Resource, will: Resource) -> list[str]:
    written = (*was.attributes["Properties"], *will.attributes["Properties"])
    return sorted({str(name) for name in written})


def _differs(was: Resource, will: Resource, name: str) -> bool:
    """Whether a property differs: by its values, or as it is written where these are not known."""
    before, after = was.properties.get(name), will.properties.get(name)
    if before != after:
        return True
    written = was.attributes["Properties"].get(name), will.attributes["Properties"].get(name)
    return not is_known(before) and written[0] != written[1]


def _long(value: Any) -> Any:
    """Properties with every intrinsic function in its long form, so that they compare."""
    if isinstance(value, list):
        return [_long(inner) for inner in value]
    if not isinstance(value, Mapping):
        return value
    if len(value) == 1:
        ((name, argument),) = value.items()
        function = _function(str(name))
        if function == "GetAtt" and isinstance(argument, str):
            argument = argument.split(".", 1)
        if function is not None:
            return {function: _long(argument)}
    return {str(name): _long(inner) for name, inner in value.items()}


class _Resolver:
    """Puts values in the place of intrinsic functions."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __call__(self, value: Any) -> Any:
        if isinstance(value, list):
            return [entry for entry in map(self, value) if entry is not None]
        if not isinstance(value, Mapping):
            return value
        if len(value) == 1:
            ((name, argument),) = value.items()
            function = _function(str(name))
            if function is not None:
                return self._called(function, argument)
        resolved = {str(name): self(inner) for name, inner in value.items()}
        return {name: inner for name, inner in resolved.items() if inner is not None}

    def _called(self, function: str, argument: Any) -> Any:
        if function == "Ref":
            return self._values.get(argument, UNKNOWN)
        if function == "Base64":
            return self(argument)
        if function == "If" and isinstance(argument, list) and len(argument) == 3:
            yes, no = self(argument[1]), self(argument[2])
            return yes if yes == no else UNKNOWN
        if function == "Join" and isinstance(argument, list) and len(argument) == 2:
            parts = self(argument[1])
            if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
                return str(argument[0]).join(parts)
        if function == "Sub":
            text, more = argument, dict[str, Any]()
            if isinstance(argument, list) and len(argument) == 2:
                text, more = argument[0], self(argument[1]) or {}
            return self._substituted(text, more)
        return UNKNOWN

    def _substituted(self, text: Any, more: Mapping[str, Any]) -> Any:
        if not isinstance(text, str):
            return UNKNOWN
        values = {**self._values, **more}
        names = [name.strip() for literal, name in _VARIABLE.findall(text) if not literal]
        if not all(isinstance(values.get(name), str) for name in names):
            return UNKNOWN
        return _VARIABLE.sub(lambda m: f"${{{m[2]}}}" if m[1] else str(values[m[2].strip()]), text)


def _function(name: str) -> str | None:
    """`Ref`, `!Ref`, `Fn::Sub` and `!Sub` as `Ref` and `Sub`; None for a plain key."""
    if name == "Ref" or name.startswith("!"):
        return name.removeprefix("!")
    return name[4:] if name.startswith("Fn::") else None


def _targets(value: Any) -> list[str]:
    """The names that Ref, Fn::GetAtt and Fn::Sub mention."""
    if isinstance(value, list):
        return [target for inner in value for target in _targets(inner)]
    if not isinstance(value, Mapping):
        return []
    found = []
    for name, inner in value.items():
        function = _function(str(name))
        if function == "Ref" and isinstance(inner, str):
            found.append(inner)
        elif function == "GetAtt":
            found.append(str(inner[0] if isinstance(inner, list) else inner).split(".")[0])
        elif function == "Sub":
            text = inner[0] if isinstance(inner, list) and inner else inner
            names = _VARIABLE.findall(text) if isinstance(text, str) else []
            found += [said.split(".")[0] for literal, said in names if not literal]
            found += _targets(inner) if isinstance(inner, list) else []
        else:
            found += _targets(inner)
    return found
