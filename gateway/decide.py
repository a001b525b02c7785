"""Permit state and subject → arm, reason, epoch. Pure: the same in, the same out."""

from dataclasses import dataclass
from datetime import datetime

from experiment.arms import Arm, Arms
from experiment.assignment import Assignment
from experiment.permit import assign_by_permit, assign_without_permit
from gateway.permits import PermitState
from gateway.units import Subject


@dataclass(frozen=True, slots=True)
class Decision:
    """Which arm answers, and why."""

    experiment: str
    assignment: Assignment
    arm: Arm
    base: Arm
    epoch: int
    """The permit's; 0 without one."""
    unit: str
    """What was hashed."""
    synthetic: bool

    @property
    def to_adapter(self) -> bool:
        """Whether an arm other than the base is to answer."""
        return self.arm.name != self.base.name


def decide(
    proposed: Arms,
    state: PermitState,
    subject: Subject,
    *,
    own_unit: str,
    loggable: bool,
    now: datetime,
) -> Decision:
    """The arm for one call.

    Args:
        proposed: the experiment as configured, for the base arm where no permit is valid.
        state: the permit now.
        subject: who asks.
        own_unit: hashed where the subject has no key of the experiment's unit.
        loggable: False if the call can't be kept (outbox or disk full): then the base arm answers, since an adapter
            whose calls nobody counts is an adapter without a guard.
        now: aware time.

    Raises:
        ValueError: no unit at all.
    """
    permit = state.permit
    if permit is None:
        unit = subject.key(proposed.unit) or own_unit
        assignment = assign_without_permit(proposed.base, proposed.salt, unit, disarmed=state.disarmed)
        base = proposed.arm(proposed.base)
        return Decision(proposed.experiment, assignment, base, base, 0, unit, False)
    arms = permit.arms
    unit = subject.key(arms.unit) or own_unit
    assignment = assign_by_permit(permit, unit, device=subject.device, attributes=subject.attributes, now=now)
    if not loggable and assignment.arm != arms.base:
        assignment = assignment._replace(arm=arms.base, reason="error", eligible=())
    arm, base = arms.arm(assignment.arm), arms.arm(arms.base)
    return Decision(arms.experiment, assignment, arm, base, permit.epoch, unit, permit.synthetic)
