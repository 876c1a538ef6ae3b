"""Writes an assembly as Terraform, for the provider hashicorp/aws."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, count

from opswright_aws_devops.export.model import (
    Assembly,
    Join,
    Parameter,
    Part,
    PublicParameter,
    Ref,
    Value,
    Zone,
)
from opswright_aws_devops.export.terraform import (
    data,
    databases,
    names,
    networks,
    servers,
    services,
)
from opswright_aws_devops.export.terraform.draft import Draft, Kind, Resource, generic, tags
from opswright_aws_devops.export.terraform.hcl import Block, Expression, block, snake_case, text

KINDS: dict[str, Kind] = (
    networks.KINDS | servers.KINDS | data.KINDS | databases.KINDS | services.KINDS | names.KINDS
)
"""What each CloudFormation type is to the provider."""

VERSION = "~> 5.100"
"""Of the provider, which the arguments were tried with."""

_TAKEN_OVER = """\
# `terraform apply` takes over what exists and changes nothing of it. After that the import blocks
# may go, and so may those of the ignored changes that are of Terraform's own settings: no account
# tells them, so that an import would show each of them as a change."""

_PLACE = re.compile(r"\{([\w|]+)\}")


def as_configuration(assembly: Assembly) -> str:
    """The configuration, with an `import` block for each resource that exists (Terraform 1.5)."""
    blocks: list[Iterable[str]] = [list(lines) for lines in _Writer(assembly).blocks()]
    if assembly.retains:
        blocks.insert(0, [_TAKEN_OVER])
    return "\n\n".join("\n".join(lines) for lines in blocks) + "\n"


def kind_of(part: Part) -> Kind:
    """What a part is to the provider."""
    is_of_cluster = part.type == "AWS::RDS::DBInstance" and "DBClusterIdentifier" in part.properties
    return databases.CLUSTER_INSTANCE if is_of_cluster else KINDS[part.type]


