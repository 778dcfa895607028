"""``rdbtool schema``."""

import json
from typing import Annotated, Final

import typer

from rdbtool.errors import UsageError

from .usage import Usage

NAME = "schema"
USAGE: Final = Usage(example="rdbtool schema check-rdb")
EXAMPLE = ("no-such-schema", "INPUT")


def command(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="Of which output, such as check-rdb; without it, all are listed.")
    ] = "",
) -> None:
    """Print the JSON Schema of what a command writes as JSON.

    Fields may be added to an output, and stand in its schema then; what is there keeps its meaning as long as the
    number under "schema" stays.
    """
    from .schemas import SCHEMAS, schema_of

    if name and name not in SCHEMAS:
        raise UsageError(f"no schema {name!r}; there are {', '.join(SCHEMAS)}")
    if name:
        print(json.dumps(schema_of(name), indent=2))
    else:
        width = max(map(len, SCHEMAS))
        for known, (title, _) in SCHEMAS.items():
            print(f"{known:{width}}  {title}")
