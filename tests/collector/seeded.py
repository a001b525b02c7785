"""A season of synthetic traffic in a service, through its API, with effects planted by the test."""

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from experiment.traffic import generate
from experiment.traffic_plan import Effects, Phase, TrafficPlan

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
OPENINGS = ("Man hört den Regen", "Ein Geruch von Harz", "Die Hände spüren Ton", "Schritte auf warmem Stein")


def season(plan: TrafficPlan, seed: int, opening: str = "") -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Calls and outcomes as the gateway and host would send them; ``opening`` starts every adapter output."""
    traffic, rng = generate(plan, seed), np.random.default_rng(seed)
    names = {"base": ("base", "qwen3:4b"), "adapter": ("lora", "qwen3:4b-v1")}
    calls, outcomes = [], []
    for i in range(traffic.t.size):
        arm, model = names[plan.arms[traffic.arm[i]]]
        first = opening if opening and arm == "lora" else OPENINGS[rng.integers(len(OPENINGS))]
        ts = START + timedelta(seconds=float(traffic.t[i]))
        run = f"run_{i}"
        calls.append(
            {
                "id": f"c{i}", "ts": ts.isoformat(), "experiment": "stage2", "epoch": 1, "arm": arm, "model": model,
                "reason": "split", "eligible": ["lora"], "device": f"kid{traffic.device[i]}_{ts.date().isoformat()}",
                "unit": run, "run": run, "input": f"Idee {traffic.prompt[i]}", "output": f"{first} in Zeile {i}",
                "config": f"config-{traffic.config[i]}", "safety_level": "kids", "template_version": "t1",
                "latency_ms": float(traffic.latency_s[i]) * 1000,
            }
        )  # fmt: skip
        if traffic.plan.unit == "device":
            calls[-1]["unit"] = calls[-1]["device"]
        base = {"experiment": "stage2", "ts": (ts + timedelta(seconds=5)).isoformat(), "call": f"c{i}"}
        if not np.isnan(traffic.favourite_at[i]):
            at = START + timedelta(seconds=float(traffic.favourite_at[i]))
            outcomes.append(base | {"id": f"f{i}", "kind": "favourite", "ts": at.isoformat()})
        if traffic.regenerated[i]:
            outcomes.append(base | {"id": f"r{i}", "kind": "regeneration", "child_run": f"again_{i}"})
    return calls, outcomes


def fill(live: Any, plan: TrafficPlan, seed: int = 1, opening: str = "") -> None:
    """Arm the adapter, then send the season in lists of 500."""
    live.arm()
    calls, outcomes = season(plan, seed, opening)
    for path, items in (("/v1/calls", calls), ("/v1/outcomes", outcomes)):
        for at in range(0, len(items), 500):
            answer = live.http.post(path, json=items[at : at + 500])
            assert answer.status_code == 201, answer.text


__all__ = ["Effects", "Phase", "TrafficPlan", "fill", "season"]
