"""What every handler needs, in one frozen object."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, NamedTuple

import aiohttp
from aiohttp import web

from backends.client import Client
from experiment.arms import Arms
from experiment.pseudonym import Pseudonymiser
from gateway.config import GatewaySettings
from gateway.delivery import Delivery
from gateway.metrics import Metrics
from gateway.outbox import Outbox
from gateway.permits import Permits
from gateway.templates import Splitter
from gateway.units import Roots

TokenCheck = Callable[[str], bool]
"""Whether a bearer token may ask for assignments; see :func:`gateway.access.tokens`."""


class Paths(NamedTuple):
    """The two folders the gateway shares with the owner service, or keeps beside it."""

    permits: Path
    """Read only; the owner service writes it."""
    outbox: Path
    """The gateway's own."""


@dataclass(frozen=True, slots=True)
class Gateway:
    """Everything a handler may use."""

    settings: GatewaySettings
    proposed: Mapping[str, Arms]
    """By experiment, in the configuration's order: what answers where no permit is valid."""
    aliases: Mapping[str, str]
    """Alias (without ':latest') → experiment."""
    permits: Permits
    roots: Roots
    pseudonymiser: Pseudonymiser
    splitter: Splitter
    refusals: tuple[re.Pattern[str], ...]
    outbox: Outbox
    delivery: Delivery
    client: Client
    upstream: aiohttp.ClientSession
    """For what passes through: bodies stay as they are, compressed or not."""
    metrics: Metrics
    token_check: TokenCheck | None
    """None: documented development mode."""
    clock: Callable[[], datetime]

    def experiment_of(self, model: str) -> str | None:
        """The experiment whose alias this model name is; None for every other model."""
        return self.aliases.get(model.removesuffix(":latest"))


GATEWAY: Final = web.AppKey("gateway", Gateway)
