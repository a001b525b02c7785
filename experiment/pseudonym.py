"""Recognisable pseudonyms: HMAC-SHA256 of device, run, prompt and output keys under the installation's key."""

import hashlib
import hmac
import re
import unicodedata
from typing import Final, Literal

DeviceKind = Literal["browser", "dev", "api", "canvas", "test", "legacy", "unknown"]
"""Only 'browser' is workshop traffic (HOST.md, *Wire and ids*)."""

_PSEUDONYM = re.compile(r"^[drpo]_[0-9a-f]{32}$")
_DATED = re.compile(r"^(?P<browser>.+)_(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})$")
_UUID4 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
_LAN = re.compile(r"^[a-z0-9]+$")

_PREFIXES: Final[tuple[tuple[str, DeviceKind], ...]] = (
    ("dev_", "dev"),
    ("api_", "api"),
    ("canvas_", "canvas"),
    ("test-", "test"),
    ("legacy_", "legacy"),
)


def is_pseudonym(text: str) -> bool:
    """True for a key this module made: it is kept as it is, never hashed twice."""
    return bool(_PSEUDONYM.fullmatch(text))


def normalise_prompt(text: str) -> str:
    """NFKC, case-folded, runs of white space collapsed: what makes two prompts 'the same'."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def device_kind(raw: str) -> DeviceKind:
    """The kind of a host device id, read before it is pseudonymised.

    ``{browser id}_{YYYY-MM-DD}`` is 'browser' when the browser id is a UUID4 or ``[a-z0-9]+``.
    """
    for prefix, kind in _PREFIXES:
        if raw.startswith(prefix):
            return kind
    dated = _DATED.fullmatch(raw)
    if dated and (_UUID4.fullmatch(dated["browser"].lower()) or _LAN.fullmatch(dated["browser"])):
        return "browser"
    return "unknown"


class Pseudonymiser:
    """Turns raw ids into pseudonyms under one key; without the key nobody links them back.

    Args:
        key: at least 32 random bytes, made at first start (warehouse) and kept beside the data, not in it.

    Raises:
        ValueError: key shorter than 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) < 32:
            raise ValueError(f"the installation's key has {len(key)} bytes, at least 32 are needed")
        self._key = key

    def _make(self, prefix: str, text: str) -> str:
        if not text or (is_pseudonym(text) and text[0] == prefix):
            return text
        # A lone surrogate (Python's json reads it from a host's file) must not stop an import.
        content = f"{prefix}:{text}".encode(errors="surrogatepass")
        digest = hmac.new(self._key, content, hashlib.sha256).hexdigest()
        return f"{prefix}_{digest[:32]}"

    def device(self, raw: str) -> str:
        """``d_…`` of the host's full device id (a device-day); '' stays ''."""
        return self._make("d", raw)

    def run(self, raw: str) -> str:
        """``r_…`` of a run id; '' stays ''."""
        return self._make("r", raw)

    def prompt(self, text: str) -> str:
        """``p_…`` of the normalised prompt; '' stays ''. A ready-made key passes through."""
        return self._make("p", text if is_pseudonym(text) else normalise_prompt(text))

    def output(self, text: str) -> str:
        """``o_…`` of the normalised output, for joining exports to live calls; '' stays ''."""
        return self._make("o", text if is_pseudonym(text) else normalise_prompt(text))
