"""AWS's services and operations as the installed botocore describes them; needs no network."""

import html
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from opswright_core.errors import BadInputError
from opswright_core.service_models import service_models
from opswright_core.text import clean

KIND = "service-2"
"""What botocore calls the file that describes a service."""

MOST_NEAR = 5


@dataclass(frozen=True)
class Operation:
    """One operation of one service."""

    service: str
    """boto3's name of the service, like `secretsmanager`."""
    name: str
    """As AWS writes it, like `RotateSecret`."""
    model: Any
    """botocore's OperationModel."""
    declared: Mapping[str, Any]
    """The operation's entry in the service's file."""

    @property
    def summary(self) -> str:
        """The first sentence of its documentation."""
        return first_sentence(str(self.declared.get("documentation", "")))

    @property
    def required(self) -> list[str]:
        """The parameters that must be given."""
        shape = self.model.input_shape
        return list(shape.required_members) if shape else []


def services() -> list[str]:
    """boto3's names of all services."""
    names: list[str] = service_models(None).list_available_services(KIND)
    return names


@lru_cache(maxsize=4)
def _service(name: str) -> tuple[Any, Mapping[str, Any]]:
    """A service's model, from a loader of its own: the shared one would keep all of them."""
    from botocore.loaders import create_loader
    from botocore.model import ServiceModel

    declared = create_loader().load_service_model(name, KIND)
    return ServiceModel(declared, name), declared["operations"]


def find(service: str, operation: str) -> Operation:
    """The operation of that name; `rotate_secret` is taken for `RotateSecret`.

    Raises BadInputError with the nearest names for a service or an operation that does not exist.
    """
    if service not in services():
        near = get_close_matches(service.lower(), services(), MOST_NEAR, 0.5)
        raise BadInputError(
            f"There is no AWS service {clean(service, 60)!r} (boto3's names are meant)."
            f"{_near(near)} find_operation searches by words."
        )
    model, declared = _service(service)
    wanted = operation.replace("_", "").lower()
    for name in declared:
        if name.lower() == wanted:
            return Operation(service, name, model.operation_model(name), declared[name])
    by_lower = {name.lower(): name for name in declared}
    near = [by_lower[name] for name in get_close_matches(wanted, by_lower, MOST_NEAR, 0.5)]
    raise BadInputError(
        f"{service} has no operation {clean(operation, 60)!r}.{_near(near)} find_operation "
        "searches by words."
    )


def _near(names: list[str]) -> str:
    return f" Nearest: {', '.join(names)}." if names else ""


def plain(documentation: str) -> str:
    """Documentation without its markup, on one line."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", documentation))).strip()


def first_sentence(documentation: str, limit: int = 200) -> str:
    """The first sentence, cut at `limit` characters."""
    # Markup is looked through only where the sentence can be: some texts have 100,000 characters.
    text = plain(documentation[: limit * 10])
    text = re.sub(r"^(?:Note|Important)\s+", "", text)
    sentence = re.split(r"(?<=[a-z0-9)\"'])\.\s+(?=[A-Z])", text, maxsplit=1)[0]
    return clean(sentence.strip().rstrip("."), limit)
