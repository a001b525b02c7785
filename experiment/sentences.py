"""What the guard says to a person: one sentence a workshop leader can act on."""

from experiment.guard import ArmGuard, Transition
from experiment.intervals import clopper_pearson
from experiment.limits import GuardLimits
from experiment.rules import Counts


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _rate(n: int, blocked: int) -> str:
    return f"{_percent(blocked / n)} ({blocked}/{n})" if n else "no verdicts yet (0/0)"


def _e_words(e_value: float, confirm: float, grade: str | None) -> str:
    e_text = f"e ≈ {e_value:.3g}" if e_value < 1e6 else f"e > 10⁶ ({e_value:.0e})"
    if e_value >= confirm:
        return f"{e_text}: evidence by device that the true rate exceeds the limit"
    if grade == "confirmed":
        return f"{e_text}, but the third precautionary rollback of this adapter counts as confirmed"
    return f"{e_text}: no proof that the true rate exceeds the limit"


def evidence_words(
    counts: Counts, e_value: float, base_n: int, base_blocked: int, limits: GuardLimits, grade: str | None = None
) -> str:
    """Interval, e-value, the base's rate beside it, and from how many devices the blocks came.

    Args:
        counts: the adapter's counts since arming.
        e_value: device-level e-value of the adapter version.
        base_n: the base arm's prompt-runs in the same epoch.
        base_blocked: how many of them were blocked.
        limits: thresholds in force.
        grade: the rollback's grade, if there is one.
    """
    if not counts.n:
        return "no safety verdict has been counted since arming"
    low, high = clopper_pearson(counts.blocked, counts.n)
    parts = [
        f"95 % interval (Clopper–Pearson) {100 * low:.1f}–{100 * high:.1f} %",
        _e_words(e_value, limits.confirm, grade),
        f"base arm {_rate(base_n, base_blocked)}",
    ]
    if counts.blocked:
        parts.append(
            f"blocks from {counts.blocked_devices} device{'s' * (counts.blocked_devices != 1)}"
            if counts.blocked_devices
            else "devices unknown: no cap per device, and the grade 'confirmed' is out of reach"
        )
    if base_n >= 20 and base_blocked / base_n > float(limits.limit) and counts.blocked:
        parts.append("the base is above the limit as well: look at the workshop or the check first, not the adapter")
    return "; ".join(parts)


def status_sentence(
    guard: ArmGuard, counts: Counts, e_value: float, base_n: int, base_blocked: int, limits: GuardLimits
) -> str:
    """The guard's state in a sentence, for the screen.

    Args:
        guard: state of one adapter.
        counts: its counts since arming.
        e_value: device-level e-value of the adapter version.
        base_n: the base arm's prompt-runs in the same epoch.
        base_blocked: how many of them were blocked.
        limits: thresholds in force.
    """
    words = evidence_words(counts, e_value, base_n, base_blocked, limits, guard.grade)
    rate = _rate(counts.n, counts.blocked)
    limit = f"{100 * float(limits.limit):g} %"
    match guard.state:
        case "disarmed":
            return "Disarmed: every call goes to the base arm until a person arms the adapter."
        case "running":
            return f"Running: {rate}, limit {limit}; {words}."
        case "watch":
            return f"WATCH: {rate} > {limit}, no rule has tripped; {words}."
        case "paused":
            return f"Paused by a person: every call goes to the base arm; {rate} so far; {words}."
        case "failsafe":
            return (
                f"Failsafe: the guard can't see, so every call goes to the base arm; {rate} so far. "
                "It leaves by itself after 10 minutes of clean reads, or when a person resumes."
            )
        case "rolled_back":
            if guard.grade == "manual":
                return f"Rolled back by a person: {rate}; {words}. Only a person re-arms."
            cause = _tripped_words(guard, counts, limits)
            return f"{cause}: rolled back, {guard.grade}; {words}. Only a person re-arms."


def _tripped_words(guard: ArmGuard, counts: Counts, limits: GuardLimits) -> str:
    rate = _rate(counts.n, counts.blocked)
    limit = f"{100 * float(limits.limit):g} %"
    match guard.rule:
        case "R1":
            surplus = counts.blocked - float(limits.limit) * counts.n
            return (
                f"{rate}, {surplus:.1f} blocks more than {limit} allow (rule R1: {float(limits.excess):g} under "
                f"{limits.min_n} prompts)"
            )
        case "R3":
            return f"{rate}, a burst of blocks (rule R3: detector ≥ {limits.detector:,.0f})"
        case _:
            return f"{rate} > {limit}"


def transition_sentence(
    step: Transition, counts: Counts, e_value: float, base_n: int, base_blocked: int, limits: GuardLimits
) -> str:
    """What ``guard_log`` keeps as the readable verdict of a transition; arguments as in :func:`status_sentence`."""
    status = status_sentence(step.after, counts, e_value, base_n, base_blocked, limits)
    match step.action:
        case "arm":
            return f"Armed adapter {step.after.adapter} in epoch {step.after.epoch}. {status}"
        case "confirm":
            return f"A late verdict raised the grade to confirmed. {status}"
        case "resume" | "sighted":
            by_person = step.action == "resume"
            how = "Resumed by a person" if by_person else "Ten minutes of clean reads: resumed by itself"
            return f"{how}. {status}"
        case _:
            return status
