"""Texts of the guard: states, rules, evidence, history, and what a person may do."""

from typing import Final

from dashboard.wording import Text

GUARD: Final = Text("Wächter", "Guard")
STATES: Final[dict[str, Text]] = {
    "disarmed": Text("Nicht scharf", "Disarmed"),
    "running": Text("Läuft", "Running"),
    "watch": Text("Beobachten", "Watch"),
    "paused": Text("Pausiert", "Paused"),
    "rolled_back": Text("Zurückgerollt", "Rolled back"),
    "failsafe": Text("Notbetrieb", "Failsafe"),
    "unknown": Text("Unbekannt", "Unknown"),
}
BEFORE: Final = Text("zuletzt: {state}", "last known: {state}")
GRADES: Final = {
    "precautionary": Text("vorsorglich", "precautionary"),
    "confirmed": Text("bestätigt", "confirmed"),
    "manual": Text("von Hand", "manual"),
}
RULE: Final = Text("Regel {rule}", "rule {rule}")
ADAPTER_OF: Final = Text("Adapter-Arm {arm}", "Adapter arm {arm}")
VERSION: Final = Text("Version {adapter}", "version {adapter}")
EPOCH: Final = Text("Epoche {number}", "epoch {number}")
SINCE: Final = Text("seit {time}", "since {time}")
COOLING: Final = Text("wieder scharf schaltbar ab {time}", "can be armed again from {time}")
NO_ADAPTERS: Final = Text(
    "Dieses Experiment hat nur einen Arm: Es gibt nichts zu vergleichen und nichts zu bewachen.",
    "This experiment has one arm only: there is nothing to compare and nothing to guard.",
)

# Evidence
SEEN: Final = Text("Blockiert", "Blocked")
SEEN_DETAIL: Final = Text("{k} von {n} · 95 %: {interval}", "{k} of {n} · 95 %: {interval}")
SEEN_LINE: Final = Text("Grenze {limit} (R2, ab n = {min_n})", "limit {limit} (R2, from n = {min_n})")
EXCESS: Final = Text("Überschuss X", "Excess X")
EXCESS_LINE: Final = Text("löst bei {line} aus (R1, unter n = {min_n})", "trips at {line} (R1, below n = {min_n})")
DETECTOR: Final = Text("Häufungs-Detektor", "Burst detector")
DETECTOR_LINE: Final = Text("löst bei {line} aus (R3)", "trips at {line} (R3)")
E_VALUE: Final = Text("e-Wert", "e-value")
E_LINE: Final = Text("bestätigt ab {line}", "confirmed from {line}")
DEVICES: Final = Text("Geräte", "Devices")
DEVICES_LINE: Final = Text("{blocked} davon mit Blockierung", "{blocked} of them with a block")
DEVICES_UNKNOWN: Final = Text("{count} Prompt-Runs ohne Gerät", "{count} prompt-runs without a device")
NO_DATA: Final = Text("noch keine Daten", "no data yet")

# The alarm
ALARM_ROLLBACK: Final = Text("ZURÜCKGEROLLT: {arm} ist abgeschaltet", "ROLLED BACK: {arm} is switched off")
ALARM_DETAIL: Final = Text(
    "{grade} · {time} · alle Anfragen gehen an die Basis", "{grade} · {time} · every call goes to the base"
)
ALARM_FAILSAFE: Final = Text(
    "NOTBETRIEB: Der Wächter sieht nichts, {arm} ist abgeschaltet",
    "FAILSAFE: the guard can't see, {arm} is switched off",
)
TITLE_ROLLBACK: Final = Text("✕ Zurückgerollt", "✕ Rolled back")
TITLE_FAILSAFE: Final = Text("◆ Notbetrieb", "◆ Failsafe")
BLIND: Final = Text("Der Wächter sieht gerade nichts; Grund:", "The guard can't see now; reason:")
BASE_ONLY: Final = Text("Heute nur Basis, bis {time}", "Base only, until {time}")
OPTED_OUT: Final = Text(
    "{count} Geräte auf eigenen Wunsch bei der Basis", "{count} devices on the base by their own wish"
)

# History
HISTORY: Final = Text("Verlauf des Wächters", "The guard's history")
NO_HISTORY: Final = Text(
    "Noch kein Eintrag. Der erste entsteht, wenn ein Mensch den Adapter scharf schaltet.",
    "No entry yet. The first one is made when a person arms the adapter.",
)
COLUMNS: Final = {
    "time": Text("Zeit", "Time"),
    "adapter": Text("Adapter", "Adapter"),
    "step": Text("Zustand", "State"),
    "why": Text("Regel · Grad", "Rule · grade"),
    "counts": Text("Blockiert", "Blocked"),
    "e": Text("e", "e"),
    "base": Text("Basis blockiert", "Base blocked"),
    "actor": Text("Wer", "Who"),
    "reason": Text("Begründung", "Reason"),
}
BY_ITSELF: Final = Text("von selbst", "by itself")
ACTORS: Final = {
    "equipoise": Text("Wächter", "Guard"),
    "watchdog": Text("Wachhund", "Watchdog"),
    "file system": Text("Dateisystem", "File system"),
}
UNCHANGED: Final = Text("Grad", "grade")

