"""Colours that people with any colour vision tell apart (Okabe & Ito 2008), for dark and light; symbols beside them.

On white some of their colours are too pale for text and thin lines, so light has a darker tone of the same hue.
"""

from typing import Any, Final, NamedTuple

VERMILLION: Final = "#D55E00"
"""Lines that must not be crossed, and what crossed them."""

ARMS_DARK: Final = ("#56B4E9", "#E69F00", "#CC79A7", "#F0E442", "#009E73")
ARMS_LIGHT: Final = ("#0072B2", "#B36A00", "#A6477F", "#7A6F00", "#00714F")
"""Base first, then the adapters in the order of the configuration."""

ARM_SYMBOLS: Final = ("●", "◆", "▲", "■", "▼")
ARM_SHAPES: Final = ("circle", "diamond", "triangle-up", "square", "triangle-down")
"""The same as Vega names them."""


class StateLook(NamedTuple):
    """How a guard's state looks; its name stands beside it."""

    symbol: str
    cls: str


STATES: Final = {
    "disarmed": StateLook("○", "eq-grey"),
    "running": StateLook("●", "eq-green"),
    "watch": StateLook("▲", "eq-yellow"),
    "paused": StateLook("❚❚", "eq-blue"),
    "rolled_back": StateLook("✕", "eq-red"),
    "failsafe": StateLook("◆", "eq-purple"),
    "unknown": StateLook("?", "eq-grey"),
}

THEMES: Final[dict[str, Any]] = {
    "theme.baseFontSize": 16,
    "theme.baseRadius": "8px",
    "theme.dark.backgroundColor": "#11161C",
    "theme.dark.secondaryBackgroundColor": "#1C242D",
    "theme.dark.textColor": "#ECEFF2",
    "theme.dark.primaryColor": ARMS_DARK[0],
    "theme.dark.borderColor": "#36424F",
    "theme.dark.chartCategoricalColors": list(ARMS_DARK),
    "theme.light.backgroundColor": "#FFFFFF",
    "theme.light.secondaryBackgroundColor": "#F1F4F7",
    "theme.light.textColor": "#17202A",
    "theme.light.primaryColor": ARMS_LIGHT[0],
    "theme.light.borderColor": "#C3CCD5",
    "theme.light.chartCategoricalColors": list(ARMS_LIGHT),
}


def arm_class(position: int) -> str:
    """The CSS class that colours an arm; the fifth arm and later ones share the last colour.

    Args:
        position: 0 for the base.
    """
    return f"eq-arm-{min(position, len(ARM_SYMBOLS) - 1)}"
