"""Equipoise for the host: one file on httpx and the standard library (Python 3.11 to 3.13), to be taken alone.

    equipoise = Equipoise("http://127.0.0.1:17811", token, spool="equipoise-spool", key="…/key")
    arm = equipoise.assign(run_id, device_id, config, safety_level, language)
    equipoise.call(run_id, arm, device=device_id, input=text, context=context, output=answer, model=answered_by)
    equipoise.submitted(run_id)                              # the text goes to Stage 3
    equipoise.block(run_id, "stage3", "86a_filter", "86a")   # or: equipoise.not_blocked(run_id)

What the host can rely on
- No method raises. Bad arguments are counted (:meth:`Equipoise.health`) and nothing else happens.
- No method waits, but :meth:`Equipoise.assign`: at most its budget (50 ms), then the answer is the base arm.
- Events go to background threads, which write them to the spool folder and then send them. They leave the spool when
  the service has answered; after an outage or a kill the next process sends what is left. Every event has an id that
  never changes, so the service keeps it once however often it is sent.
- Device, run and prompt ids are pseudonymised (HMAC-SHA256 under the installation's key) before they touch the disk.
  Without a key raw ids go to a service on this machine only, wait in bounded memory only, and never in a file.
- Queue and spool are bounded. When they are full the oldest are kept, the new ones are counted and dropped.
- Texts of a blocked call do not stay in the spool.
- Threads and forks are safe: a forked child gets its own thread and its own spool file.
"""

import atexit
import hashlib
import hmac
import ipaddress
import json
import logging
import math
import os
import queue
import random
import re
import threading
import time
import unicodedata
import uuid
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Final, NamedTuple, ParamSpec, TypeVar
from urllib.parse import urlsplit

import httpx

try:
    import fcntl
except ImportError:  # not a POSIX system: a spool folder then serves one process only
    fcntl = None  # type: ignore[assignment]

_log = logging.getLogger("equipoise.host")
_jitter = random.Random()
"""Our own, so that the host's random numbers stay what its seed makes them."""

CALLS: Final = "/v1/calls"
OUTCOMES: Final = "/v1/outcomes"
STAGES: Final = ("stage1", "stage2", "stage3", "image")
MAX_TEXT: Final = 200_000
"""Characters of one text; the service takes no more. A longer one is left out of its event."""
_BATCH_EVENTS: Final = 200
_BATCH_BYTES: Final = 2_000_000
_DEAD_BYTES: Final = 1_000_000
_TEXTS: Final = ("input", "context", "output")
_REASONS: Final = frozenset({"split", "guard", "override", "condition", "default", "error", "fallback"})


class Assignment(NamedTuple):
    """Which arm answers a call, and why. Hand it to :meth:`Equipoise.call` as it is."""

    arm: str
    model: str
    """The arm's model; '' where none is known: use the model the host is configured with."""
    reason: str
    """split, guard, override, condition, default; error: no answer within the budget."""
    epoch: int = 0
    bucket: int = 0
    unit: str = ""
    eligible: tuple[str, ...] = ()
    """Adapters that chance could have given to this call; without them it is in no comparison of arms."""


class Health(NamedTuple):
    """How the client is doing; every number counts since this process began."""

    ok: bool
    message: str
    """What is wrong and what to do, one sentence per problem; 'all is well' otherwise."""
    service: str
    """idle (nothing sent yet), up, away, or refused (the token is not accepted)."""
    durable: bool
    """Events wait on disk. False: in memory only (no key, no folder, or the disk refuses)."""
    waiting: int
    """Events not yet answered by the service."""
    sent: int
    """Answered 201: new."""
    known: int
    """Answered 200: the service had them already."""
    conflicts: int
    """Answered 409: the service keeps an earlier event of that id."""
    dead: int
    """Not accepted (422): without their texts in ``dead.jsonl`` in the spool folder."""
    dropped: int
    """Given up because queue or spool was full."""
    invalid: int
    """Arguments that no event can be made of."""
    errors: int
    """Errors inside this client; the host never saw them."""
    assigned: int
    """Assignments answered in time."""
    fallbacks: int
    """Assignments that fell back to the base arm."""


# ── Pseudonyms: the same rule as experiment/pseudonym.py; tests/vectors/pseudonym.json holds both to it ──

_PSEUDONYM = re.compile(r"^[drpo]_[0-9a-f]{32}$")
_DATED = re.compile(r"^(?P<browser>.+)_[0-9]{4}-[0-9]{2}-[0-9]{2}$")
_UUID4 = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
_LAN = re.compile(r"^[a-z0-9]+$")
_KINDS: Final = (("dev_", "dev"), ("api_", "api"), ("canvas_", "canvas"), ("test-", "test"), ("legacy_", "legacy"))


def normalise_prompt(text: str) -> str:
    """NFKC, case-folded, runs of white space collapsed."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def device_kind(raw: str) -> str:
    """browser, dev, api, canvas, test, legacy or unknown: read before the id is pseudonymised."""
    for prefix, kind in _KINDS:
        if raw.startswith(prefix):
            return kind
    dated = _DATED.fullmatch(raw)
    if dated and (_UUID4.fullmatch(dated["browser"].lower()) or _LAN.fullmatch(dated["browser"])):
        return "browser"
    return "unknown"


def pseudonym(key: bytes, prefix: str, text: str) -> str:
    """``d_``, ``r_``, ``p_`` or ``o_`` and 32 hex digits; '' and what is such a pseudonym already stay as they are."""
    if prefix in ("p", "o") and not _PSEUDONYM.fullmatch(text):
        text = normalise_prompt(text)
    if not text or (_PSEUDONYM.fullmatch(text) and text[0] == prefix):
        return text
    digest = hmac.new(key, f"{prefix}:{text}".encode(errors="surrogatepass"), hashlib.sha256).hexdigest()
    return f"{prefix}_{digest[:32]}"


def _read_key(key: bytes | str | os.PathLike[str] | None) -> bytes | None:
    """The key from bytes, hex digits, or the path of a file with hex digits.

    Raises:
        ValueError: shorter than 32 bytes, or not hexadecimal.
        OSError: the file cannot be read.
    """
    if key is None or key == "":
        return None
    if not isinstance(key, bytes):
        if isinstance(key, str) and re.fullmatch(r"[0-9a-fA-F]{64,}", key.strip()):
            key = bytes.fromhex(key.strip())
        else:
            key = bytes.fromhex(Path(key).read_text(encoding="ascii").strip())
    if len(key) < 32:
        raise ValueError("the key is shorter than 32 bytes")
    return key


# ── Values: what the service would refuse is mended or left out here ──


def _clean(text: str) -> str:
    """Without NUL bytes and lone surrogates, which no JSON store keeps."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")


