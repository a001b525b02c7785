"""From the outbox to the API: batches, back-off with jitter, and an honest end for every call."""

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Callable
from typing import Final, NamedTuple

import aiohttp

from gateway.config import OutboxSettings
from gateway.outbox import Outbox

log = logging.getLogger("equipoise.gateway")

_FINAL: Final = frozenset({200, 201, 409})
"""Kept now, kept before, or another body under a known id (the first is kept): nothing more to do."""
_REFUSED: Final = frozenset({400, 422})
_TOO_LARGE: Final = 413
_HOUR: Final = 3600.0


class _Verdict(NamedTuple):
    """What the API said about one call."""

    status: int
    reason: str = ""


class _Later(Exception):
    """Nothing was decided: try again after a while."""

    def __init__(self, why: str, after_s: float = 0.0) -> None:
        self.after_s = after_s
        super().__init__(why)


class Delivery:
    """Delivers until it is told to stop.

    Args:
        outbox: what to deliver.
        session: pool of connections.
        api_url: the owner service, e.g. ``http://127.0.0.1:17811``.
        api_token: asked for at every delivery, so that a rotated token is used without a restart.
        settings: batch sizes and waits.
        jitter: 0 … 1, for the back-off.
    """

    def __init__(
        self,
        outbox: Outbox,
        session: aiohttp.ClientSession,
        api_url: str,
        api_token: Callable[[], str],
        settings: OutboxSettings,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = outbox
        self._session = session
        self._url = f"{api_url.rstrip('/')}/v1/calls"
        self._token = api_token
        self._settings = settings
        self._jitter = jitter
        self._failures = 0
        self.problem = ""
        """Why the last delivery failed, '' if it did not."""
        self.delivered = 0
        """Calls the API has taken, since the start."""

    async def run(self) -> None:
        """Deliver whatever comes, until cancelled."""
        while True:
            self._outbox.forget_old_letters()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._outbox.wake.wait(), _HOUR)
            self._outbox.wake.clear()
            await asyncio.sleep(self._settings.linger_ms / 1000)
            while self._outbox.pending:
                wait = await self._step()
                if wait:
                    await asyncio.sleep(wait)

    async def drain(self, seconds: float) -> None:
        """Deliver what is there, for so long at most, without back-off."""
        try:
            async with asyncio.timeout(seconds):
                while self._outbox.pending and not await self._step():
                    pass
        except TimeoutError:
            pass
        if self._outbox.pending:
            log.warning("%d calls stay in the outbox and will be delivered at the next start", self._outbox.pending)

    async def _step(self) -> float:
        """Deliver one batch. Returns the seconds to wait before the next, 0 after success."""
        try:
            batch = self._outbox.next_batch()
            if batch is None:
                return 0.0
            verdicts = await self._send(batch.lines)
            for line, verdict in zip(batch.lines, verdicts, strict=True):
                if verdict.status not in _FINAL:
                    self._outbox.bury(line, verdict.status, verdict.reason)
            self._outbox.mark(batch)
        except _Later as later:
            return await self._failed(str(later), later.after_s)
        except OSError as error:
            return await self._failed(f"the outbox's files can't be used: {error.strerror}", 0.0)
        except Exception as error:  # the rim: delivery must outlive whatever comes, and the texts must not reach a log
            return await self._failed(f"delivery failed unexpectedly: {type(error).__name__}", 0.0)
        self.delivered += len(batch.lines)
        if self.problem:
            log.warning("calls are delivered again")
        self.problem, self._failures = "", 0
        return 0.0

    async def _failed(self, why: str, after_s: float) -> float:
        if why != self.problem:
            log.warning("calls can't be delivered, they wait in the outbox: %s", why)
        self.problem = why
        await asyncio.to_thread(self._outbox.sync)
        wait = min(self._settings.retry_max_s, self._settings.retry_s * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return max(after_s, wait * (0.5 + self._jitter() / 2))

    async def _send(self, lines: list[bytes]) -> list[_Verdict]:
        """What becomes of each line; a request refused as a whole is halved until the one at fault stands alone.

        Raises:
            _Later: at least one line has to be sent again. All are: those the API has taken it will know.
        """
        status, body, after = await self._post(lines)
        if status in (200, 201, 207, 409):
            return _verdicts(status, body, len(lines))
        if status in _REFUSED or status == _TOO_LARGE:
            if len(lines) == 1:
                return [_Verdict(status, _detail(body))]
            half = len(lines) // 2
            return await self._send(lines[:half]) + await self._send(lines[half:])
        if status in (401, 403):
            raise _Later(f"the API refuses the gateway's token ({status}): is it the one in tokens.json?")
        raise _Later(f"the API answered {status}", after)

    async def _post(self, lines: list[bytes]) -> tuple[int, bytes, float]:
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self._token()}"}
        try:
            async with self._session.post(
                self._url,
                data=b"[" + b",".join(lines) + b"]",
                headers=headers,
                timeout=aiohttp.ClientTimeout(total=self._settings.timeout_s),
                allow_redirects=False,
            ) as response:
                return response.status, await response.read(), _seconds(response.headers.get("Retry-After"))
        except TimeoutError as error:
            raise _Later(f"the API did not answer within {self._settings.timeout_s:g} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _Later("the API can't be reached: is the service running?") from error


def _verdicts(status: int, body: bytes, count: int) -> list[_Verdict]:
    """The status of each call in the API's answer to a list."""
    try:
        items = json.loads(body)["items"]
        found = [_Verdict(int(item["status"]), str(item.get("detail", ""))) for item in items]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if status in (200, 201):
            return [_Verdict(status)] * count
        raise _Later("the API's answer can't be read: are gateway and service of the same version?") from error
    if len(found) != count:
        raise _Later("the API answered for another number of calls: are gateway and service of the same version?")
    if any(verdict.status not in _FINAL | _REFUSED for verdict in found):
        raise _Later("the API could not take every call")
    return found


def _detail(body: bytes) -> str:
    try:
        detail = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    return detail if isinstance(detail, str) else json.dumps(detail)


def _seconds(text: str | None) -> float:
    try:
        return min(60.0, max(0.0, float(text or 0)))
    except ValueError:
        return 0.0
