"""Answers as the service gives them, for tests of what is drawn."""

from typing import Any


def rate(k: int, n: int) -> dict[str, Any]:
    if not n:
        return {"k": k, "n": n, "rate": None, "low": None, "high": None}
    return {"k": k, "n": n, "rate": k / n, "low": max(0.0, k / n - 0.04), "high": min(1.0, k / n + 0.04)}


def arm(name: str, calls: int = 200, *, base: bool = False, open: bool = True, blocked: int = 12) -> dict[str, Any]:
    return {
        "arm": name, "model": f"{name}-model", "weight": 10, "base": base, "open": open, "calls": calls,
        "treated": calls, "devices": min(calls, 9), "favourites": rate(min(calls, 20), calls),
        "regenerations": rate(min(calls, 30), calls), "edits": rate(0, calls), "refusals": rate(0, calls),
        "blocked_calls": rate(min(calls, 13), calls), "prompt_runs": rate(min(calls, blocked), calls),
        "errors": 0, "fallbacks": 0, "guarded": 0,
        "latency_ms": {"n": calls, "median": 812.4 if calls else None, "p90": 1240.0 if calls else None,
                       "p99": 1999.6 if calls else None},
        "blocks": [],
    }  # fmt: skip


def point(minute: int, name: str, k: int, n: int) -> dict[str, Any]:
    running = {key: rate(k, n) for key in ("favourites", "regenerations", "prompt_runs")}
    return {
        "start": f"2026-11-22T10:{minute:02d}:00Z", "end": f"2026-11-22T10:{minute + 1:02d}:00Z", "arm": name,
        "calls": 5, "running": running,
    }  # fmt: skip


def adapter(state: str = "running", **more: Any) -> dict[str, Any]:
    evidence = [
        {"ts": f"2026-11-22T10:{n:02d}:00Z", "n": n, "blocked": n // 3, "allowed": 0.05 * n, "trips_at": 0.05 * n + 3}
        for n in range(1, 13)
    ]
    return {
        "arm": "lora", "state": state, "grade": None, "rule": None, "adapter": "lora-v1", "configured": "lora-v1",
        "epoch": 2, "since": "2026-11-22T10:00:00Z", "open": state in ("running", "watch"), "sentence": "Running: …",
        "sentences": {"en": "Running: …", "de": "Läuft: …"}, "prompt_runs": rate(12, 200), "devices": 20,
        "blocked_devices": 7, "without_device": 0, "excess": 2.0, "detector": 117.3, "e_value": 0.394,
        "precautionary": 0, "possible": ["pause", "rollback"], "cooldown_until": None, "evidence": evidence,
    } | more  # fmt: skip


LIMITS = {"limit": 0.05, "min_n": 200, "excess": 3.0, "detector": 10_000.0, "confirm": 100.0, "cooldown_s": 1800.0}


def step(**more: Any) -> dict[str, Any]:
    return {
        "ts": "2026-11-22T10:03:04Z", "arm": "lora", "adapter": "lora-v1", "from_state": "running",
        "to_state": "rolled_back", "rule": "R2", "grade": "precautionary", "e_value": 0.394, "actor": "equipoise",
        "token_id": "", "reason": "", "prompt_runs": rate(12, 200), "base": rate(58, 1000),
        "sentences": {"en": "6.0 % …", "de": "6,0 % …"},
    } | more  # fmt: skip
