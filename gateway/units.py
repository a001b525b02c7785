"""Who asks: raw ids become pseudonyms here, at first touch, and the key that is hashed is found."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple

from experiment.arms import Unit
from experiment.pseudonym import DeviceKind, Pseudonymiser, device_kind, is_pseudonym
from gateway.texts import clean

ATTRIBUTES: Final = ("config", "language", "safety_level")
"""What an arm's condition may ask for."""


class Subject(NamedTuple):
    """Who asks, in pseudonyms, and the two keys that may be hashed."""

    device: str = ""
    device_kind: DeviceKind = "unknown"
    run: str = ""
    parent_run: str = ""
    run_unit: str = ""
    """The first run of this run's chain of repeats; '' if no run is known."""
    device_unit: str = ""
    attributes: Mapping[str, str] = {}
    """``config``, ``language``, ``safety_level`` as far as they are known."""

    def key(self, unit: Unit) -> str:
        """What is hashed in an experiment with this unit; '' if it is not known."""
        return self.run_unit if unit == "run" else self.device_unit


class Roots:
    """The first run of each chain of repeats, so that a repeat of a repeat inherits its arm.

    A prompt sent again from the same device is a repeat as well: drawn anew, the base arm's blocked prompts would
    arrive at the adapter as fresh pairs (docs/decisions/0007-resubmitted-prompts.md).

    Kept in memory: after a restart a run hashes the parent it names.

    Args:
        size: runs and prompts remembered, each; the least recently used is forgotten first.
    """

    def __init__(self, size: int = 20_000) -> None:
        self._size = size
        self._roots: OrderedDict[str, str] = OrderedDict()
        self._prompts: OrderedDict[tuple[str, str], str] = OrderedDict()

    def again(self, device: str, prompt: str, run: str, unit: str) -> str:
        """The run to hash for a prompt of a device: that of the first time it was sent.

        Args:
            device: pseudonym of the device-day; '' if it is not known: nothing is remembered.
            prompt: prompt key; '' likewise.
            run: pseudonym of this run, or ''.
            unit: what would be hashed otherwise.
        """
        if not device or not prompt:
            return unit
        first = self._prompts.setdefault((device, prompt), unit)
        self._prompts.move_to_end((device, prompt))
        if len(self._prompts) > self._size:
            self._prompts.popitem(last=False)
        return self.root(run, first) if run and run != first else first

    def root(self, run: str, parent: str) -> str:
        """The run to hash.

        Args:
            run: pseudonym of the run, or ''.
            parent: pseudonym of the run it repeats, or ''.
        """
        if not parent:
            return self._get(run)
        root = self._get(parent)
        if run and run != root:
            self._roots[run] = root
            self._roots.move_to_end(run)
            if len(self._roots) > self._size:
                self._roots.popitem(last=False)
        return root

    def _get(self, run: str) -> str:
        root = self._roots.get(run)
        if root is None:
            return run
        self._roots.move_to_end(run)
        return root


def kind_of(raw: str) -> DeviceKind:
    """The kind of a raw device id; a ready pseudonym no longer tells."""
    return "unknown" if not raw or is_pseudonym(raw) else device_kind(raw)


def subject_of(
    pseudonymiser: Pseudonymiser,
    roots: Roots,
    *,
    device: str = "",
    run: str = "",
    parent_run: str = "",
    unit: str = "",
    attributes: Mapping[str, str] | None = None,
) -> Subject:
    """The asker in pseudonyms.

    Args:
        pseudonymiser: under the installation's key.
        roots: chains of repeats.
        device: the host's full device id, raw or a pseudonym.
        run: run id, raw or a pseudonym.
        parent_run: the run that this one repeats.
        unit: the unit as the asker names it (assignments, OFREP): a run where runs are randomised and no run is
            given, a device where devices are and no device is given.
        attributes: ``config``, ``language``, ``safety_level``.
    """
    device, run, parent_run, unit = (clean(text.strip()) for text in (device, run, parent_run, unit))
    run_key, parent_key = pseudonymiser.run(run), pseudonymiser.run(parent_run)
    device_key = pseudonymiser.device(device)
    return Subject(
        device=device_key,
        device_kind=kind_of(device),
        run=run_key,
        parent_run=parent_key,
        run_unit=roots.root(run_key or pseudonymiser.run(unit), parent_key),
        device_unit=device_key or pseudonymiser.device(unit),
        attributes={name: clean(text) for name, text in (attributes or {}).items() if text},
    )


def subject_of_headers(headers: Mapping[str, str], pseudonymiser: Pseudonymiser, roots: Roots) -> Subject:
    """The asker of a model call, from the ``X-Equipoise-…`` headers. Empty headers count as left out.

    ``X-Equipoise-Unit`` is the device as the host knows it (``-Device`` wins over it). It is never hashed as a run: a
    call without a run in an experiment by run is its own unit.
    """
    return subject_of(
        pseudonymiser,
        roots,
        device=headers.get("X-Equipoise-Device", "").strip() or headers.get("X-Equipoise-Unit", ""),
        run=headers.get("X-Equipoise-Run", ""),
        parent_run=headers.get("X-Equipoise-Parent-Run", ""),
        attributes={
            "config": headers.get("X-Equipoise-Config", "").strip(),
            "language": headers.get("X-Equipoise-Language", "").strip(),
            "safety_level": headers.get("X-Equipoise-Safety-Level", "").strip(),
        },
    )


def yes_or_no(text: str | None) -> bool | None:
    """A header's yes or no; None if it is neither."""
    word = (text or "").strip().lower()
    if word in ("1", "true", "yes", "on", "ja"):
        return True
    return False if word in ("0", "false", "no", "off", "nein") else None
