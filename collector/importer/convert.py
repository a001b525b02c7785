"""From a classified run to events. Ids follow from the run's pseudonym, so importing again doubles nothing."""

import hashlib
from datetime import datetime, tzinfo
from typing import Final, NamedTuple

from collector.importer.periods import template_version
from collector.importer.run import StoredRun
from experiment.counting import GUARDED_LEVELS
from experiment.events import Call, Outcome, OutcomeKind, Stage
from experiment.pseudonym import Pseudonymiser, device_kind

ORIGIN: Final = "import"


class Address(NamedTuple):
    """What an outcome is posted against: a live call, or else a run."""

    run: str
    """Pseudonym."""
    call: str = ""
    """Id of the live call that the run was joined to."""


class Converter:
    """Makes events of one import.

    Args:
        experiment: the experiment they belong to.
        names: pseudonyms under the installation's key; nothing raw leaves this class.
        zone: the host's time zone, for the template's period.
    """

    def __init__(self, experiment: str, names: Pseudonymiser, zone: tzinfo) -> None:
        self._experiment = experiment
        self.names = names
        self.zone = zone

    def call(self, run: StoredRun, config: str) -> Call:
        """The imported call of a run; without its texts if it was blocked."""
        blocked = run.error is not None and run.error.is_block
        return Call(
            id=f"imp-{self.names.run(run.run)}",
            ts=run.ts,
            experiment=self._experiment,
            model=run.model,
            reason="import",
            device=self.names.device(run.device),
            device_kind=device_kind(run.device),
            run=self.names.run(run.run),
            prompt=self.names.prompt(run.input or ""),
            output_key=self.names.output(run.output or ""),
            config=config,
            language=run.language,
            # A translation that is stored was made; one that is not stored says nothing.
            translated=True if run.translation is not None else None,
            safety_level=run.safety_level,
            template_version=template_version(run.ts, self.zone),
            # The host falls back to another model without a word: what is stored is what was asked for.
            parameters={"model_source": "configured"} if run.model else {},
            input=None if blocked else run.input,
            context=None if blocked else run.context,
            output=None if blocked else run.output,
            origin=ORIGIN,
        )

    def link(self, call_id: str, run: StoredRun) -> Outcome:
        """The run belongs to this live call. The id is the call's, so a call is given away once."""
        return self._outcome(
            "link", f"imp-link-{_short(call_id)}", run.ts, Address(self.names.run(run.run), call_id), child=run.run
        )

    def regeneration(self, run: StoredRun, root: Address) -> Outcome:
        """The run repeats ``root``."""
        return self._outcome("regeneration", f"imp-regeneration-{self.names.run(run.run)}", run.ts, root, child=run.run)

    def outcomes(self, run: StoredRun, address: Address) -> list[Outcome]:
        """Edit, block and 'not blocked', as far as the folder says so. Unknown is none of them."""
        name = self.names.run(run.run)
        found: list[Outcome] = []
        if run.edited_at is not None:
            found.append(self._outcome("edit", f"imp-edit-{name}", run.edited_at, address))
        if run.error is not None and run.error.is_block:
            verdict = run.error
            found.append(
                self._outcome("block", f"imp-block-{name}", run.ts, address, stage=verdict.stage,
                              method=verdict.method, code=verdict.code)
            )  # fmt: skip
        elif run.outputs and run.safety_level in GUARDED_LEVELS:
            ts = max((output.ts for output in run.outputs if output.ts), default=run.ts)
            found.append(self._outcome("not_blocked", f"imp-not_blocked-{name}", ts, address))
        return found

    def favourite(self, ts: datetime, address: Address, *, taken_back: datetime | None = None) -> Outcome:
        """A favourite; with ``taken_back`` the event that ends it."""
        name = _short(f"{address.run} {ts.isoformat()}")
        if taken_back is not None:
            return self._outcome("unfavourite", f"imp-unfavourite-{name}", taken_back, address)
        return self._outcome("favourite", f"imp-favourite-{name}", ts, address)

    def _outcome(
        self, kind: OutcomeKind, name: str, ts: datetime, address: Address, *,
        child: str = "", stage: Stage = "", method: str = "", code: str = "",
    ) -> Outcome:  # fmt: skip
        return Outcome(
            id=name,
            ts=ts,
            experiment=self._experiment,
            kind=kind,
            call=address.call,
            run=address.run,
            child_run=self.names.run(child),
            stage=stage,
            method=method,
            code=code,
            origin=ORIGIN,
        )


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]
