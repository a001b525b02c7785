"""A real service with a season of synthetic traffic, and the command line pointed at it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from collector.config import ServiceConfig
from tests.collector.conftest import ARMS, Live, serving
from tests.collector.seeded import TrafficPlan, season

PLAN = {"end_n": 1_500, "smallest_effect": 0.05}


@contextmanager
def seasoned(
    data: Path, traffic: TrafficPlan, *, plan: dict[str, Any] | None = None, config: str = "", **service: Any
) -> Iterator[Live]:
    """Armed, filled; ``config`` replaces the host config of every tenth call."""
    settings = ServiceConfig.model_validate(
        {
            "service": {"data": str(data), "development": True, **service},
            "experiment": {"stage2": {"arms": ARMS, "plan": PLAN if plan is None else plan}},
        }
    )
    with serving(settings) as live:
        live.arm()
        calls, outcomes = season(traffic, 1)
        for call in calls[::10]:
            call["config"] = config or call["config"]
        for path, items in (("/v1/calls", calls), ("/v1/outcomes", outcomes)):
            for at in range(0, len(items), 500):
                assert live.http.post(path, json=items[at : at + 500]).status_code == 201
        yield live