def _id(value: object) -> str:
    """The id if it can be one, else ''."""
    if not isinstance(value, str) or not 0 < len(value) <= 300 or not value.isprintable():
        return ""
    return value


def _label(value: object, default: str = "unknown") -> str:
    return (_clean(value[:400])[:200] if isinstance(value, str) else "") or default


def _seconds(value: float) -> float:
    seconds = float(value)
    if not 0 <= seconds < 3600:
        raise ValueError("seconds out of range")
    return seconds


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 2**53 else None


def _moment(value: object) -> str:
    """ISO 8601 with a zone. A naive time is taken as this machine's local time; anything else is now."""
    if isinstance(value, datetime) and 2000 < value.year < 2199:
        return value.astimezone(UTC).isoformat()
    return datetime.now(UTC).isoformat()


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _connect(timeout: float | httpx.Timeout, token: str, connections: int = 1) -> httpx.Client:
    return httpx.Client(
        timeout=timeout,
        headers={"Authorization": f"Bearer {token}"} if token else {},
        trust_env=False,  # a proxy from the environment would be asked for this machine's own address
        limits=httpx.Limits(max_connections=connections),
    )


# ── The spool: one append-only file per process, held by a lock; a dead process's file is taken over ──


class _Entry(NamedTuple):
    """One event, ready to be sent: its JSON, and what is needed to take its texts out again."""

    id: str
    path: str
    body: str
    run: str
    texts: bool

    @classmethod
    def of(cls, path: str, body: Mapping[str, Any]) -> "_Entry":
        texts = any(body.get(name) is not None for name in _TEXTS)
        return cls(str(body["id"]), path, json.dumps(body, ensure_ascii=False), str(body.get("run", "")), texts)

    def without_texts(self) -> "_Entry":
        return _Entry.of(self.path, {k: v for k, v in json.loads(self.body).items() if k not in _TEXTS})

    @property
    def line(self) -> bytes:
        return f'{{"path":"{self.path}","body":{self.body}}}\n'.encode()


