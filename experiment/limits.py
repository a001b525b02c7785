"""The guard's limits as exact numbers."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True)
class GuardLimits:
    """Thresholds of the guard (STATISTICS.md 2); the defaults are the simulated ones.

    Attributes:
        limit: block rate p₀ above which the adapter is switched off.
        min_n: prompt-runs from which on the plain rate decides (R2); below it R1 does.
        excess: R1 trips when S − p₀·n reaches it.
        detector: R3 trips when the Shiryaev–Roberts mixture reaches it.
        confirm: device-level e-value from which on a rollback is called confirmed.
        cooldown_s: seconds after a precautionary rollback before anyone can re-arm.
        device_cap: blocks that one device contributes to R3 at most.
        e_window: prompt-runs that one device contributes to the e-value at most.
    """

    limit: Fraction = Fraction(1, 20)
    min_n: int = 200
    excess: Fraction = Fraction(3)
    detector: float = 1e4
    confirm: float = 100.0
    cooldown_s: float = 1800.0
    device_cap: int = 2
    e_window: int = 5
