"""Texts of the page: frame, filters, tables, charts, empty states, trouble. The guard's are in :mod:`words_guard`."""

from typing import Final

from dashboard.wording import Text

# The frame
LIVE: Final = Text("Live", "Live")
SUBTITLE: Final = Text("Stage-2-Vergleich: Basis und Adapter", "Stage 2 comparison: base and adapter")
LANGUAGE: Final = Text("Sprache", "Language")
EXPERIMENT: Final = Text("Experiment", "Experiment")
AS_OF: Final = Text("Stand {time}", "As of {time}")
UPDATES: Final = Text(
    "erneuert sich alle {seconds} s · Zeiten in {zone}", "updates every {seconds} s · times in {zone}"
)
HELP: Final = Text("Was bedeutet das?", "What does this mean?")
SYNTHETIC: Final = Text("SYNTHETISCH", "SYNTHETIC")
SYNTHETIC_MEANS: Final = Text(
    "Erfundener Workshop-Verkehr zur Vorführung. Keine dieser Zahlen stammt von Kindern, und keine belegt etwas.",
    "Made-up workshop traffic for demonstration. None of these figures comes from children, and none proves anything.",
)
ABOUT: Final = Text(
    "Equipoise vergleicht im laufenden Workshop ein feinabgestimmtes Modell mit seiner Basis und schaltet es ab, "
    "wenn es "
    "schadet. Dunkel oder hell: in diesem Menü.",
    "Equipoise compares a fine-tuned model with its base while the workshop runs, and switches it off if it harms. "
    "Dark or light: in this menu.",
)

# The filters
EPOCH: Final = Text("Epoche", "Epoch")
EPOCH_CURRENT: Final = Text("Aktuelle", "Current")
EPOCH_CURRENT_N: Final = Text("Aktuelle ({number})", "Current ({number})")
EPOCH_ALL: Final = Text("Alle", "All")
EPOCH_N: Final = Text("Epoche {number}", "Epoch {number}")
TRAFFIC: Final = Text("Verkehr", "Traffic")
TRAFFICS: Final = {
    "workshop": Text("Workshop", "Workshop"),
    "all": Text("Alles, auch Testgeräte", "All, test devices too"),
}
ORIGIN: Final = Text("Herkunft", "Origin")
ORIGINS: Final = {
    "live": Text("Live", "Live"),
    "import": Text("Importiert", "Imported"),
    "replay": Text("Nachgespielt", "Replayed"),
}
HOURS: Final = Text("Zeitfenster", "Time window")
WINDOWS: Final = {
    "all": Text("Von Anfang an", "From the beginning"),
    "1": Text("Letzte Stunde", "Last hour"),
    "4": Text("Letzte 4 Stunden", "Last 4 hours"),
    "24": Text("Letzte 24 Stunden", "Last 24 hours"),
    "168": Text("Letzte 7 Tage", "Last 7 days"),
}
SPLIT_BY: Final = Text("Aufteilen nach", "Split by")
DIMENSIONS: Final = {
    "config": Text("Host-Konfiguration", "Host config"),
    "language": Text("Sprache", "Language"),
    "safety_level": Text("Schutzstufe", "Safety level"),
    "day": Text("Tag (UTC)", "Day (UTC)"),
}

