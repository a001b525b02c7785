"""Events as rows: pseudonymised at the edge, keys computed, times without zone (UTC)."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa

from experiment.events import Call, Outcome
from experiment.pseudonym import Pseudonymiser, device_kind, is_pseudonym

_TS: Final = pa.timestamp("us")

CALL_SCHEMA: Final = pa.schema(
    [
        ("seq", pa.int64()), ("id", pa.string()), ("digest", pa.string()), ("ts", _TS),
        ("experiment", pa.string()), ("epoch", pa.int64()), ("arm", pa.string()), ("arm_treated", pa.string()),
        ("model", pa.string()), ("reason", pa.string()), ("bucket", pa.int64()), ("eligible", pa.string()),
        ("unit", pa.string()), ("device", pa.string()), ("device_kind", pa.string()), ("run", pa.string()),
        ("parent_run", pa.string()), ("prompt", pa.string()), ("output_key", pa.string()),
        ("config", pa.string()), ("language", pa.string()), ("translated", pa.bool_()),
        ("safety_level", pa.string()), ("template_version", pa.string()), ("parameters", pa.string()),
        ("input", pa.string()), ("context", pa.string()), ("output", pa.string()), ("refused", pa.bool_()),
        ("latency_ms", pa.float64()), ("tokens_in", pa.int64()), ("tokens_out", pa.int64()),
        ("error", pa.string()), ("origin", pa.string()), ("synthetic", pa.bool_()), ("received", _TS),
    ]
)  # fmt: skip
OUTCOME_SCHEMA: Final = pa.schema(
    [
        ("seq", pa.int64()), ("id", pa.string()), ("digest", pa.string()), ("ts", _TS), ("experiment", pa.string()),
        ("kind", pa.string()), ("call", pa.string()), ("run", pa.string()), ("child_run", pa.string()),
        ("call_id", pa.string()), ("call_seq", pa.int64()), ("stage", pa.string()),
        ("method", pa.string()), ("code", pa.string()),
        ("origin", pa.string()), ("synthetic", pa.bool_()), ("received", _TS),
    ]
)  # fmt: skip
PROMPT_RUN_SCHEMA: Final = pa.schema(
    [
        ("key", pa.string()), ("seq", pa.int64()), ("ts", _TS), ("experiment", pa.string()), ("epoch", pa.int64()),
        ("arm", pa.string()), ("device", pa.string()), ("prompt", pa.string()), ("blocked", pa.bool_()),
        ("event_id", pa.string()),
    ]
)  # fmt: skip


def naive(moment: datetime) -> datetime:
    """An aware time as the warehouse keeps it: UTC without a zone."""
    return moment.astimezone(UTC).replace(tzinfo=None)


def aware(moment: datetime) -> datetime:
    """A stored time with its zone again."""
    return moment.replace(tzinfo=UTC)


def pseudonymise_call(call: Call, names: Pseudonymiser) -> Call:
    """The call with raw ids replaced and missing keys computed; what was a pseudonym stays as it is."""
    kind = call.device_kind
    if kind == "unknown" and call.device and not is_pseudonym(call.device):
        kind = device_kind(call.device)
    return call.model_copy(
        update={
            "device": names.device(call.device),
            "device_kind": kind,
            "run": names.run(call.run),
            "parent_run": names.run(call.parent_run),
            # A call without a unit is its own: never one of many under the empty key.
            "unit": call.unit if is_pseudonym(call.unit) else names.run(call.unit or call.run or call.id),
            "prompt": names.prompt(call.prompt or call.input or ""),
            "output_key": names.output(call.output_key or call.output or ""),
        }
    )


def pseudonymise_outcome(outcome: Outcome, names: Pseudonymiser) -> Outcome:
    """The outcome with raw run ids replaced."""
    return outcome.model_copy(update={"run": names.run(outcome.run), "child_run": names.run(outcome.child_run)})


def call_row(call: Call, digest: str, seq: int, arm_treated: str, received: datetime) -> dict[str, Any]:
    """One row of ``calls``."""
    row = call.model_dump()
    row.update(
        seq=seq,
        digest=digest,
        ts=naive(call.ts),
        arm_treated=arm_treated,
        received=naive(received),
        eligible=",".join(call.eligible),
        parameters=json.dumps(call.parameters, sort_keys=True, ensure_ascii=False),
    )
    return row


def outcome_row(outcome: Outcome, digest: str, seq: int, received: datetime) -> dict[str, Any]:
    """One row of ``outcomes``, not yet attributed to a call."""
    row = outcome.model_dump()
    row.update(seq=seq, digest=digest, ts=naive(outcome.ts), call_id="", call_seq=0, received=naive(received))
    return row


def prompt_run_key(experiment: str, epoch: int, arm: str, device: str, prompt: str) -> str:
    """Key of a prompt-run: 32 hex digits of SHA-256 over what makes it distinct."""
    text = "\x1f".join((experiment, str(epoch), arm, device, prompt))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def table(rows: Sequence[dict[str, Any]], schema: pa.Schema) -> pa.Table:
    """Rows as an Arrow table with the columns in the table's order."""
    return pa.Table.from_pylist(list(rows), schema=schema)
