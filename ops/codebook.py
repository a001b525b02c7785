"""The snapshot's codebook: every table and column in words, from this one source."""

from typing import Final, NamedTuple


class Column(NamedTuple):
    """One column's meaning."""

    unit: str
    meaning: str


PSEUDONYM: Final = "pseudonym"
TIME: Final = "UTC time"
KEYED: Final = "HMAC-SHA256 under the installation's key, which is not in the snapshot"

TABLES: Final = {
    "calls": "Stage 2 calls, one row each, in commit order.",
    "outcomes": "What happened to a call: favourites, regenerations, verdicts, edits.",
    "prompt_runs": "Distinct (device, prompt) pairs with a verdict: what the guard counts.",
    "epochs": "What each arming froze: arms, weights, salt, plan.",
    "guard_log": "Every transition of the guard with its evidence, append-only.",
    "overrides": "Devices or days that a person put on the base arm.",
    "exclusions": "Devices and days that estimates leave out, chosen without sight of the arm.",
    "conclusions": "What the experiment said when a person closed it.",
    "annotations": "Labels of calls: traditions, topics.",
}
"""Tables of a snapshot."""

_COMMON: Final = {
    "seq": Column("count", "commit number: the order in which the service stored things; rows of all tables share it"),
    "id": Column("identifier", "of the event as its sender named it; unique within the table"),
    "ts": Column(TIME, "when it happened, by the sender's clock"),
    "received": Column(TIME, "when the service took it; its distance to ts shows clock skew and lateness"),
    "experiment": Column("name", "the experiment"),
    "epoch": Column("number", "epoch in force; 0: no permit was valid, or imported"),
    "arm": Column("name", "arm assigned"),
    "device": Column(PSEUDONYM, f"device-day ({KEYED}); '' where none is known"),
    "prompt": Column(PSEUDONYM, f"key of the normalised prompt ({KEYED}); stays when the text goes"),
    "run": Column(PSEUDONYM, f"the host's run ({KEYED})"),
    "origin": Column("live|import|replay", "how it came in"),
    "synthetic": Column("yes/no", "made-up traffic"),
    "actor": Column("name", "who did it, as the person said"),
    "token_id": Column("identifier", "which access token was used; not the token"),
    "reason": Column("text", "why, as the person said"),
    "config_digest": Column("SHA-256", "of the configuration in force"),
    "code_version": Column("version", "of Equipoise"),
    "sentence": Column("text", "what was said, readable"),
    "kind": Column("word", "what kind of event it is"),
    "adapter": Column("name", "adapter version under guard"),
}

