"""The owner service's API as typed, synchronous Python.

Posting is idempotent (the service knows an event by its id), so a busy service (503 with Retry-After) is simply
asked again for a while. Nothing else is retried here: :mod:`client.host` and the gateway's outbox keep what could not
be sent.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple, Self
from urllib.parse import quote, urlsplit

import httpx

from client.errors import Refused, ServiceDown, Unauthorised
from experiment.events import Call, Outcome

MAX_ITEMS: Final = 500
"""Events in one request; the service takes 1,000."""
MAX_BYTES: Final = 4_000_000
"""Bytes in one request; the service takes 8 MB."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class Posted(NamedTuple):
    """The service's answer to one event."""

    id: str
    status: int
    """201 new · 200 known · 409 same id with another content (the first is kept) · 422 not accepted."""
    detail: str = ""
    pending: bool = False
    """An outcome whose call has not arrived yet; it is kept and joined when the call comes."""


class Readiness(NamedTuple):
    """Whether the service can take events and answer, and what it says about it."""

    ready: bool
    detail: Mapping[str, Any]


class Client:
    """A connection pool to one owner service. Use it as a context manager, or call :meth:`close`. Thread-safe.

    Args:
        url: base address, such as ``http://127.0.0.1:17811``.
        token: bearer token; '' for a service in development mode.
        timeout: seconds for connecting and for each read or write.
        patience: seconds to keep asking a busy service (503) before giving up with :class:`ServiceDown`.
        transport: another httpx transport, for tests.
        sleep: waits so many seconds; for tests.

    Raises:
        ValueError: the address is not one of http or https, or the token cannot be one.
    """

    def __init__(
        self,
        url: str,
        token: str = "",
        timeout: float = 10.0,
        *,
        patience: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is no address of a service: write it like http://127.0.0.1:17811")
        if not token.isascii() or not token.isprintable():
            raise ValueError("the token holds characters that no token of the service has; copy it again")
        self.url = url.rstrip("/")
        self._patience = patience
        self._sleep = sleep
        self._http = httpx.Client(
            base_url=self.url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout,
            transport=transport,
            # A proxy from the environment would be asked for the machine's own loopback address.
            trust_env=parts.hostname not in _LOOPBACK,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections; the client cannot be used afterwards."""
        self._http.close()

    # Events

    def post_calls(self, calls: Sequence[Call]) -> list[Posted]:
        """Hand in calls, in batches; the answers are in the same order.

        Raises:
            ServiceDown: no usable answer; batches before it are in, and sending all again doubles nothing.
            Unauthorised: the token may not hand in events.
            Refused: the service refused a whole request.
        """
        return self._post_events("/v1/calls", calls)

    def post_outcomes(self, outcomes: Sequence[Outcome]) -> list[Posted]:
        """Hand in outcomes, in batches; like :meth:`post_calls`."""
        return self._post_events("/v1/outcomes", outcomes)

    def _post_events(self, path: str, events: Sequence[Call] | Sequence[Outcome]) -> list[Posted]:
        answers: list[Posted] = []
        for batch in _batches([event.model_dump_json(exclude_defaults=True) for event in events]):
            answer = self._ask("POST", path, content="[" + ",".join(batch) + "]")
            answers.extend(_posted(item) for item in _items(answer, path))
        if len(answers) != len(events):
            raise ServiceDown(
                f"POST {path}: {len(events)} events sent, {len(answers)} answered; is {self.url} the owner service?"
            )
        return answers

    # Experiments, results, guard

    def experiments(self) -> list[dict[str, Any]]:
        """Every experiment of the configuration, each as :meth:`experiment` has it."""
        answer = self._ask("GET", "/v1/experiments")
        return list(answer["items"]) if isinstance(answer, dict) and "items" in answer else list(answer)

    def experiment(self, name: str) -> dict[str, Any]:
        """Name, alias, unit, base arm, arms with weights, epoch, proposal, and whether its traffic is synthetic."""
        return _object(self._ask("GET", f"/v1/experiments/{_part(name)}"))

    def results(self, name: str, **filters: str) -> dict[str, Any]:
        """What each arm did: calls, prompt-runs, favourites, regenerations, blocks.

        Args:
            name: the experiment.
            filters: query parameters that the service knows.
        """
        return _object(self._ask("GET", f"/v1/experiments/{_part(name)}/results", params=filters))

    def quality(self, name: str) -> dict[str, Any]:
        """Whether the data can be trusted, for every adapter: checks, mode collapse, exclusions."""
        return _object(self._ask("GET", f"/v1/experiments/{_part(name)}/quality"))

    def conclude(self, name: str, *, reason: str, actor: str, arm: str = "") -> dict[str, Any]:
        """Close an experiment: its adapters are paused and what it says by its plan is kept.

        Args:
            name: the experiment.
            reason: why; kept with the conclusion.
            actor: who; kept beside the token's id.
            arm: the adapter whose comparison is concluded; may be left out where there is one only.

        Raises:
            Refused: nothing was ever armed, or it is concluded already.
        """
        body = {"arm": arm, "reason": reason, "actor": actor}
        return _object(self._ask("POST", f"/v1/experiments/{_part(name)}/conclude", json=body))

    def snapshot(self, name: str) -> dict[str, Any]:
        """What a snapshot of an experiment rests on: time, last commit, tables, configuration, version."""
        return _object(self._ask("GET", "/v1/snapshot", params={"experiment": name}))

    def snapshot_table(self, name: str, table: str, *, texts: bool = False, after: int = 0, until: int = 0) -> bytes:
        """A page of one table as an Arrow stream.

        Args:
            name: the experiment.
            table: one of :meth:`snapshot`'s tables.
            texts: with what children and models wrote.
            after: rows committed after this number.
            until: rows committed up to this number.
        """
        params = {"experiment": name, "texts": str(texts).lower(), "after": str(after), "until": str(until)}
        return self._request("GET", f"/v1/snapshot/{_part(table)}", params=params).content

    def guard(self, name: str, history: int = 50) -> dict[str, Any]:
        """The guard's state for each adapter, and its history.

        Args:
            name: the experiment.
            history: entries of the log at most, newest first.
        """
        return _object(self._ask("GET", f"/v1/experiments/{_part(name)}/guard", params={"history": str(history)}))

    def guard_events(self, name: str, epoch: int = 0) -> str:
        """Counted prompt-runs of an epoch (0: the current one) as CSV in commit order: what ``guard replay`` reads."""
        path = f"/v1/experiments/{_part(name)}/guard/events"
        return self._request("GET", path, params={"epoch": str(epoch)}).text

    def act_on_guard(
        self,
        name: str,
        *,
        action: str,
        reason: str,
        actor: str,
        arm: str = "",
        adapter: str = "",
        override: bool = False,
        device: str = "",
    ) -> dict[str, Any]:
        """Arm, pause, resume or roll back an arm, or put a class or a device on the base arm.

        Args:
            name: the experiment.
            action: arm, pause, resume, rollback, base_only_today, opt_out or opt_in.
            reason: why; kept in the log.
            actor: who; kept in the log beside the token's id.
            arm: the adapter's arm; may be left out where there is one only.
            adapter: the adapter version that is armed.
            override: insist on arming a version whose rollback was confirmed.
            device: which device opts out or in.

        Raises:
            Refused: the guard does not allow it now; the message says why and what to do.
        """
        body: dict[str, Any] = {"action": action, "reason": reason, "actor": actor}
        body |= {key: value for key, value in (("arm", arm), ("adapter", adapter), ("device", device)) if value}
        body |= {"override": True} if override else {}
        return _object(self._ask("POST", f"/v1/experiments/{_part(name)}/guard", json=body))

    # Calls, erasure

    def calls(
        self,
        *,
        experiment: str = "",
        run: str = "",
        prompt: str = "",
        output_key: str = "",
        since: datetime | None = None,
        until: datetime | None = None,
        origin: str = "",
        arm: str = "",
        device: str = "",
        page: int = 500,
    ) -> Iterator[dict[str, Any]]:
        """Every call that fits all filters given, fetched page by page while one iterates.

        Args:
            experiment: its name.
            run: raw run id or pseudonym.
            prompt: prompt key.
            output_key: output key.
            since: earliest time, aware.
            until: calls before this time, aware.
            origin: live, import or replay.
            arm: arm assigned.
            device: raw device id or pseudonym.
            page: calls fetched at a time.
        """
        wanted = {
            "experiment": experiment,
            "run": run,
            "prompt": prompt,
            "output_key": output_key,
            "since": since.isoformat() if since else "",
            "until": until.isoformat() if until else "",
            "origin": origin,
            "arm": arm,
            "device": device,
        }
        params = {key: value for key, value in wanted.items() if value} | {"limit": str(page)}
        while True:
            answer = _object(self._ask("GET", "/v1/calls", params=params))
            yield from answer["items"]
            if not answer.get("next"):
                return
            params["cursor"] = str(answer["next"])

    def erase_unit(self, unit: str) -> dict[str, Any]:
        """Erase all that is kept of a browser id (every day of it) or of one device id."""
        return _object(self._ask("DELETE", f"/v1/units/{_part(unit)}"))

    def erase_run(self, run: str) -> dict[str, Any]:
        """Erase all that is kept of one run."""
        return _object(self._ask("DELETE", f"/v1/runs/{_part(run)}"))

    # Health

    def health(self) -> dict[str, Any]:
        """What ``/healthz`` says: the process is alive."""
        return _object(self._ask("GET", "/healthz"))

    def ready(self) -> Readiness:
        """Whether the service can take events now; a service that says no is an answer, not an error.

        Raises:
            ServiceDown: nobody answers.
        """
        response = self._send("GET", "/readyz")
        body = _json(response)
        return Readiness(response.status_code == 200, body if isinstance(body, dict) else {})

    # The wire

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:
        if "content" in request:
            request["headers"] = {"Content-Type": "application/json"}
        try:
            return self._http.request(method, path, **request)
        except httpx.TimeoutException as error:
            raise ServiceDown(
                f"{method} {path}: {self.url} did not answer in time; is the service overloaded?"
            ) from error
        except httpx.TransportError as error:
            raise ServiceDown(
                f"{method} {path}: nobody answers at {self.url} ({error}); "
                "start the service with 'equipoise serve' or 'equipoise up'"
            ) from error

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        response = self._request(method, path, **request)
        body = _json(response)
        if body is None and response.content:
            raise ServiceDown(f"{method} {path}: {self.url} did not answer with JSON; is it the owner service?")
        return {} if body is None else body

    def _request(self, method: str, path: str, **request: Any) -> httpx.Response:
        doing = f"{method} {path}"
        deadline = time.monotonic() + self._patience
        while True:
            response = self._send(method, path, **request)
            if response.status_code != 503:
                break
            wait = _retry_after(response)
            if time.monotonic() + wait > deadline:
                raise ServiceDown(f"{doing}: the service is busy or not ready: {_detail(response)}; try again later")
            self._sleep(wait)
        if response.is_success:
            return response
        if response.status_code in (401, 403):
            raise Unauthorised(response.status_code, _detail(response), doing)
        if 400 <= response.status_code < 500:
            raise Refused(response.status_code, _detail(response), doing)
        raise ServiceDown(f"{doing}: the service failed ({response.status_code}): {_detail(response)}")


def _part(name: str) -> str:
    if not name:
        raise ValueError("the name or id is empty")
    return quote(name, safe="")


def _batches(bodies: Sequence[str]) -> Iterator[Sequence[str]]:
    start = size = 0
    for index, body in enumerate(bodies):
        bytes_here = len(body.encode())
        if index > start and (index - start >= MAX_ITEMS or size + bytes_here > MAX_BYTES):
            yield bodies[start:index]
            start, size = index, 0
        size += bytes_here
    if start < len(bodies):
        yield bodies[start:]


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _object(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise ServiceDown("the service answered with something else than a JSON object; is it the owner service?")
    return answer


def _items(answer: Any, path: str) -> list[Any]:
    items = answer.get("items") if isinstance(answer, dict) else None
    if not isinstance(items, list):
        raise ServiceDown(f"POST {path}: the answer has no list 'items'; is it the owner service?")
    return items


def _posted(item: Any) -> Posted:
    status = item.get("status") if isinstance(item, dict) else None
    if not isinstance(status, int):
        raise ServiceDown("an answer to an event has no status; is it the owner service?")
    return Posted(str(item.get("id", "")), status, str(item.get("detail") or ""), bool(item.get("pending", False)))


def _detail(response: httpx.Response) -> str:
    body = _json(response)
    if isinstance(body, dict):
        return str(body.get("detail") or body.get("title") or response.reason_phrase)
    return response.reason_phrase or "no explanation"


def _retry_after(response: httpx.Response) -> float:
    """Seconds, 0.05 … 10; the header may also hold a date, which no service of ours sends."""
    try:
        return min(max(float(response.headers.get("Retry-After", "1")), 0.05), 10.0)
    except ValueError:
        return 1.0
