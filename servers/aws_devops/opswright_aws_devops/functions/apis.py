"""What HTTP and private APIs share: the function behind, its permission, and whose an API is."""

from typing import Annotated, Any

from pydantic import Field

from opswright_aws_devops.functions.invocation import Invoker
from opswright_aws_devops.lookup import first, must_exist
from opswright_aws_devops.ownership import NAME_TAG, Request
from opswright_core.aws import Aws

FunctionName = Annotated[
    str, Field(description="Lambda function behind it", pattern=r"^[A-Za-z0-9_-]{1,64}$")
]
RateLimit = Annotated[int, Field(description="Requests a second", ge=1, le=10_000)]
BurstLimit = Annotated[int, Field(description="At once", ge=1, le=5_000)]


def find_function(a: Aws, name: str) -> str:
    """The ARN of a function that was named. Raises NotFoundError."""
    client = a.client("lambda")
    found = must_exist(f"Function {name}", lambda: client.get_function(FunctionName=name))
    arn: str = found["Configuration"]["FunctionArn"]
    return arn


def claimed(request: Request, apis: list[dict[str, Any]], what: str) -> dict[str, Any] | None:
    """The API that the request made, of those of its name; None when there is none.

    Names of APIs need not be unique in AWS; here they are, so that a repeat finds its own. Raises
    ConflictError when another has the name.
    """
    named = [
        api
        for api in apis
        if request.name in {api.get("Name", api.get("name")), _tags(api).get(NAME_TAG)}
    ]
    for api in named:
        request.claim(f"{what} {request.name}", _tags(api))
    return first(named)


def _tags(api: dict[str, Any]) -> dict[str, str]:
    tags: dict[str, str] = api.get("Tags", api.get("tags")) or {}
    return tags


def invoker(a: Aws, name: str, api_id: str) -> Invoker:
    """Every stage and route of an API, as what invokes its function."""
    source = f"arn:{a.partition}:execute-api:{a.region}:{a.account_id}:{api_id}/*/*"
    return Invoker(f"api-{name}", "apigateway.amazonaws.com", source)