# Arms side by side
SIDE_BY_SIDE: Final = Text("Die Arme nebeneinander", "The arms side by side")
MEASURE: Final = Text("Was gemessen wird", "What is measured")
BASE_ARM: Final = Text("Basis", "Base")
ADAPTER_ARM: Final = Text("Adapter", "Adapter")
WEIGHT: Final = Text("Gewicht {weight}", "weight {weight}")
OPEN: Final = Text("bekommt Verkehr", "gets traffic")
CLOSED: Final = Text("bekommt keinen Verkehr", "gets no traffic")
OTHER_ARM: Final = Text("nicht eingerichtet", "not configured")
NO_ARM: Final = Text("ohne Arm", "no arm")
CALLS: Final = Text("Anfragen", "Calls")
TREATED: Final = Text("{count} vom eigenen Modell beantwortet", "{count} answered by its own model")
DEVICES: Final = Text("Geräte", "Devices")
FAVOURITES: Final = Text("Favoriten", "Favourites")
REGENERATIONS: Final = Text("Neu erzeugt", "Regenerations")
BLOCKED_RUNS: Final = Text("Blockierte Prompt-Runs", "Blocked prompt-runs")
BLOCKED_CALLS: Final = Text("Blockierte Anfragen", "Blocked calls")
EDITS: Final = Text("Von Kindern bearbeitet", "Edited by children")
REFUSALS: Final = Text("Vom Modell verweigert", "Refused by the model")
ERRORS: Final = Text("Fehler", "Errors")
FALLBACKS: Final = Text("Ausweichantworten der Basis", "Fallbacks to the base")
GUARDED: Final = Text("Vom Wächter umgeleitet", "Redirected by the guard")
LATENCY: Final = Text("Antwortzeit", "Latency")
LATENCY_MEDIAN: Final = Text("{median} ms", "{median} ms")
LATENCY_REST: Final = Text(
    "Median · p90 {p90} ms · p99 {p99} ms · n = {n}", "median · p90 {p90} ms · p99 {p99} ms · n = {n}"
)
OF: Final = Text("{k} von {n}", "{k} of {n}")
NO_DATA: Final = Text("noch keine Daten", "no data yet")
NO_VERDICTS: Final = Text("noch kein Urteil der Sicherheitsprüfung", "no verdict of the safety check yet")
RATE_CELL: Final = Text("{k} von {n} · 95 %: {interval}", "{k} of {n} · 95 %: {interval}")
INTERVALS: Final = Text("Anteile mit 95-%-Intervall", "Shares with 95 % interval")
INTERVAL_ALT: Final = Text(
    "{name}: Anteil je Arm mit 95-%-Intervall. {rates}", "{name}: share per arm with its 95 % interval. {rates}"
)
LIMIT: Final = Text("Grenze {limit}", "limit {limit}")

# Over time
OVER_TIME: Final = Text("Im Zeitverlauf", "Over time")
CALLS_PER_BIN: Final = Text("Anfragen je {bin}", "Calls per {bin}")
BLOCKED_AGAINST_LIMIT: Final = Text(
    "Blockierte Prompt-Runs von {arm} seit dem Scharfschalten", "Blocked prompt-runs of {arm} since arming"
)
LINE_LIMIT: Final = Text("Grenze {limit}", "limit {limit}")
LINE_TRIP: Final = Text("Auslösung", "trips")
RUNNING_SHARE: Final = Text("{name}: Anteil bis dahin", "{name}: share so far")
CALLS_ALT: Final = Text("Anfragen je {bin} und Arm über die Zeit.", "Calls per {bin} and arm over time.")
EVIDENCE_ALT: Final = Text(
    "Blockierte Prompt-Runs von {arm} über die Zeit, zuletzt {blocked} von {n}; die Grenze erlaubt dort {allowed}.",
    "Blocked prompt-runs of {arm} over time, lately {blocked} of {n}; the limit allows {allowed} there.",
)
RUNNING_ALT: Final = Text(
    "{name}: Anteil bis zum jeweiligen Zeitpunkt je Arm, mit 95-%-Intervall. {rates}",
    "{name}: share up to each moment per arm, with 95 % interval. {rates}",
)
TIME: Final = Text("Zeit", "time")
ARM: Final = Text("Arm", "arm")
SHARE: Final = Text("Anteil", "share")
COUNT: Final = Text("Anzahl", "count")
SECONDS: Final = Text("{count} Sekunden", "{count} seconds")
MINUTES: Final = Text("{count} Minuten", "{count} minutes")
MINUTE: Final = Text("Minute", "minute")
HOURS_N: Final = Text("{count} Stunden", "{count} hours")
HOUR: Final = Text("Stunde", "hour")
DAYS: Final = Text("{count} Tage", "{count} days")
DAY: Final = Text("Tag", "day")

# Blocks and splits
BLOCKS: Final = Text("Wer hat blockiert?", "What blocked?")
STAGE: Final = Text("Stufe", "Stage")
METHOD: Final = Text("Prüfung", "Check")
CODE: Final = Text("Code", "Code")
NO_BLOCKS: Final = Text("Keine Blockierung gemeldet.", "No block reported.")
SPLIT: Final = Text("Aufgeteilt nach {dimension}", "Split by {dimension}")
NO_SPLIT: Final = Text("Noch nichts aufzuteilen.", "Nothing to split yet.")

