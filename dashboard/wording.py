"""A text in two languages, and how each language writes numbers, shares and times."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final, Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

Language = Literal["de", "en"]
LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

_GERMAN: Final = str.maketrans({",": ".", ".": ","})
HUGE: Final = 1e6
"""From here on a number is written as a power of ten."""
_RAISED: Final = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")


class Text(NamedTuple):
    """The same sentence, German first."""

    de: str
    en: str


def zone(name: str | None) -> tzinfo:
    """The viewer's time zone; UTC where the browser names none that is known here.

    Args:
        name: such as ``Europe/Berlin``.
    """
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


@dataclass(frozen=True)
class Voice:
    """How the page speaks to this viewer.

    Attributes:
        language: de or en.
        zone: in which times are shown.
    """

    language: Language = "de"
    zone: tzinfo = UTC

    def say(self, text: Text, **values: object) -> str:
        """The text in the viewer's language, its ``{names}`` filled."""
        words = text.de if self.language == "de" else text.en
        return words.format(**values) if values else words

    def pick(self, both: Mapping[str, str]) -> str:
        """One of ``{"de": …, "en": …}`` as the service sends it."""
        return both.get(self.language) or both.get("en", "")

    def _local(self, text: str) -> str:
        return text.translate(_GERMAN) if self.language == "de" else text

    def count(self, number: float) -> str:
        """A count: 1.234 or 1,234."""
        return self._local(f"{number:,.0f}")

    def decimal(self, number: float, digits: int = 1, *, signed: bool = False) -> str:
        """A number with that many decimals; huge ones as a power of ten."""
        if abs(number) >= HUGE:
            mantissa, _, exponent = f"{number:.1e}".partition("e")
            return f"{self._local(mantissa)} · 10{str(int(exponent)).translate(_RAISED)}"
        return self._local(f"{number:{'+' if signed else ''},.{digits}f}").replace("-", "−")

    def evidence(self, number: float) -> str:
        """An e-value or a detector: three digits that matter."""
        if number >= HUGE or number < 1000:
            return self.decimal(number) if number >= HUGE else self._local(f"{number:.3g}")
        return self.count(number)

    def percent(self, share: float, digits: int = 1) -> str:
        """A share as per cent: 6,0 % or 6.0 %."""
        return self._local(f"{100 * share:,.{digits}f} %")

    def interval(self, rate: Mapping[str, Any]) -> str:
        """Both ends of a rate's interval: 3,1–10,2 %."""
        low = self._local(f"{100 * rate['low']:.1f}")
        return f"{low}–{self.percent(rate['high'])}"

    def of(self, rate: Mapping[str, Any]) -> str:
        """How many of how many: 12 von 200."""
        return f"{self.count(rate['k'])} {'von' if self.language == 'de' else 'of'} {self.count(rate['n'])}"

    def _moment(self, iso: str) -> datetime:
        return datetime.fromisoformat(iso).astimezone(self.zone)

    def clock(self, iso: str) -> str:
        """Hours, minutes, seconds of a time."""
        return f"{self._moment(iso):%H:%M:%S}"

    def moment(self, iso: str) -> str:
        """Day and time to the second."""
        return f"{self._moment(iso):{'%d.%m.%Y %H:%M:%S' if self.language == 'de' else '%Y-%m-%d %H:%M:%S'}}"

    def minute(self, iso: str) -> str:
        """Day and time to the minute."""
        return f"{self._moment(iso):{'%d.%m. %H:%M' if self.language == 'de' else '%m-%d %H:%M'}}"