class _Spool:
    """This process's spool file. One thread at a time.

    Args:
        folder: made if missing, 0700; files are 0600.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._handle = -1
        self._path = folder
        self.size = 0

    def _create(self, data: bytes) -> tuple[Path, int]:
        """A new file, written and on disk before it has its name."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"host-{uuid.uuid4().hex}.jsonl"
        handle = os.open(path.with_suffix(".new"), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            if not _lock(handle):
                raise OSError("another process took the new spool file")
            _write(handle, data)
            os.rename(path.with_suffix(".new"), path)
        except OSError:
            os.close(handle)
            path.with_suffix(".new").unlink(missing_ok=True)
            raise
        return path, handle

    def append(self, entries: Iterable[_Entry]) -> None:
        """Write and sync; on an error nothing counts as written.

        Raises:
            OSError: the disk refuses.
        """
        data = b"".join(entry.line for entry in entries)
        if self._handle < 0:
            self._path, self._handle = self._create(data)
        else:
            _write(self._handle, data)
        self.size += len(data)

    def replace(self, entries: Iterable[_Entry]) -> None:
        """Leave just these entries in the file: in place when there are none, else by a new file.

        Raises:
            OSError: the disk refuses; the old file stays.
        """
        data = b"".join(entry.line for entry in entries)
        if not data:
            if self._handle >= 0:
                os.ftruncate(self._handle, 0)
            self.size = 0
            return
        old_path, old_handle = self._path, self._handle
        self._path, self._handle = self._create(data)
        self.size = len(data)
        if old_handle >= 0:
            old_path.unlink(missing_ok=True)
            os.close(old_handle)

    def orphans(self) -> Iterator[tuple[Path, int]]:
        """Files whose process is gone, each with a handle that is locked until the next one is asked for."""
        for path in sorted(self._folder.glob("host-*")):
            if path == self._path:
                continue
            try:
                handle = os.open(path, os.O_RDWR | getattr(os, "O_NOFOLLOW", 0))
            except OSError:
                continue
            try:
                # The lock may come after another process has sent the file's events and removed it.
                if _lock(handle) and os.fstat(handle).st_nlink:
                    yield path, handle
            finally:
                os.close(handle)

    def dead_letter(self, entry: _Entry, status: int, detail: str) -> None:
        """Keep what the service would not take, without its texts, up to a limit.

        Raises:
            OSError: the disk refuses.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        note = {"status": status, "detail": detail[:300], "path": entry.path}
        line = json.dumps(note | {"body": json.loads(entry.without_texts().body)}, ensure_ascii=False) + "\n"
        handle = os.open(self._folder / "dead.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            if os.fstat(handle).st_size < _DEAD_BYTES:
                os.write(handle, line.encode())
        finally:
            os.close(handle)

    def leave(self) -> None:
        """Let go of the file; an empty one is removed, a full one is the next process's."""
        if self._handle >= 0:
            if not self.size:
                self._path.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = -1


def _lock(handle: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _write(handle: int, data: bytes) -> None:
    start = os.fstat(handle).st_size
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(handle, view) :]
        os.fsync(handle)
    except OSError:
        os.ftruncate(handle, start)
        raise


def _read_spool(handle: int, limit: int) -> Iterable[_Entry]:
    """The entries of a spool file; a line cut short by a kill is left out."""
    with os.fdopen(os.dup(handle), "rb") as file:
        file.seek(0)
        for line in file.read(limit).split(b"\n"):
            try:
                record = json.loads(line)
                if record["path"] in (CALLS, OUTCOMES) and _id(record["body"]["id"]):
                    yield _Entry.of(record["path"], record["body"])
            except (ValueError, KeyError, TypeError, RecursionError):
                continue


# ── What waits: in memory and, where there is a spool, on disk; used by both background threads ──


class _Waiting:
    """Events that the service has not answered yet, oldest first, mirrored on disk.

    Args:
        spool: where they are mirrored; None: in memory only.
        limit: bytes of all of them.
        tell: counts something.
    """

    def __init__(self, spool: _Spool | None, limit: int, tell: Callable[[str, int], None]) -> None:
        self._spool = spool
        self._limit = limit
        self._tell = tell
        self._lock = threading.Lock()
        self._entries: dict[str, dict[str, _Entry]] = {CALLS: {}, OUTCOMES: {}}
        self._bytes = 0
        self._blocked: OrderedDict[str, None] = OrderedDict()
        self.disk_error = ""

    def __len__(self) -> int:
        return sum(len(entries) for entries in self._entries.values())

    @property
    def durable(self) -> bool:
        """Whether they wait on disk."""
        return self._spool is not None and not self.disk_error

    def keep(self, entries: Iterable[tuple[_Entry, bool]]) -> None:
        """Take events in, each with whether it says that its run was blocked; what does not fit is dropped."""
        with self._lock:
            fresh: list[_Entry] = []
            for entry, is_block in entries:
                if self._bytes + len(entry.body) > self._limit:
                    self._tell("dropped", 1)
                    continue
                if is_block:
                    fresh = self._redact(entry.run, fresh)
                fresh.append(entry.without_texts() if entry.texts and entry.run in self._blocked else entry)
                self._add(fresh[-1])
            if fresh:
                self._on_disk(lambda spool: spool.append(fresh))

    def batch(self, path: str) -> list[_Entry]:
        """The oldest events for this path that fit into one request."""
        with self._lock:
            batch: list[_Entry] = []
            size = 0
            for entry in self._entries[path].values():
                size += len(entry.body)
                if batch and (len(batch) >= _BATCH_EVENTS or size > _BATCH_BYTES):
                    break
                batch.append(entry)
            return batch

    def answered(self, entries: Iterable[_Entry]) -> None:
        """Forget these: from memory now, from disk at once if nothing is left, else when it is worth a new file."""
        with self._lock:
            for entry in entries:
                self._remove(entry)
            if self._spool and (not len(self) or self._spool.size > 2 * self._bytes + 1_000_000):
                self._on_disk(lambda spool: spool.replace(self._all()))

    def bury(self, entry: _Entry, detail: str) -> None:
        """Note an event that the service would not take."""
        try:
            if self._spool:
                self._spool.dead_letter(entry, 422, detail)
        except OSError as error:
            self.disk_error = error.strerror or type(error).__name__

    def adopt(self) -> None:
        """Take over what processes that are gone left behind; what is known by id is not taken twice."""
        with self._lock:
            for path, handle in self._spool.orphans() if self._spool else ():
                if self._bytes and self._bytes + os.fstat(handle).st_size > self._limit:
                    continue
                for entry in _read_spool(handle, 2 * self._limit):
                    known = self._entries[entry.path].get(entry.id)
                    # A kill may leave a call twice, with its texts and, since its run was blocked, without.
                    if known is None or known.texts:
                        self._add(entry)
                self._on_disk(lambda spool: spool.replace(self._all()))
                if not self.disk_error:
                    path.unlink(missing_ok=True)

    def leave(self) -> None:
        """Let go of the spool file."""
        with self._lock:
            if self._spool:
                self._spool.leave()

    def _add(self, entry: _Entry) -> None:
        # A changed entry keeps its place: a dictionary does not move a key it has.
        before = self._entries[entry.path].get(entry.id)
        self._entries[entry.path][entry.id] = entry
        self._bytes += len(entry.body) - (len(before.body) if before else 0)

    def _remove(self, entry: _Entry) -> None:
        before = self._entries[entry.path].pop(entry.id, None)
        self._bytes -= len(before.body) if before else 0

    def _all(self) -> list[_Entry]:
        return [entry for entries in self._entries.values() for entry in entries.values()]

    def _redact(self, run: str, fresh: list[_Entry]) -> list[_Entry]:
        """A run is blocked: its calls' texts leave memory and disk, and a later call of it gets none.

        Args:
            run: the run's id as it is kept.
            fresh: entries that are waiting and not yet on disk.

        Returns:
            ``fresh``, without those texts.
        """
        self._blocked[run] = None
        while len(self._blocked) > 5_000:
            self._blocked.popitem(last=False)
        bare = {e.id: e.without_texts() for e in self._entries[CALLS].values() if e.run == run and e.texts}
        if not bare:
            return fresh
        for entry in bare.values():
            self._add(entry)
        fresh = [bare.get(entry.id, entry) for entry in fresh]
        unwritten = {entry.id for entry in fresh}
        self._on_disk(lambda spool: spool.replace([e for e in self._all() if e.id not in unwritten]))
        return fresh

    def _on_disk(self, work: Callable[[_Spool], object]) -> None:
        """Do it, or remember that the disk refused; after an error the whole file is written anew."""
        if self._spool is None:
            return
        try:
            if self.disk_error:
                self._spool.replace(self._all())
            else:
                work(self._spool)
            self.disk_error = ""
        except OSError as error:
            self.disk_error = error.strerror or type(error).__name__


# ── The outbox: one thread brings events to disk, another to the service, so that a hanging service delays no event ──


class _Away(Exception):
    """The service cannot be reached or will not talk now: keep everything, wait, try again."""

    def __init__(self, state: str, wait_s: float = 0.0) -> None:
        super().__init__(state)
        self.state = state
        self.wait_s = wait_s


class _Outbox:
    """Takes events without waiting, keeps them on disk, sends them, and keeps them until they are answered."""

    def __init__(
        self,
        wire: "_Wire",
        spool: Path | None,
        prepare: Callable[[str, dict[str, Any]], _Entry],
        tell: Callable[[str, int], None],
        *,
        queue_events: int,
        queue_bytes: int,
        spool_bytes: int,
    ) -> None:
        self._wire = wire
        self._prepare = prepare
        self._tell = tell
        self._queue_events, self._queue_bytes = queue_events, queue_bytes
        self._waiting = _Waiting(_Spool(spool) if spool else None, spool_bytes, tell)
        self._changed = threading.Condition()
        self._queue: deque[tuple[str, dict[str, Any], int]] = deque()
        self._queued_bytes = 0
        self._closing = False
        self._keeper: threading.Thread | None = None
        self._sender: threading.Thread | None = None
        self._all_kept = False
        self._poke = threading.Event()
        self._not_before = 0.0
        self._failures = 0
        self.state = "idle"

    # the host's threads: nothing here waits for the disk or the network, but flush and close, which say so

    def put(self, path: str, body: dict[str, Any]) -> bool:
        """Take an event; False if the queue is full."""
        cost = 500 + sum(len(value) for value in body.values() if isinstance(value, str))
        with self._changed:
            if self._closing or len(self._queue) >= self._queue_events or self._queued_bytes + cost > self._queue_bytes:
                return False
            self._queue.append((path, body, cost))
            self._queued_bytes += cost
            self._start()
            self._changed.notify_all()
        return True

    def wake(self) -> None:
        """Start the threads although there is nothing to send, to look for what a dead process left behind."""
        with self._changed:
            self._start()

    def _start(self) -> None:
        if self._keeper is None:
            self._keeper = _thread(self._run_keeper, "equipoise-spool")
        if self._sender is None:
            self._sender = _thread(self._run_sender, "equipoise-send")

    @property
    def waiting(self) -> int:
        """Events taken and not yet answered."""
        return len(self._queue) + len(self._waiting)

    @property
    def durable(self) -> bool:
        """Whether events wait on disk."""
        return self._waiting.durable

    @property
    def disk_error(self) -> str:
        """Why they do not, '' if they do."""
        return self._waiting.disk_error

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything is answered; False if that took too long."""
        deadline = time.monotonic() + timeout_s
        self._not_before = 0.0
        self._poke.set()
        with self._changed:
            while self.waiting:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                self._changed.wait(left)
        return True

    def close(self, timeout_s: float) -> None:
        """Take nothing more, send what can be sent within the limit; the rest stays in the spool."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            self._closing = True
            self._not_before = 0.0
            self._changed.notify_all()
            threads = [thread for thread in (self._keeper, self._sender) if thread is not None]
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    # the keeper's thread

    def _run_keeper(self) -> None:
        adopted_at = -math.inf
        while not (self._closing and not self._queue):
            try:
                if time.monotonic() - adopted_at > 60:
                    adopted_at = time.monotonic()
                    self._waiting.adopt()
                    self._poke.set()
                self._keep(self._take())
            except Exception:
                # The rim of the thread: whatever happens, the host's next event must find it alive.
                self._tell("errors", 1)
                time.sleep(0.2)
        self._all_kept = True
        self._poke.set()

    def _take(self) -> list[tuple[str, dict[str, Any], int]]:
        with self._changed:
            if not self._queue and not self._closing:
                self._changed.wait(60)
            return [self._queue[index] for index in range(min(len(self._queue), _BATCH_EVENTS))]

    def _keep(self, taken: list[tuple[str, dict[str, Any], int]]) -> None:
        """Prepare events and put them on disk; only then do they leave the queue, so none is ever in neither."""
        entries: list[tuple[_Entry, bool]] = []
        for path, body, _ in taken:
            try:
                entries.append((self._prepare(path, body), body.get("kind") == "block"))
            except Exception:
                # The rim towards the host's values, whatever they are: one bad event must not hold up the others.
                self._tell("invalid", 1)
        self._waiting.keep(entries)
        with self._changed:
            for _, _, cost in taken:
                self._queue.popleft()
                self._queued_bytes -= cost
            self._changed.notify_all()
        self._poke.set()

    # the sender's thread

    def _run_sender(self) -> None:
        last = False
        while not last:
            try:
                # Once more after the keeper's last word, so that a short-lived host sends what it reported.
                last = self._all_kept
                if time.monotonic() >= self._not_before:
                    self._deliver()
                if not last:
                    self._poke.wait(max(0.0, self._not_before - time.monotonic()) if len(self._waiting) else 60.0)
                    self._poke.clear()
            except Exception:
                # The rim of the thread, as above.
                self._tell("errors", 1)
                time.sleep(0.2)
        self._waiting.leave()

    def _deliver(self) -> None:
        for path in (CALLS, OUTCOMES):
            while batch := self._waiting.batch(path):
                try:
                    answers = self._wire.post(path, batch)
                except _Away as away:
                    self._later(away)
                    return
                self._failures = 0
                self._say("up")
                if not self._settle(batch, answers):
                    self._later(_Away("up", 1.0))
                    return

    def _settle(self, batch: list[_Entry], answers: Mapping[str, tuple[int, str]]) -> bool:
        """Forget what is answered for good; True if anything was."""
        done: list[_Entry] = []
        for entry in batch:
            status, detail = answers.get(entry.id, (0, ""))
            name = {201: "sent", 200: "known", 409: "conflicts", 422: "dead"}.get(status)
            if name is None:
                continue
            if status == 422:
                self._waiting.bury(entry, detail)
            self._tell(name, 1)
            done.append(entry)
        self._waiting.answered(done)
        with self._changed:
            self._changed.notify_all()
        return bool(done)

    def _later(self, away: _Away) -> None:
        self._failures += 1
        backoff = min(0.25 * 2 ** min(self._failures, 8), 30.0) * _jitter.uniform(0.7, 1.0)
        self._not_before = time.monotonic() + max(backoff if away.state != "up" else 0.0, away.wait_s)
        self._say(away.state)

    def _say(self, state: str) -> None:
        if state != self.state:
            level = logging.INFO if state == "up" else logging.WARNING
            _log.log(level, "Equipoise service %s: %s; %d events waiting", self._wire.url, state, self.waiting)
            self.state = state


def _thread(work: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=work, name=name, daemon=True)
    thread.start()
    return thread


class _Wire:
    """Requests to the service; used by the sender's thread only.

    Args:
        url: the service's base address.
        token: bearer token.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url = url
        self._token = token
        self._http: httpx.Client | None = None

    def post(self, path: str, batch: list[_Entry]) -> dict[str, tuple[int, str]]:
        """The service's (status, detail) by event id.

        Raises:
            _Away: nobody there, overloaded, or the token is refused.
        """
        body = "[" + ",".join(entry.body for entry in batch) + "]"
        try:
            if self._http is None:
                self._http = _connect(httpx.Timeout(5.0, connect=1.0), self._token)
            response = self._http.post(
                self.url + path, content=body.encode(), headers={"Content-Type": "application/json"}
            )
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise _Away("away") from error
        status = response.status_code
        if status in (401, 403):
            raise _Away("refused", 10.0)
        if status in (400, 413, 422):
            return self._halves(path, batch, status)
        if status not in (200, 201, 207):
            raise _Away("away", _retry_after(response))
        try:
            items = response.json()["items"]
            return {str(item["id"]): (int(item["status"]), str(item.get("detail") or "")) for item in items}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise _Away("away") from error

    def _halves(self, path: str, batch: list[_Entry], status: int) -> dict[str, tuple[int, str]]:
        """A whole request was refused: find the event to blame, so that it does not fail its neighbours."""
        if len(batch) == 1:
            return {batch[0].id: (422, f"the service answered {status} to this event alone")}
        middle = len(batch) // 2
        return self.post(path, batch[:middle]) | self.post(path, batch[middle:])


def _retry_after(response: httpx.Response) -> float:
    try:
        return min(max(float(response.headers.get("Retry-After", "0")), 0.0), 30.0)
    except ValueError:
        return 0.0


# ── Assignments: asked by a few threads of our own, so that the host's waits no longer than its budget ──


class _Question:
    """One assignment asked for; the host's thread waits for ``done``, never for the network."""

    def __init__(self, body: dict[str, str], deadline: float) -> None:
        self.body = body
        self.deadline = deadline
        self.done = threading.Event()
        self.answer: Any = None


class _Asker:
    """Asks the gateway; after some failures in a row it pauses, so that an outage costs the host next to nothing."""

    WORKERS: Final = 6
    FAILURES: Final = 5

    def __init__(self, url: str, token: str) -> None:
        self._url = url + "/v1/assignments"
        self._token = token
        self._questions: queue.Queue[_Question | None] = queue.Queue(maxsize=64)
        self._http: httpx.Client | None = None
        self._lock = threading.Lock()
        self._workers = 0
        self._failures = 0
        self._paused_until = 0.0

    def ask(self, body: dict[str, str], budget_s: float) -> Any:
        """The gateway's answer, or None when there is none within the budget."""
        deadline = time.monotonic() + budget_s
        if not self._may_ask():
            return None
        question = _Question(body, deadline)
        try:
            self._questions.put_nowait(question)
        except queue.Full:
            return None
        self.hire()
        question.done.wait(max(0.0, deadline - time.monotonic()))
        self._note(question.answer is not None)
        return question.answer

    def _may_ask(self) -> bool:
        with self._lock:
            now = time.monotonic()
            if now < self._paused_until:
                return False
            if self._failures >= self.FAILURES:
                # One question goes out as a probe; the others need not wait for it.
                self._paused_until = now + 0.5
            return True

    def _note(self, answered: bool) -> None:
        with self._lock:
            if answered:
                self._failures, self._paused_until = 0, 0.0
                return
            self._failures += 1
            if self._failures >= self.FAILURES:
                pause = min(0.25 * 2 ** min(self._failures - self.FAILURES, 6), 5.0)
                self._paused_until = time.monotonic() + pause

    def hire(self) -> None:
        """Start one more thread, up to the limit."""
        with self._lock:
            if self._workers >= self.WORKERS:
                return
            self._workers += 1
        threading.Thread(target=self._work, name="equipoise-assign", daemon=True).start()

    def close(self) -> None:
        """Let the threads go once they have answered what was asked."""
        with self._lock:
            workers, self._workers = self._workers, self.WORKERS
        for _ in range(workers):
            try:
                self._questions.put_nowait(None)
            except queue.Full:
                return

    def _connection(self) -> httpx.Client:
        with self._lock:
            if self._http is None:
                self._http = _connect(1.0, self._token, self.WORKERS)
            return self._http

    def _work(self) -> None:
        while True:
            try:
                http = self._connection()
            except Exception:
                # The rim of the thread: a token that fits no header, for one; every question then falls back.
                http = None
            question = self._questions.get()
            if question is None:
                return
            try:
                left = question.deadline - time.monotonic()
                if http is not None and left > 0:
                    response = http.post(self._url, json=question.body, timeout=max(left, 0.005))
                    if response.status_code == 200:
                        question.answer = response.json()
            except Exception:
                # The rim of the thread: no answer is an answer, and the next question must find it alive.
                question.answer = None
            finally:
                question.done.set()


# ── What the host sees ──

_P = ParamSpec("_P")
_R = TypeVar("_R")


def _never_raises(
    default: _R,
) -> Callable[[Callable[Concatenate["Equipoise", _P], _R]], Callable[Concatenate["Equipoise", _P], _R]]:
    """The rim towards the host: whatever goes wrong inside is counted, and the host gets ``default``."""

    def wrap(method: Callable[Concatenate["Equipoise", _P], _R]) -> Callable[Concatenate["Equipoise", _P], _R]:
        @wraps(method)
        def guarded(self: "Equipoise", /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
            try:
                return method(self, *args, **kwargs)
            except Exception:
                self._tell("errors", 1)
                return default

        return guarded

    return wrap


_instances: "weakref.WeakSet[Equipoise]" = weakref.WeakSet()


class Equipoise:
    """The host's connection to Equipoise. Make one per process; share it among all threads.

    Args:
        url: the owner service, ``http://127.0.0.1:17811``.
        token: a token of the role 'host'.
        spool: folder for events that wait, of this service only; several processes may share it. None: memory only.
        experiment: the experiment's name in equipoise.toml.
        key: the installation's pseudonymisation key: bytes, hex digits, or the path of the file ``key`` in the
            service's data folder. Without it raw ids go to a service on this machine only and never to disk.
        budget_s: seconds that :meth:`assign` may take at most.
        gateway_url: the gateway, which answers assignments.
        base_arm: arm named when no assignment could be had.
        base_model: model named with it; '' means the one the host is configured with.
        queue_events: events waiting for the background thread at most.
        queue_bytes: their size at most.
        spool_bytes: size of all that waits for the service at most; without a key an eighth of it.
        exit_s: seconds that sending may take when the process ends.
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:17811",
        token: str = "",
        spool: str | os.PathLike[str] | None = None,
        *,
        experiment: str = "stage2",
        key: bytes | str | os.PathLike[str] | None = None,
        budget_s: float = 0.05,
        gateway_url: str = "http://127.0.0.1:17812",
        base_arm: str = "base",
        base_model: str = "",
        queue_events: int = 10_000,
        queue_bytes: int = 16_000_000,
        spool_bytes: int = 64_000_000,
        exit_s: float = 2.0,
    ) -> None:
        self._problem = ""
        self._key: bytes | None = None
        self._spool: Path | None = None
        self._url = self._gateway_url = self._token = ""
        self._experiment, self._base = "stage2", Assignment("base", "", "error")
        self._may_send = self._may_ask = False
        self._budget_s, self._exit_s = 0.05, 2.0
        self._limits = {"queue_events": 10_000, "queue_bytes": 16_000_000, "spool_bytes": 64_000_000}
        try:
            self._key = _read_key(key)
        except Exception as error:
            # The rim towards the host, as below.
            self._problem = f"the key is not usable ({type(error).__name__}): give 64 hex digits or the key file's path"
        try:
            self._url, self._gateway_url, self._token = url.rstrip("/"), gateway_url.rstrip("/"), str(token)
            self._experiment, self._base = str(experiment), Assignment(str(base_arm), str(base_model), "error")
            self._spool = Path(spool) if spool and self._key else None
            self._budget_s, self._exit_s = _seconds(budget_s), _seconds(exit_s)
            self._limits = {
                "queue_events": int(queue_events),
                "queue_bytes": int(queue_bytes),
                "spool_bytes": int(spool_bytes) if self._key else int(spool_bytes) // 8,
            }
            self._may_send = bool(self._key) or _is_loopback(self._url)
            self._may_ask = bool(self._key) or _is_loopback(self._gateway_url)
        except Exception as error:
            # The rim towards the host: a wrong setting is said by health(), it does not stop the host.
            self._problem = f"a setting is not usable ({type(error).__name__}): nothing is sent"
        self._begin()
        self._asker.hire()
        _instances.add(self)

    def _begin(self) -> None:
        """Fresh locks, queues and threads: at the start, and in a forked child, where the parent's threads are gone."""
        self._counting = threading.Lock()
        self._counts: dict[str, int] = {}
        self._asker = _Asker(self._gateway_url, self._token)
        wire = _Wire(self._url, self._token)
        self._outbox = _Outbox(wire, self._spool, self._prepare, self._tell, **self._limits)
        try:
            if self._spool and any(self._spool.glob("host-*")):
                self._outbox.wake()
        except (OSError, ValueError):
            self._tell("errors", 1)

    def __enter__(self) -> "Equipoise":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    # Assignment

    def assign(
        self,
        run: str,
        device: str = "",
        config: str = "",
        safety_level: str = "",
        language: str = "",
        parent_run: str = "",
    ) -> Assignment:
        """Which arm answers this run's Stage 2 call. Within the budget, or the base arm with reason 'error'.

        Args:
            run: the run's id.
            device: the host's full device id.
            config: interception config.
            safety_level: kids, youth, adult or research.
            language: language of the input.
            parent_run: the run that this one repeats: it inherits that run's arm.
        """
        try:
            answer = self._ask(run, device, config, safety_level, language, parent_run)
            self._tell("fallbacks" if answer is None else "assigned", 1)
            return answer or self._base
        except Exception:
            # The rim towards the host: no assignment is worth a failed workshop.
            self._tell("errors", 1)
            self._tell("fallbacks", 1)
            return self._base

    def _ask(
        self, run: object, device: object, config: object, safety_level: object, language: object, parent_run: object
    ) -> Assignment | None:
        started = time.monotonic()
        if not self._may_ask:
            return None
        body = self._about(run, device, config, safety_level, language, parent_run)
        answer = self._asker.ask(body, self._budget_s - (time.monotonic() - started))
        if not isinstance(answer, dict) or not isinstance(answer.get("arm"), str) or not answer["arm"]:
            return None
        eligible = answer.get("eligible")
        return Assignment(
            arm=answer["arm"],
            model=_label(answer.get("model"), ""),
            reason=_label(answer.get("reason"), "default"),
            epoch=_count(answer.get("epoch")) or 0,
            bucket=_count(answer.get("bucket")) or 0,
            unit=_id(answer.get("unit")),
            eligible=tuple(name for name in eligible if _id(name)) if isinstance(eligible, list) else (),
        )

    def _about(
        self, run: object, device: object, config: object, safety_level: object, language: object, parent_run: object
    ) -> dict[str, str]:
        values = {
            "experiment": self._experiment,
            "run": self._pseudonym("r", _id(run)),
            "device": self._pseudonym("d", _id(device)),
            "parent_run": self._pseudonym("r", _id(parent_run)),
            "config": _label(config, ""),
            "safety_level": _label(safety_level, ""),
            "language": _label(language, ""),
        }
        return {name: value for name, value in values.items() if value}

    def headers(
        self,
        run: str = "",
        device: str = "",
        config: str = "",
        safety_level: str = "",
        language: str = "",
        parent_run: str = "",
        translated: bool | None = None,
        template_version: str = "",
    ) -> dict[str, str]:
        """The headers for a Stage 2 call that goes through the gateway; {} when nothing can be said.

        A gateway on this machine gets the device id as it is: only from that it sees whether this is workshop traffic
        (``device_kind``), and it makes the pseudonym before anything else. Any other gateway gets the pseudonym.
        """
        try:
            if not self._may_ask:
                return {}
            about = self._about(run, device, config, safety_level, language, parent_run)
            if _is_loopback(self._gateway_url):
                about["device"] = _id(device)
            named = {
                "X-Equipoise-Run": about.get("run", ""),
                "X-Equipoise-Unit": about.get("device", ""),
                "X-Equipoise-Parent-Run": about.get("parent_run", ""),
                "X-Equipoise-Config": about.get("config", ""),
                "X-Equipoise-Safety-Level": about.get("safety_level", ""),
                "X-Equipoise-Language": about.get("language", ""),
                "X-Equipoise-Template": _label(template_version, ""),
                "X-Equipoise-Translated": {True: "yes", False: "no"}[translated] if translated in (True, False) else "",
            }
            # Only printable ASCII: anything else would break the host's own request.
            said = {name: value.strip() for name, value in named.items()}
            return {name: value for name, value in said.items() if value and value.isascii() and value.isprintable()}
        except Exception:
            # The rim towards the host: a call without headers is still answered.
            self._tell("errors", 1)
            return {}

    # Events

    @_never_raises("")
    def call(
        self,
        run: str,
        assignment: Assignment | None = None,
        *,
        device: str = "",
        parent_run: str = "",
        model: str = "",
        input: str | None = None,
        context: str | None = None,
        output: str | None = None,
        config: str = "",
        language: str = "",
        safety_level: str = "",
        template_version: str = "",
        translated: bool | None = None,
        parameters: Mapping[str, Any] | None = None,
        refused: bool = False,
        latency_ms: float | None = None,
        tokens_in: int | None = None,
        tokens_out: int | None = None,
        error: str | None = None,
        ts: datetime | None = None,
    ) -> str:
        """Report a Stage 2 call that did not go through the gateway.

        Args:
            run: the run's id.
            assignment: what :meth:`assign` answered.
            device: the host's full device id.
            parent_run: the run that this one repeats.
            model: the model that *answered*, which is not always the one asked for.
            input: the user's text.
            context: the rules the text was transformed by.
            output: the model's own answer.
            config: interception config.
            language: language of the input.
            safety_level: kids, youth, adult or research.
            template_version: name of the prompt template.
            translated: whether the English channel was on.
            parameters: what the model was called with.
            refused: the answer is a refusal, not a transformation.
            latency_ms: how long the model took.
            tokens_in: tokens of the prompt.
            tokens_out: tokens of the answer.
            error: what went wrong, without anybody's text in it.
            ts: when; a time without a zone is this machine's local time. Left out: now.

        Returns:
            The call's id for outcomes, '' if the event could not be taken.
        """
        given = assignment if isinstance(assignment, Assignment) else self._base
        call_id = f"host-{uuid.uuid4().hex}"
        latency = latency_ms if isinstance(latency_ms, int | float) and 0 <= latency_ms <= 86_400_000 else None
        body: dict[str, Any] = {
            "id": call_id,
            "ts": _moment(ts),
            "experiment": self._experiment,
            "epoch": given.epoch,
            "arm": given.arm,
            "model": _label(model, given.model),
            "reason": given.reason if given.reason in _REASONS else "error",
            "bucket": given.bucket,
            "unit": given.unit,
            "eligible": list(given.eligible),
            "run": run,
            "device": device,
            "parent_run": parent_run,
            "input": self._text(input),
            "context": self._text(context),
            "output": self._text(output),
            "config": _label(config),
            "language": _label(language),
            "safety_level": _label(safety_level),
            "template_version": _label(template_version),
            "translated": translated if isinstance(translated, bool) else None,
            "parameters": self._json(parameters),
            "refused": refused is True,
            "latency_ms": latency,
            "tokens_in": _count(tokens_in),
            "tokens_out": _count(tokens_out),
            "error": error[:2000] if isinstance(error, str) else None,
        }
        return call_id if self._put(CALLS, body, run) else ""

    def _text(self, text: object) -> str | None:
        if not isinstance(text, str) or len(text) > MAX_TEXT:
            if text is not None:
                self._tell("invalid", 1)
            return None
        return text

    def _json(self, parameters: object) -> str:
        """As text, so that the host may change its own dictionary meanwhile; '{}' if it cannot be written."""
        try:
            given = dict(parameters) if isinstance(parameters, Mapping) else {}
            text = json.dumps(given, allow_nan=False, ensure_ascii=False)
            text.encode()
        except (ValueError, TypeError, RecursionError):
            text = ""
        too_much = len(text) > 20_000 or text.count("{") + text.count("[") > 60
        if not text or too_much or "\\u0000" in text:
            self._tell("invalid", 1)
            return "{}"
        return text

    @_never_raises(False)
    def favourite(self, run: str, *, ts: datetime | None = None) -> bool:
        """Somebody kept this run's result. Returns whether the event was taken, as all of these do."""
        return self._outcome("favourite", run, ts=ts)

    @_never_raises(False)
    def unfavourite(self, run: str, *, ts: datetime | None = None) -> bool:
        """The favourite was taken back."""
        return self._outcome("unfavourite", run, ts=ts)

    @_never_raises(False)
    def regeneration(self, run: str, repeats: str, *, ts: datetime | None = None) -> bool:
        """``run`` repeats ``repeats``: the same generation prompt with a new seed, no new interception."""
        return self._outcome("regeneration", repeats, child_run=run, ts=ts)

    @_never_raises(False)
    def submitted(self, run: str, *, ts: datetime | None = None) -> bool:
        """The text goes to Stage 3: exactly one :meth:`block` or :meth:`not_blocked` will follow."""
        return self._outcome("submitted", run, ts=ts)

    @_never_raises(False)
    def block(self, run: str, stage: str, method: str = "", code: str = "", *, ts: datetime | None = None) -> bool:
        """A safety check stopped the run. Never for an outage, nor for a check that is switched off.

        Args:
            run: the run's id.
            stage: stage1, stage2, stage3 or image (a number 1 to 3 will do).
            method: the check's method as the host names it, such as ``86a_filter``.
            code: which rule it was: ``86a``, ``dsgvo``, ``llamaguard``, ``vlm``, …
            ts: when; left out: now.
        """
        named = f"stage{stage}" if isinstance(stage, int) else stage
        if named not in STAGES:
            self._tell("invalid", 1)
            return False
        return self._outcome("block", run, stage=named, method=_label(method, ""), code=_label(code, ""), ts=ts)

    @_never_raises(False)
    def not_blocked(self, run: str, method: str = "", *, ts: datetime | None = None) -> bool:
        """The pipeline is through, image checks too, and nothing was blocked."""
        return self._outcome("not_blocked", run, method=_label(method, ""), ts=ts)

    @_never_raises(False)
    def edit(self, run: str, *, ts: datetime | None = None) -> bool:
        """Somebody changed the model's text before it was used."""
        return self._outcome("edit", run, ts=ts)

    def _outcome(self, kind: str, run: str, *, ts: datetime | None, **more: str) -> bool:
        body = {
            "id": f"host-{uuid.uuid4().hex}",
            "ts": _moment(ts),
            "experiment": self._experiment,
            "kind": kind,
            "run": run,
            **more,
        }
        return self._put(OUTCOMES, body, run)

    def _put(self, path: str, body: dict[str, Any], run: object) -> bool:
        if not _id(run) or ("child_run" in body and not _id(body["child_run"])):
            self._tell("invalid", 1)
            return False
        if not self._may_send or not self._outbox.put(path, body):
            self._tell("dropped", 1)
            return False
        return True

    def _pseudonym(self, prefix: str, text: str) -> str:
        return pseudonym(self._key, prefix, text) if self._key else text

    def _prepare(self, path: str, body: dict[str, Any]) -> _Entry:
        """In the background: pseudonyms for ids, keys for texts, clean values; raises if it cannot be an event."""
        event = {name: _clean(value) if isinstance(value, str) else value for name, value in body.items()}
        if path == CALLS:
            event["parameters"] = json.loads(event["parameters"])
            event["device_kind"] = device_kind(_id(event["device"]))
            event["device"] = self._pseudonym("d", _id(event["device"]))
            event["parent_run"] = self._pseudonym("r", _id(event["parent_run"]))
            if self._key:
                event["prompt"] = pseudonym(self._key, "p", event["input"] or "")
                event["output_key"] = pseudonym(self._key, "o", event["output"] or "")
        if "child_run" in event:
            event["child_run"] = self._pseudonym("r", event["child_run"])
        event["run"] = self._pseudonym("r", event["run"])
        return _Entry.of(path, event)

    # Health and end

    def _tell(self, name: str, by: int) -> None:
        with self._counting:
            self._counts[name] = self._counts.get(name, 0) + by

    def health(self) -> Health:
        """How the client is doing. Cheap: it looks at counters only."""
        with self._counting:
            counts = dict(self._counts)
        outbox = self._outbox
        numbers = {name: counts.get(name, 0) for name in Health._fields[5:]}
        message = self._complaints(numbers, outbox)
        return Health(
            ok=not message,
            message=message or "all is well",
            service=outbox.state,
            durable=outbox.durable,
            waiting=outbox.waiting,
            **numbers,
        )

    def _complaints(self, numbers: Mapping[str, int], outbox: _Outbox) -> str:
        memory = "waiting events are in memory only, and lost when the host stops"
        said = [
            (bool(self._problem), self._problem),
            (not self._may_send, "no key, and the service is not on this machine: nothing is sent; give the key"),
            (not self._may_ask, "no key, and the gateway is not on this machine: always the base arm; give the key"),
            (self._may_send and not self._key, f"no key: {memory}"),
            (bool(self._key) and not self._spool, f"no spool folder: {memory}"),
            (bool(outbox.disk_error), f"the spool cannot be written ({outbox.disk_error}): {memory}; check the disk"),
            (outbox.state == "away", "the service cannot be reached: events wait for it"),
            (outbox.state == "refused", "the service does not accept the token: events wait for a right one"),
            (numbers["dropped"] > 0, f"{numbers['dropped']} events dropped: queue or spool full, or client closed"),
            (numbers["dead"] > 0, f"{numbers['dead']} events not accepted: see dead.jsonl in the spool folder"),
        ]
        return "; ".join(text for holds, text in said if holds)

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Wait until the service has answered everything; False if it has not in that time. For tests and scripts."""
        try:
            return self._outbox.flush(timeout_s)
        except Exception:
            self._tell("errors", 1)
            return False

    def close(self, timeout_s: float | None = None) -> None:
        """Send what can be sent within the limit (``exit_s``); the rest waits in the spool for the next start."""
        try:
            self._asker.close()
            self._outbox.close(self._exit_s if timeout_s is None else timeout_s)
        except Exception:
            self._tell("errors", 1)


def _close_all() -> None:
    for instance in list(_instances):
        instance.close()


def _after_fork() -> None:
    for instance in list(_instances):
        instance._begin()


atexit.register(_close_all)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
