"""The ``[privacy]`` section: children's texts stay in the own network unless somebody decided otherwise."""

import ipaddress
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

_LOCAL_SUFFIXES = (".local", ".localhost", ".lan", ".internal", ".home.arpa")


class PrivacySettings(BaseModel):
    """What may leave the machine."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    allow_external: bool = False
    """True: an arm's model may be served outside the own network (see docs/configuration.md, *Privacy*)."""


def is_local(url: str) -> bool:
    """Whether a URL points into the own network: loopback, private address, a name without a dot or a local suffix.

    A public name that resolves to a private address is not looked up: settings are checked without a network.
    """
    host = urlsplit(url).hostname or ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return "." not in host or host.endswith(_LOCAL_SUFFIXES)
    return address.is_loopback or address.is_private or address.is_link_local
