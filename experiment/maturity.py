"""Late favourites: a call counts once its window has passed, and with the favourites within the window only.

Children favourite from the gallery days later. Without a window old calls have had more time than new ones, and an arm
whose share was raised lately looks worse for that reason alone. The window is the same for both arms.
"""

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

WINDOW_S: Final = 7 * 86_400.0
"""Seven days, in seconds."""


class Mature(NamedTuple):
    """Which calls count, and with what; masks have one element per call."""

    counts: Bools
    """The window has passed."""
    favourite: Bools
    """A favourite within the window that was not withdrawn within it; False while the call does not count."""
    waiting: int
    """Calls whose window is still open."""
    waiting_favourites: int
    """Favourites they have so far: shown, not counted."""
    late: int
    """Favourites of counted calls that came after the window."""
    next_at: float
    """Time at which the next waiting call starts to count; NaN if none waits."""


def mature(
    called_at: Floats,
    favourite_at: Floats,
    now: float,
    *,
    window_s: float = WINDOW_S,
    withdrawn_at: Floats | None = None,
) -> Mature:
    """Sort calls into those that count and those that wait.

    Args:
        called_at: time of each call in seconds on any common clock.
        favourite_at: time of its favourite, NaN for none. One before the call (clock skew) counts.
        now: the time of looking, on the same clock.
        window_s: length of the window in seconds, ≥ 0; a favourite exactly at its end counts.
        withdrawn_at: time at which the favourite was taken back, NaN for never.

    Raises:
        ValueError: different lengths, a negative window, or a missing call time.
    """
    if called_at.shape != favourite_at.shape:
        raise ValueError(f"{called_at.size} calls but {favourite_at.size} favourite times")
    if not window_s >= 0:
        raise ValueError(f"window_s = {window_s} must be at least 0")
    if np.isnan(called_at).any():
        raise ValueError("every call needs a time")
    counts = called_at + window_s <= now
    end = called_at + window_s
    given = ~np.isnan(favourite_at)
    kept = np.ones(called_at.shape, np.bool_)
    if withdrawn_at is not None:
        # What happens after the window changes nothing, so that a counted call never changes again.
        kept = ~(withdrawn_at <= end)
    within = given & kept & (favourite_at <= end)
    open_calls = ~counts
    return Mature(
        counts=counts,
        favourite=within & counts,
        waiting=int(open_calls.sum()),
        waiting_favourites=int((within & open_calls & (favourite_at <= now)).sum()),
        late=int((given & counts & (favourite_at > end)).sum()),
        next_at=float(end[open_calls].min()) if open_calls.any() else float("nan"),
    )