_OWN: Final = {
    ("calls", "arm_treated"): Column("name", "arm whose model answered; '' if no arm's"),
    ("calls", "model"): Column("name", "model that answered"),
    ("calls", "reason"): Column("word", "why this arm: split (by chance), guard, override, default, error, inherited"),
    ("calls", "bucket"): Column("0 … 2^32 − 1", "first four bytes of SHA-256 of 'salt:unit': the draw"),
    ("calls", "eligible"): Column("names", "adapters that chance could have given, joined by ','"),
    ("calls", "unit"): Column(PSEUDONYM, f"unit of assignment: run or device ({KEYED})"),
    ("calls", "device_kind"): Column("word", "browser, unknown, or a kind that is no workshop (dev, api, canvas, …)"),
    ("calls", "parent_run"): Column(PSEUDONYM, "run that this one repeats; its arm is inherited"),
    ("calls", "output_key"): Column(PSEUDONYM, f"key of the output ({KEYED})"),
    ("calls", "config"): Column("name", "the host's configuration (workshop format)"),
    ("calls", "language"): Column("code", "language of the input"),
    ("calls", "translated"): Column("yes/no", "English channel on"),
    ("calls", "safety_level"): Column("word", "kids, youth, adult, research"),
    ("calls", "template_version"): Column("name", "version of the host's prompt template; never pooled silently"),
    ("calls", "parameters"): Column("JSON", "parameters of generation"),
    ("calls", "input"): Column("text", "what the child wrote; only in a snapshot with texts, never of a blocked call"),
    ("calls", "context"): Column("text", "the template's context; only in a snapshot with texts"),
    ("calls", "output"): Column("text", "what the model wrote; only in a snapshot with texts"),
    ("calls", "refused"): Column("yes/no", "the model declined"),
    ("calls", "latency_ms"): Column("ms", "time of the model's answer"),
    ("calls", "tokens_in"): Column("tokens", "of the request"),
    ("calls", "tokens_out"): Column("tokens", "of the answer"),
    ("calls", "error"): Column("word", "why there was no answer"),
    ("outcomes", "kind"): Column(
        "word", "favourite, unfavourite, regeneration, edit, block, not_blocked, submitted, link"
    ),
    ("outcomes", "call"): Column("identifier", "call as the sender named it; '' if addressed by run"),
    ("outcomes", "run"): Column(PSEUDONYM, "run as the sender named it; '' if addressed by call"),
    ("outcomes", "child_run"): Column(PSEUDONYM, "run that regenerated it, or (link) that belongs to the call"),
    ("outcomes", "call_id"): Column("identifier", "call it belongs to; '' while that is pending"),
    ("outcomes", "call_seq"): Column("count", "that call's commit number; 0 while pending"),
    ("outcomes", "stage"): Column("word", "safety stage that judged"),
    ("outcomes", "method"): Column("word", "how it judged"),
    ("outcomes", "code"): Column("word", "code of the block"),
    ("prompt_runs", "key"): Column("SHA-256", "of experiment, epoch, arm, device, prompt: one row per distinct pair"),
    ("prompt_runs", "blocked"): Column("yes/no", "the verdict that decided the pair"),
    ("prompt_runs", "event_id"): Column("identifier", "outcome that decided the pair"),
    ("epochs", "opened"): Column(TIME, "when it began"),
    ("epochs", "arms"): Column("JSON", "frozen arms: models, weights, salt, unit"),
    ("epochs", "plan"): Column("JSON", "the plan as it was before arming"),
    ("guard_log", "action"): Column("word", "arm, trip, pause, resume, rollback, confirm, blind, recover"),
    ("guard_log", "from_state"): Column("word", "state before"),
    ("guard_log", "to_state"): Column("word", "state after"),
    ("guard_log", "rule"): Column("R1|R2|R3", "rule that tripped; '' if a person acted"),
    ("guard_log", "grade"): Column("word", "precautionary or confirmed"),
    ("guard_log", "n"): Column("prompt-runs", "counted since arming"),
    ("guard_log", "blocked"): Column("prompt-runs", "blocked since arming"),
    ("guard_log", "devices"): Column("devices", "with a counted prompt-run"),
    ("guard_log", "blocked_devices"): Column("devices", "with a blocked prompt-run"),
    ("guard_log", "e_value"): Column("number", "evidence across devices that the rate exceeds the limit; 1: none"),
    ("guard_log", "detector"): Column("number", "the burst detector of R3"),
    ("guard_log", "base_n"): Column("prompt-runs", "of the base arm in the epoch"),
    ("guard_log", "base_blocked"): Column("prompt-runs", "of the base arm, blocked"),
    ("guard_log", "thresholds"): Column("JSON", "limits in force"),
    ("guard_log", "last_event"): Column("identifier", "event that led to it"),
    ("guard_log", "guard"): Column("JSON", "the guard's state afterwards"),
    ("overrides", "kind"): Column("word", "base_only, opt_out, opt_in"),
    ("overrides", "until"): Column(TIME, "end of 'base only'"),
    ("exclusions", "device"): Column(PSEUDONYM, "device-day; '' for every device of a day"),
    ("exclusions", "day"): Column("date (UTC)", "empty for every day"),
    ("conclusions", "epoch"): Column("number", "last epoch that the conclusion is about"),
    ("annotations", "call"): Column("identifier", "the call"),
    ("annotations", "kind"): Column("word", "tradition or topic"),
    ("annotations", "label"): Column("word", "the label"),
    ("annotations", "labeller"): Column("name", "who or what labelled, with its version"),
}


def column(table: str, name: str) -> Column:
    """Meaning of one column.

    Raises:
        KeyError: it is described nowhere.
    """
    return _OWN.get((table, name)) or _COMMON[name]


def codebook(tables: dict[str, tuple[int, dict[str, str]]]) -> str:
    """The codebook as Markdown.

    Args:
        tables: rows and {column: type} of each table in the snapshot.
    """
    lines = ["# Codebook", "", "Times are UTC without a zone. Pseudonyms link rows of one installation only.", ""]
    for table, (rows, columns) in tables.items():
        lines += [f"## {table}.parquet", "", f"{TABLES[table]} {rows:,} rows.", ""]
        lines += ["| Column | Type | Unit | Meaning |", "| --- | --- | --- | --- |"]
        for name, kind in columns.items():
            known = column(table, name)
            lines.append(f"| {name} | {kind} | {known.unit.replace('|', ' or ')} | {known.meaning} |")
        lines.append("")
    return "\n".join(lines)
