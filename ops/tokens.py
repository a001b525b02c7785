"""Which token the command line speaks with: on the service's own machine the tokens file, if this user may read it."""

import os
from pathlib import Path

from collector.tokens import Role, Tokens
from ops.errors import UserError


def find_token(data: Path, role: Role) -> str:
    """The role's token from ``tokens.json``; '' where there is no such file or this user may not read it.

    Args:
        data: the service's data folder.
        role: what the command needs at least.

    Raises:
        UserError: the file is readable by others or damaged.
    """
    path = data / "tokens.json"
    # Looked at before it is opened: the service makes the file at its first start, the command line never does.
    if not os.access(path, os.R_OK):
        return ""
    try:
        return Tokens(path).token(role)
    except ValueError as error:
        raise UserError(str(error)) from None
