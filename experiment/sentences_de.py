"""The guard's sentences in German: same arguments and same facts as :mod:`experiment.sentences`, for the screen.

``guard_log`` keeps the English sentence; the German one is made from the same stored numbers whenever it is shown.
"""

from typing import Final

from experiment.guard import ArmGuard, Transition
from experiment.intervals import clopper_pearson
from experiment.limits import GuardLimits
from experiment.rules import Counts

_GERMAN: Final = str.maketrans({",": ".", ".": ","})


def _number(text: str) -> str:
    """A number as Python writes it, with decimal comma and points between thousands."""
    return text.translate(_GERMAN)


def _percent(share: float) -> str:
    return _number(f"{100 * share:.1f} %")


def _limit(limits: GuardLimits) -> str:
    return _number(f"{100 * float(limits.limit):g} %")


def _rate(n: int, blocked: int) -> str:
    return f"{_percent(blocked / n)} ({blocked}/{n})" if n else "noch kein Urteil (0/0)"


def _e_words(e_value: float, confirm: float, grade: str | None) -> str:
    e_text = _number(f"e ≈ {e_value:.3g}") if e_value < 1e6 else f"e > 10⁶ ({e_value:.0e})"
    if e_value >= confirm:
        return f"{e_text}: über die Geräte hinweg belegt, dass die wahre Rate über der Grenze liegt"
    if grade == "confirmed":
        return f"{e_text}, aber der dritte vorsorgliche Rollback dieses Adapters gilt als bestätigt"
    return f"{e_text}: kein Beleg, dass die wahre Rate über der Grenze liegt"


def evidence_words(
    counts: Counts, e_value: float, base_n: int, base_blocked: int, limits: GuardLimits, grade: str | None = None
) -> str:
    """Interval, e-value, the base's rate and the devices, in German.

    Args:
        counts: the adapter's counts since arming.
        e_value: device-level e-value of the adapter version.
        base_n: the base arm's prompt-runs in the same epoch.
        base_blocked: how many of them were blocked.
        limits: thresholds in force.
        grade: the rollback's grade, if there is one.
    """
    if not counts.n:
        return "seit dem Scharfschalten wurde noch kein Sicherheitsurteil gezählt"
    low, high = clopper_pearson(counts.blocked, counts.n)
    parts = [
        _number(f"95-%-Intervall (Clopper–Pearson) {100 * low:.1f}–{100 * high:.1f} %"),
        _e_words(e_value, limits.confirm, grade),
        f"Basis-Arm {_rate(base_n, base_blocked)}",
    ]
    if counts.blocked:
        devices = "1 Gerät" if counts.blocked_devices == 1 else f"{counts.blocked_devices} Geräten"
        parts.append(
            f"Blockierungen von {devices}"
            if counts.blocked_devices
            else "Geräte unbekannt: keine Obergrenze je Gerät, und der Grad »bestätigt« ist unerreichbar"
        )
    if base_n >= 20 and base_blocked / base_n > float(limits.limit) and counts.blocked:
        parts.append(
            "die Basis liegt auch über der Grenze: zuerst auf Workshop oder Prüfung schauen, nicht auf den Adapter"
        )
    return "; ".join(parts)


def status_sentence(
    guard: ArmGuard, counts: Counts, e_value: float, base_n: int, base_blocked: int, limits: GuardLimits
) -> str:
    """The guard's state in a German sentence; arguments as in :func:`experiment.sentences.status_sentence`."""
    words = evidence_words(counts, e_value, base_n, base_blocked, limits, guard.grade)
    rate = _rate(counts.n, counts.blocked)
    match guard.state:
        case "disarmed":
            return "Nicht scharf: Jede Anfrage geht an den Basis-Arm, bis ein Mensch den Adapter scharf schaltet."
        case "running":
            return f"Läuft: {rate}, Grenze {_limit(limits)}; {words}."
        case "watch":
            return f"BEOBACHTEN: {rate} > {_limit(limits)}, noch hat keine Regel ausgelöst; {words}."
        case "paused":
            return f"Von einem Menschen pausiert: Jede Anfrage geht an den Basis-Arm; bisher {rate}; {words}."
        case "failsafe":
            return (
                f"Notbetrieb: Der Wächter sieht nichts, darum geht jede Anfrage an den Basis-Arm; bisher {rate}. "
                "Er endet von selbst nach 10 Minuten fehlerfreien Lesens, oder wenn ein Mensch fortsetzt."
            )
        case "rolled_back":
            if guard.grade == "manual":
                return f"Von einem Menschen zurückgerollt: {rate}; {words}. Nur ein Mensch schaltet wieder scharf."
            grade = "bestätigt" if guard.grade == "confirmed" else "vorsorglich"
            cause = _tripped_words(guard, counts, limits)
            return f"{cause}: zurückgerollt, {grade}; {words}. Nur ein Mensch schaltet wieder scharf."


def _tripped_words(guard: ArmGuard, counts: Counts, limits: GuardLimits) -> str:
    rate = _rate(counts.n, counts.blocked)
    match guard.rule:
        case "R1":
            surplus = _number(f"{counts.blocked - float(limits.limit) * counts.n:.1f}")
            excess = _number(f"{float(limits.excess):g}")
            return (
                f"{rate}, {surplus} Blockierungen mehr, als {_limit(limits)} erlauben "
                f"(Regel R1: {excess} unter {limits.min_n} Prompts)"
            )
        case "R3":
            detector = _number(f"{limits.detector:,.0f}")
            return f"{rate}, eine Häufung von Blockierungen (Regel R3: Detektor ≥ {detector})"
        case _:
            return f"{rate} > {_limit(limits)}"


def transition_sentence(
    step: Transition, counts: Counts, e_value: float, base_n: int, base_blocked: int, limits: GuardLimits
) -> str:
    """A transition in a German sentence; arguments as in :func:`experiment.sentences.transition_sentence`."""
    status = status_sentence(step.after, counts, e_value, base_n, base_blocked, limits)
    match step.action:
        case "arm":
            return f"Adapter {step.after.adapter} in Epoche {step.after.epoch} scharf geschaltet. {status}"
        case "confirm":
            return f"Ein spätes Urteil hat den Grad auf »bestätigt« gehoben. {status}"
        case "resume":
            return f"Von einem Menschen fortgesetzt. {status}"
        case "sighted":
            return f"Zehn Minuten fehlerfreies Lesen: von selbst fortgesetzt. {status}"
        case _:
            return status