# Control
INTERVENE: Final = Text("Eingreifen", "Intervene")
ACTION: Final = Text("Was soll geschehen?", "What shall happen?")
ACTIONS: Final = {
    "rollback": Text("Zurückrollen", "Roll back"),
    "pause": Text("Pausieren", "Pause"),
    "resume": Text("Fortsetzen", "Resume"),
    "arm": Text("Scharf schalten", "Arm"),
    "base_only_today": Text("Heute nur Basis", "Base only today"),
}
MEANS: Final = {
    "rollback": Text(
        "Der Adapter bekommt ab sofort keine Anfrage mehr. Nur ein Mensch schaltet ihn wieder scharf; dann beginnt "
        "eine neue Epoche.",
        "The adapter gets no call from now on. Only a person arms it again; a new epoch begins then.",
    ),
    "pause": Text(
        "Der Adapter bekommt keine Anfrage, bis jemand fortsetzt. Epoche und Zählung bleiben.",
        "The adapter gets no call until someone resumes. Epoch and counts stay.",
    ),
    "resume": Text(
        "Der Adapter bekommt wieder seinen Anteil. Epoche und Zählung laufen weiter.",
        "The adapter gets its share again. Epoch and counts run on.",
    ),
    "arm": Text(
        "Eine neue Epoche beginnt, die Zählung steht auf null, und der Adapter bekommt seinen Anteil der Anfragen.",
        "A new epoch begins, counts start at zero, and the adapter gets its share of the calls.",
    ),
    "base_only_today": Text(
        "Alle bekommen bis Mitternacht (UTC) den Basis-Arm, etwa wenn eine Klasse nicht teilnehmen soll. Der "
        "Zustand des Wächters bleibt.",
        "Everybody gets the base arm until midnight (UTC), for a class that shall not take part. The guard's state "
        "stays.",
    ),
}
GONE: Final = Text(
    "Der Zustand hat sich gerade geändert: {state}. Diese Aktion ist damit vielleicht nicht mehr nötig oder möglich.",
    "The state has just changed: {state}. This action may not be needed or possible any more.",
)
WHICH: Final = Text("Welcher Adapter?", "Which adapter?")
NAME: Final = Text("Dein Name", "Your name")
REASON: Final = Text("Warum?", "Why?")
REASON_HINT: Final = Text("steht danach im Verlauf des Wächters", "will stand in the guard's history")
ADAPTER_NAME: Final = Text("Version des Adapters, ausgeschrieben", "Adapter version, written out")
ADAPTER_HINT: Final = Text("Eingerichtet ist: {configured}", "Configured is: {configured}")
OVERRIDE: Final = Text(
    "Trotz des bestätigten Rollbacks dieselbe Version scharf schalten; den Grund nenne ich oben",
    "Arm the same version despite its confirmed rollback; my reason stands above",
)
COOLING_HINT: Final = Text(
    "Nach dem vorsorglichen Rollback läuft die Abkühlzeit bis {time}: Zeit, die Codes der Blockierungen zu lesen.",
    "After the precautionary rollback the cool-down runs until {time}: time to read the blocks' codes.",
)
NO_SOURCE: Final = Text(
    "In den letzten 24 Stunden kam kein Urteil der Sicherheitsprüfung an. Ohne Urteile wäre der Wächter blind, und "
    "der Dienst lehnt ab: "
    "Der Host meldet 'block' und 'not_blocked' (docs/host-integration.md).",
    "No verdict of the safety check arrived in the last 24 hours. Without verdicts the guard would be blind and the "
    "service refuses: "
    "the host reports 'block' and 'not_blocked' (docs/host-integration.md).",
)
NEXT: Final = Text("Weiter", "Continue")
NEEDED: Final = Text(
    "Name und Begründung (mindestens drei Buchstaben) werden gebraucht: Sie stehen danach im Verlauf des Wächters.",
    "A name and a reason (three letters at least) are needed: they will stand in the guard's history.",
)
WRONG_ADAPTER: Final = Text(
    "Eingerichtet ist {configured}, nicht {given}. Scharf geschaltet wird nur, was eingerichtet ist.",
    "Configured is {configured}, not {given}. Only what is configured can be armed.",
)
SURE: Final = Text("Wirklich: {action}?", "Really: {action}?")
SURE_ARM: Final = Text("{arm} ({adapter})", "{arm} ({adapter})")
YES: Final = Text("Ja, {action}", "Yes, {action}")
NO: Final = Text("Zurück", "Back")
AGAIN: Final = Text("Noch etwas tun", "Do something else")
ACTION_LOWER: Final = {
    "rollback": Text("zurückrollen", "roll back"),
    "pause": Text("pausieren", "pause"),
    "resume": Text("fortsetzen", "resume"),
    "arm": Text("scharf schalten", "arm"),
    "base_only_today": Text("heute nur Basis", "base only today"),
}
DONE: Final = Text("Erledigt um {time}: {action}.", "Done at {time}: {action}.")
NOT_DONE: Final = Text("Nicht geschehen: {action}.", "Not done: {action}.")
