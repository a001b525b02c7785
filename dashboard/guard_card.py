"""One adapter's guard: its state with colour, symbol and name, its sentence, its evidence; and the alarm."""

from collections.abc import Mapping, Sequence
from typing import Any

from dashboard import words_guard as words
from dashboard.markup import Html, joined, notice, tag
from dashboard.palette import STATES
from dashboard.wording import Voice

Adapter = Mapping[str, Any]


def alarm(voice: Voice, adapters: Sequence[Adapter]) -> Html:
    """A bar across the page for each adapter that was rolled back or is in failsafe; nothing otherwise."""
    bars = [_alarm(voice, adapter) for adapter in adapters if adapter["state"] in ("rolled_back", "failsafe")]
    return tag("div", *bars, cls="eq-alarms") if bars else Html("")


def _alarm(voice: Voice, adapter: Adapter) -> Html:
    look = STATES[adapter["state"]]
    if adapter["state"] == "failsafe":
        title = voice.say(words.ALARM_FAILSAFE, arm=adapter["arm"])
    else:
        title = voice.say(words.ALARM_ROLLBACK, arm=adapter["arm"])
    detail = voice.say(words.ALARM_DETAIL, grade=_cause(voice, adapter), time=voice.minute(adapter["since"]))
    return tag(
        "div",
        tag("span", look.symbol, cls="eq-alarm-symbol", aria_hidden="true"),
        tag("strong", title),
        tag("span", detail, cls="eq-alarm-detail"),
        cls=f"eq-alarm {look.cls}",
        role="alert",
        lang=voice.language,
    )


def _cause(voice: Voice, adapter: Adapter) -> str:
    parts = [voice.say(words.GRADES[adapter["grade"]])] if adapter["grade"] else []
    parts += [voice.say(words.RULE, rule=adapter["rule"])] if adapter["rule"] else []
    return " · ".join(parts) or voice.say(words.STATES[adapter["state"]])


def card(voice: Voice, adapter: Adapter, limits: Mapping[str, Any], *, old: bool = False) -> Html:
    """The card of one adapter.

    Args:
        voice: the viewer's language and zone.
        adapter: one of the guard answer's ``adapters``.
        limits: its ``limits``.
        old: the service does not answer; the state is not known now.
    """
    known = adapter["state"]
    look = STATES["unknown" if old else known]
    name = voice.say(words.STATES["unknown" if old else known])
    said = voice.say(words.BEFORE, state=voice.say(words.STATES[known])) if old else _detail(voice, adapter)
    return tag(
        "section",
        tag(
            "div",
            tag("span", look.symbol, cls="eq-state-symbol", aria_hidden="true"),
            tag("span", name, cls="eq-state-name"),
            tag("span", said, cls="eq-state-detail") if said else None,
            cls="eq-state",
        ),
        tag("div", " · ".join(_who(voice, adapter)), cls="eq-who"),
        tag("p", voice.pick(adapter["sentences"]), cls="eq-sentence"),
        _evidence(voice, adapter, limits),
        cls=f"eq-guard {look.cls}",
        aria_label=f"{voice.say(words.GUARD)}: {adapter['arm']}, {name}",
        lang=voice.language,
    )


def _detail(voice: Voice, adapter: Adapter) -> str:
    return _cause(voice, adapter) if adapter["grade"] or adapter["rule"] else ""


def _who(voice: Voice, adapter: Adapter) -> list[str]:
    parts = [voice.say(words.ADAPTER_OF, arm=adapter["arm"])]
    parts.append(voice.say(words.VERSION, adapter=adapter["adapter"] or adapter["configured"]))
    if adapter["epoch"]:
        parts.append(voice.say(words.EPOCH, number=adapter["epoch"]))
    if adapter["since"]:
        parts.append(voice.say(words.SINCE, time=voice.minute(adapter["since"])))
    if adapter["cooldown_until"]:
        parts.append(voice.say(words.COOLING, time=voice.minute(adapter["cooldown_until"])))
    return parts


def _evidence(voice: Voice, adapter: Adapter, limits: Mapping[str, Any]) -> Html | None:
    if not adapter["epoch"]:
        return None
    runs, nothing = adapter["prompt_runs"], voice.say(words.NO_DATA)
    seen = voice.say(words.SEEN_LINE, limit=voice.percent(limits["limit"], 0), min_n=voice.count(limits["min_n"]))
    counted = (
        voice.say(words.SEEN_DETAIL, k=voice.count(runs["k"]), n=voice.count(runs["n"]), interval=voice.interval(runs))
        if runs["n"]
        else nothing
    )
    line = voice.say(words.EXCESS_LINE, line=voice.decimal(limits["excess"]), min_n=voice.count(limits["min_n"]))
    few = runs["n"] < limits["min_n"]
    devices = (
        voice.say(words.DEVICES_UNKNOWN, count=voice.count(adapter["without_device"]))
        if adapter["without_device"]
        else voice.say(words.DEVICES_LINE, blocked=voice.count(adapter["blocked_devices"]))
    )
    return tag(
        "dl",
        _figure(
            voice.say(words.SEEN),
            voice.percent(runs["rate"]) if runs["n"] else "–",
            counted,
            seen,
            near=0 if few or not runs["n"] else runs["rate"] / limits["limit"],
        ),
        _figure(
            voice.say(words.EXCESS),
            voice.decimal(adapter["excess"], signed=True) if runs["n"] else "–",
            line,
            near=adapter["excess"] / limits["excess"] if few and runs["n"] else 0,
        ),
        _figure(
            voice.say(words.DETECTOR),
            voice.evidence(adapter["detector"]) if runs["n"] else "–",
            voice.say(words.DETECTOR_LINE, line=voice.count(limits["detector"])),
            near=adapter["detector"] / limits["detector"],
        ),
        _figure(
            voice.say(words.E_VALUE),
            voice.evidence(adapter["e_value"]) if runs["n"] else "–",
            voice.say(words.E_LINE, line=voice.count(limits["confirm"])),
            near=adapter["e_value"] / limits["confirm"],
        ),
        _figure(voice.say(words.DEVICES), voice.count(adapter["devices"]), devices),
        cls="eq-evidence",
    )


def _figure(name: str, value: str, *details: str, near: float | None = None) -> Html:
    """A number under its name; the bar shows how near it is to its line (a picture, the words say the numbers)."""
    meter = None
    if near is not None:
        filled = min(max(near, 0.0), 1.0)
        inner = tag("span", cls="eq-meter-over" if near >= 1 else "eq-meter-fill", style=f"width:{100 * filled:.0f}%")
        meter = tag("span", inner, cls="eq-meter", aria_hidden="true")
    return tag(
        "div",
        tag("dt", name),
        tag("dd", value, cls="eq-value"),
        tag("dd", meter, cls="eq-meter-box") if meter else None,
        *(tag("dd", detail, cls="eq-detail") for detail in details),
    )


def circumstances(voice: Voice, guard: Mapping[str, Any]) -> Html:
    """What else holds now: blindness, base only today, devices that opted out."""
    lines = []
    if guard["blind"]:
        lines.append(notice("trouble", voice.say(words.BLIND), guard["blind"]))
    if guard["base_only_until"]:
        lines.append(notice("hint", voice.say(words.BASE_ONLY, time=voice.minute(guard["base_only_until"]))))
    if guard["opted_out"]:
        lines.append(notice("hint", voice.say(words.OPTED_OUT, count=voice.count(guard["opted_out"]))))
    if not guard["adapters"]:
        lines.append(notice("hint", voice.say(words.NO_ADAPTERS)))
    return joined(*lines)
