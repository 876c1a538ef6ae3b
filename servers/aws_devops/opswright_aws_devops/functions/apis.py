"""What HTTP and private APIs share: the function behind, its permission, and whose an API is."""

from typing import Annotated, Any

from pydantic import Field

from opswright_aws_devops.functions.parts import allow_invoke
from opswright_aws_devops.lookup import first, if_exists, must_exist
from opswright_aws_devops.ownership import NAME_TAG, Request
from opswright_core.aws import Aws, AwsTarget
from opswright_core.recorder import Recorder
from opswright_core.undo import aws_undo

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


def statement_id(name: str) -> str:
    """How the statement that lets an API invoke its function is called in the function's policy."""
    return f"api-{name}"


def invoked_by(a: Aws, api_id: str) -> str:
    """The ARN of every stage and route of an API, as the source of an invocation."""
    return f"arn:{a.partition}:execute-api:{a.region}:{a.account_id}:{api_id}/*"


def let_invoke(
    a: Aws, rec: Recorder, request: Request, function: str, api_id: str, target: AwsTarget
) -> None:
    """Let the API invoke the function, which nothing else is let to."""
    client, sid = a.client("lambda"), statement_id(request.name)
    which = {"FunctionName": function}
    source = f"{invoked_by(a, api_id)}/*"
    rec.step(
        f"permission to invoke {function}",
        lambda: allow_invoke(client, function, sid, "apigateway.amazonaws.com", source),
        undo=[
            aws_undo(
                f"take the permission to invoke {function} back",
                "lambda",
                "remove_permission",
                {**which, "StatementId": sid},
                target=target,
                region=a.region,
                gone=("get_policy", which, f"""contains(Policy, '"{sid}"')"""),
            )
        ],
    )


def may_invoke(a: Aws, name: str, function: str, api_id: str) -> bool:
    """Whether the function's policy lets this API invoke it."""
    client = a.client("lambda")
    policy = if_exists(lambda: client.get_policy(FunctionName=function)["Policy"]) or ""
    return f'"{statement_id(name)}"' in policy and f"{invoked_by(a, api_id)}/*" in policy
