"""Erasure: a person's device-days or one run disappear from every table; counted evidence stays as ordinals."""

from typing import Annotated, Any

from fastapi import APIRouter, Path

from collector.access import AsAdmin, Store

router = APIRouter(tags=["erasure"])
Key = Annotated[str, Path(min_length=1, max_length=300)]


@router.delete("/v1/units/{device}")
def erase_unit(device: Key, store: Store, who: AsAdmin) -> dict[str, Any]:
    """Erase a device: a browser id finds every day's key, a device id or pseudonym that one."""
    return {"erased": store.erase_device(device, who.token_id)._asdict()}


@router.delete("/v1/runs/{run}")
def erase_run(run: Key, store: Store, who: AsAdmin) -> dict[str, Any]:
    """Erase one run: its calls, outcomes and what was counted of it by name."""
    return {"erased": store.erase_run(run, who.token_id)._asdict()}