class _Writer:
    def __init__(self, assembly: Assembly) -> None:
        self._assembly = assembly
        self._parts = {part.key: part for part in assembly.parts}
        self._taken: set[tuple[str, str]] = set()
        self._names = {
            part.key: self._free(kind_of(part).type, snake_case(part.key))
            for part in assembly.parts
        }
        self._asked: dict[str, Parameter] = {}
        self._public: set[str] = set()

    def blocks(self) -> Iterator[Iterable[str]]:
        made = self._assembly
        needed = {"aws": {"source": "hashicorp/aws", "version": VERSION}}
        terraform = {"required_version": ">= 1.5", "required_providers": Block(needed)}
        yield block("terraform", [], terraform, self._special)
        provider: dict[str, Value] = {"region": made.region}
        if made.retains:
            provider["ignore_tags"] = self._foreign()
        yield block("provider", ["aws"], provider, self._special)
        # Written first, which tells the variables that they need.
        resources = [list(lines) for part in made.parts for lines in self._part(part)]
        for parameter in self._asked.values():
            name = snake_case(parameter.key)
            yield block("variable", [name], self._variable(parameter), self._special)
        for public in sorted(self._public):
            labels = ["aws_ssm_parameter", _name(public)]
            yield block("data", labels, {"name": public}, self._special)
        yield from resources
        for key, value in made.outputs.items():
            yield block("output", [snake_case(key)], {"value": value}, self._special)

    def _part(self, part: Part) -> Iterator[Iterator[str]]:
        kind, guarded = kind_of(part), part.holds_data or self._assembly.retains
        draft = Draft(
            part,
            self._names[part.key],
            self._assembly.retains,
            self._literal,
            dict(part.properties),
        )
        kind.write(draft)
        body = dict(draft.body)
        for name, value in draft.rest.items():
            if name == "Tags":
                body["tags"] = tags(value)
            else:
                body[kind.renamed.get(name, snake_case(name))] = generic(value)
        if part.tags:
            body["tags"] = dict(part.tags)
        body = _named_first({name: value for name, value in body.items() if value != []})
        if part.depends_on:
            others = ", ".join(self._address(key) for key in part.depends_on)
            body["depends_on"] = Expression(f"[{others}]")
        ignored = (*draft.ignored, *map(snake_case, part.unwritten))
        import_id = self._import_id(kind, draft) if self._assembly.retains else ""
        beside = [replace(more, name=self._free(more.type, more.name)) for more in draft.beside]
        for resource in [Resource(kind.type, draft.name, body, import_id, ignored), *beside]:
            life: dict[str, Value] = {"prevent_destroy": True} if guarded else {}
            if resource.ignored:
                life["ignore_changes"] = Expression(f"[{', '.join(resource.ignored)}]")
            own = {**resource.body, **({"lifecycle": Block(life)} if life else {})}
            if resource.import_id:
                to = Expression(f"{resource.type}.{resource.name}")
                yield block("import", [], {"to": to, "id": resource.import_id}, self._special)
            yield block("resource", [resource.type, resource.name], own, self._special)

    def _variable(self, parameter: Parameter) -> dict[str, Value]:
        """A variable; of what exists, what nobody reads is ignored and has not to be given."""
        body: dict[str, Value] = {"type": Expression("string")}
        if parameter.default is not None:
            body["default"] = parameter.default
        elif self._assembly.retains:
            body["default"] = None
        if parameter.is_secret:
            body["sensitive"] = True
        return body

    def _free(self, type_: str, name: str) -> str:
        """A name that no other resource of the type has; logical ids may differ in capitals."""
        numbered = (f"{name}_{number}" for number in count(2))
        found = next(one for one in chain([name], numbered) if (type_, one) not in self._taken)
        self._taken.add((type_, found))
        return found

    def _foreign(self) -> Block:
        """Tags by which opswright knows its own; Terraform leaves them on what it takes over."""
        tagged = (t for part in self._assembly.parts for t in part.properties.get("Tags", []))
        others = any(tag["Key"] == "managed-by" for tag in tagged)
        return Block(
            {"key_prefixes": ["opswright:"], **({} if others else {"keys": ["managed-by"]})}
        )

    def _import_id(self, kind: Kind, draft: Draft) -> str:
        """Empty where a word of it is not known, so that a plan shows the resource as new."""

        def word(match: re.Match[str]) -> str:
            found = (draft.there(name) or draft.body.get(name, "") for name in match[1].split("|"))
            return str(next(filter(None, found), ""))

        words = [word(match) for match in _PLACE.finditer(kind.import_id)]
        return _PLACE.sub(lambda _: words.pop(0), kind.import_id) if words and all(words) else ""

    def _literal(self, value: Value) -> str:
        """What a value is in the account; empty where nobody knows."""
        if isinstance(value, Ref):
            part = self._parts[value.part]
            return part.ids.get(value.attribute) or self._literal(
                part.properties.get(value.attribute)
            )
        if isinstance(value, Join):
            parts = [self._literal(part) for part in value.parts]
            return value.separator.join(parts) if all(parts) else ""
        if isinstance(value, Parameter):
            return value.default or ""
        if isinstance(value, list | tuple) and len(value) == 1:
            return self._literal(value[0])
        return value if isinstance(value, str) else ""

    def _address(self, key: str) -> str:
        return f"{kind_of(self._parts[key]).type}.{self._names[key]}"

    def _special(self, value: Value) -> str | None:
        if isinstance(value, Ref):
            gives = kind_of(self._parts[value.part]).gives
            attribute = gives.get(value.attribute, snake_case(value.attribute))
            return f"{self._address(value.part)}.{attribute}"
        if isinstance(value, Join):
            return self._template(value)
        if isinstance(value, PublicParameter):
            self._public.add(value.name)
            return f"data.aws_ssm_parameter.{_name(value.name)}.insecure_value"
        if isinstance(value, Parameter):
            self._asked[value.key] = value
            return f"var.{snake_case(value.key)}"
        return text(value.name) if isinstance(value, Zone) else None

    def _template(self, value: Join) -> str:
        """Text with references in it: join() where a comma keeps a list apart."""
        if value.separator:
            parts = ", ".join(self._special(part) or text(str(part)) for part in value.parts)
            return f"join({text(value.separator)}, [{parts}])"
        inner = "".join(
            text(part)[1:-1] if isinstance(part, str) else f"${{{self._special(part)}}}"
            for part in value.parts
        )
        return f'"{inner}"'


def _name(name: str) -> str:
    return re.sub(r"\W+", "_", name.rpartition("/")[2])


def _named_first(body: Mapping[str, Value]) -> dict[str, Value]:
    """The name first and the tags last, as people write it."""
    first = {key: body[key] for key in ("name", "identifier", "bucket") if key in body}
    last = {key: body[key] for key in ("tags",) if key in body}
    return first | {k: v for k, v in body.items() if k not in first | last} | last
