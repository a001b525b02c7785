"""The installation's pseudonymisation key: made at first start, 0600, never in the database."""

import os
import secrets
from pathlib import Path

from experiment.pseudonym import Pseudonymiser


def load_key(data: Path) -> bytes:
    """The key in ``{data}/key`` (hex), made if missing.

    Raises:
        ValueError: the file is no hexadecimal key of at least 32 bytes.
    """
    path = data / "key"
    data.mkdir(parents=True, exist_ok=True)
    try:
        # O_EXCL: of two processes that start at once one makes the key, the other reads it.
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32))
            file.flush()
            os.fsync(file.fileno())
    text = path.read_text().strip()
    try:
        key = bytes.fromhex(text)
    except ValueError as error:
        raise ValueError(
            f"{path} is not a hexadecimal key: restore it from the backup, or all pseudonyms change"
        ) from error
    if len(key) < 32:
        raise ValueError(f"{path} holds {len(key)} bytes, at least 32 are needed: restore it from the backup")
    return key


def pseudonymiser(data: Path) -> Pseudonymiser:
    """The installation's :class:`~experiment.pseudonym.Pseudonymiser`."""
    return Pseudonymiser(load_key(data))