# Empty states: what to do next
NO_CALLS: Final = Text(
    "In diesem Ausschnitt gibt es noch keine Anfragen. Den Host auf das Gateway zeigen lassen (Port 17812, "
    "docs/host-integration.md), "
    "einen Export einlesen (equipoise import host) oder die Vorführung starten (equipoise demo). Oder den "
    "Ausschnitt weiten.",
    "There are no calls in this scope yet. Point the host at the gateway (port 17812, docs/host-integration.md), "
    "import an export "
    "(equipoise import host), or start the demonstration (equipoise demo). Or widen the scope.",
)
CLOSED_ARM: Final = Text(
    "{arm} bekommt keinen Verkehr: Erst wenn ein Mensch den Adapter scharf schaltet (Eingreifen → Scharf schalten), "
    "kommen hier Zahlen.",
    "{arm} gets no traffic: figures appear here once a person arms the adapter (Intervene → Arm).",
)
WAITING_ARM: Final = Text(
    "{arm} ist offen, hat in diesem Ausschnitt aber noch keine Anfrage: Das Los hat noch keine dorthin gegeben.",
    "{arm} is open but has no call in this scope yet: the draw has not sent one there.",
)
MISSING_VERDICTS: Final = Text(
    "Es gibt Anfragen, aber noch kein Urteil der Sicherheitsprüfung. Der Host meldet 'block' und 'not_blocked' "
    "(docs/host-integration.md), oder 'equipoise import host --watch' liest sie aus dem Export.",
    "There are calls but no verdict of the safety check yet. The host reports 'block' and 'not_blocked' "
    "(docs/host-integration.md), or 'equipoise import host --watch' reads them from its export.",
)
NO_EXPERIMENT: Final = Text(
    "Der Dienst kennt kein Experiment. In equipoise.toml einen Abschnitt [experiment.NAME] mit zwei Armen anlegen "
    "(Vorlage: equipoise.example.toml) und den Dienst neu starten.",
    "The service knows no experiment. Add a section [experiment.NAME] with two arms to equipoise.toml "
    "(see equipoise.example.toml) and restart the service.",
)
UNKNOWN_EXPERIMENT: Final = Text(
    "Das Experiment in der Adresse gibt es nicht; gezeigt wird das erste vorhandene.",
    "The experiment in the address does not exist; the first known one is shown.",
)

# Trouble
DOWN: Final = Text(
    "Der Dienst unter {url} antwortet nicht. Läuft er? Starten: 'equipoise up' oder 'equipoise serve'. Diese Seite "
    "versucht es weiter.",
    "The service at {url} does not answer. Is it running? Start it with 'equipoise up' or 'equipoise serve'. This "
    "page keeps trying.",
)
OLD: Final = Text(
    "Die Zahlen darunter sind von {time} und erneuern sich nicht. Ohne Dienst gibt das Gateway nach spätestens 60 "
    "Sekunden "
    "alle Anfragen an die Basis.",
    "The figures below are from {time} and do not update. Without the service the gateway sends every call to the "
    "base after "
    "60 seconds at most.",
)
FORBIDDEN: Final = Text(
    "Die Rolle dieses Tokens darf das nicht sehen oder tun. Ein Token der Rolle 'leader' oder 'researcher' eingeben.",
    "This token's role may not see or do that. Enter a token of the role 'leader' or 'researcher'.",
)
REFUSED: Final = Text("Der Dienst hat abgelehnt.", "The service refused.")
BROKEN: Final = Text(
    "Auf dieser Seite ist ein unerwarteter Fehler aufgetreten. Neu laden hilft meistens; das Log des Dashboards "
    "sagt mehr.",
    "An unexpected error occurred on this page. Reloading mostly helps; the dashboard's log says more.",
)

# The door
TOKEN: Final = Text("Token", "Token")
TOKEN_NEEDED: Final = Text("Wer schaut hier?", "Who is looking?")
TOKEN_WHY: Final = Text(
    "Der Dienst verlangt ein Token. Tokens für Workshop-Leitung und Forschung liegen auf dem Rechner des Dienstes "
    "in tokens.json. "
    "Das Token bleibt nur im Speicher dieser Sitzung: nicht in der Adresse, nicht auf der Platte.",
    "The service asks for a token. Tokens for workshop leaders and researchers are on the service's machine in "
    "tokens.json. "
    "The token stays in this session's memory only: not in the address, not on disk.",
)
TOKEN_ENTER: Final = Text("Eintreten", "Enter")
TOKEN_WRONG: Final = Text(
    "Dieses Token gilt hier nicht. Vollständig kopiert? Oder wurde es gewechselt?",
    "This token is not valid here. Copied completely? Or was it rotated?",
)
TOKEN_EMPTY: Final = Text("Bitte ein Token eingeben.", "Please enter a token.")
TOKEN_FORGET: Final = Text("Abmelden", "Sign out")
