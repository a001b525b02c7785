"""What each number means, a click away; the long version is docs/methods/guard.md."""

from typing import Final, NamedTuple

from dashboard.wording import Text


class Entry(NamedTuple):
    """One term and its explanation."""

    term: Text
    meaning: Text


GUARD: Final = (
    Entry(
        Text("Blockiert", "Blocked"),
        Text(
            "Prompt-Runs des Adapters seit dem Scharfschalten: n gezählte, davon S blockierte. Ein Prompt-Run ist "
            "ein Paar aus Gerät und Prompt mit einem Urteil der Sicherheitsprüfung; wer einen blockierten Prompt "
            "noch einmal schickt, zählt einmal.",
            "The adapter's prompt-runs since arming: n counted, S of them blocked. A prompt-run is a pair of device "
            "and prompt with a verdict of the safety check; sending a blocked prompt again counts once.",
        ),
    ),
    Entry(
        Text("95-%-Intervall", "95 % interval"),
        Text(
            "Wahre Raten, mit denen diese Zahl nicht überraschen würde (Clopper–Pearson, exakt). Der Wächter schaut "
            "ständig hin und hält bei einem Höchststand an: Die Rate im Moment des Auslösens ist im Mittel zu hoch.",
            "True rates with which this count would not be surprising (Clopper–Pearson, exact). The guard looks all "
            "the time and stops at a high moment: the rate at a trip is on average too high.",
        ),
    ),
    Entry(
        Text("Überschuss X · Regel R1", "Excess X · rule R1"),
        Text(
            "So viele Blockierungen mehr, als die Grenze erlauben würde: X = S − Grenze · n. Unter der Mindestzahl "
            "löst erst ein Überschuss von drei aus, damit ein einzelner Prompt keinen Test beendet.",
            "So many blocks more than the limit would allow: X = S − limit · n. Below the minimum count only an "
            "excess of three trips, so that one bad prompt does not end a test.",
        ),
    ),
    Entry(
        Text("Grenze · Regel R2", "Limit · rule R2"),
        Text(
            "Ab der Mindestzahl von Prompt-Runs löst jede Rate über der Grenze aus.",
            "From the minimum count of prompt-runs on, any rate above the limit trips.",
        ),
    ),
    Entry(
        Text("Häufungs-Detektor · Regel R3", "Burst detector · rule R3"),
        Text(
            "Bemerkt eine Häufung nach langer Ruhe, die der Gesamtanteil erst spät zeigen würde. Bei einer wahren "
            "Rate von 5 % erwartet er bis zum Fehlalarm mindestens 10.000 Prompt-Runs. Ein Gerät trägt höchstens "
            "zwei Blockierungen bei.",
            "Notices a burst after a long calm, which the overall share would show late. At a true rate of 5 % it "
            "expects at least 10,000 prompt-runs to a false alarm. One device contributes at most two blocks.",
        ),
    ),
    Entry(
        Text("e-Wert · vorsorglich und bestätigt", "e-value · precautionary and confirmed"),
        Text(
            "Belege über Geräte hinweg dagegen, dass die wahre Rate höchstens die Grenze ist: 1 ist keiner, 100 die "
            "Linie für »bestätigt«. Ein Rollback ist zuerst Vorsorge, kein Urteil; erst »bestätigt« heißt: mehr als "
            "Pech. Auch der dritte vorsorgliche Rollback eines Adapters gilt als bestätigt.",
            "Evidence across devices against 'the true rate is at most the limit': 1 is none, 100 the line for "
            "'confirmed'. A rollback is a precaution first, not a verdict; only 'confirmed' says: more than bad "
            "luck. The third precautionary rollback of one adapter counts as confirmed too.",
        ),
    ),
    Entry(
        Text("Die Zustände", "The states"),
        Text(
            "Nicht scharf, Pausiert, Zurückgerollt, Notbetrieb: Der Adapter bekommt keine Anfrage. Läuft: sein "
            "Anteil. Beobachten: sein Anteil, aber über der Grenze, noch ohne ausgelöste Regel. Notbetrieb: Der "
            "Wächter sieht keine Urteile. Von selbst wird nichts wieder scharf.",
            "Disarmed, Paused, Rolled back, Failsafe: the adapter gets no call. Running: its share. Watch: its "
            "share, but above the limit with no rule tripped yet. Failsafe: the guard sees no verdicts. Nothing "
            "re-arms by itself.",
        ),
    ),
)

ARMS: Final = (
    Entry(
        Text("Anfragen", "Calls"),
        Text(
            "Stage-2-Aufrufe, die das Los diesem Arm gab, im gewählten Ausschnitt; ausgeschlossene Geräte und Tage "
            "fehlen. »Vom eigenen Modell beantwortet«: nicht durch eine Ausweichantwort.",
            "Stage 2 calls that the draw gave to this arm, within the chosen scope; excluded devices and days are "
            "left out. 'Answered by its own model': not by a fallback.",
        ),
    ),
    Entry(
        Text("Geräte", "Devices"),
        Text(
            "Geräte-Tage: dasselbe Tablet zählt an zwei Tagen zweimal, und niemand kann es verbinden.",
            "Device-days: the same tablet on two days counts twice, and nobody can link them.",
        ),
    ),
    Entry(
        Text("Favoriten", "Favourites"),
        Text(
            "Anfragen, deren Ergebnis jemand als Favorit behielt. Sie kommen oft spät; der letzte Stand zählt.",
            "Calls whose result somebody kept as a favourite. They often come late; the last word counts.",
        ),
    ),
    Entry(
        Text("Neu erzeugt", "Regenerations"),
        Text(
            "Anfragen, deren Prompt dasselbe Gerät noch einmal zum Bild machen ließ. Der neue Lauf erbt den Arm.",
            "Calls whose prompt the same device had made into a picture again. The new run inherits the arm.",
        ),
    ),
    Entry(
        Text("Blockierte Prompt-Runs", "Blocked prompt-runs"),
        Text(
            "So, wie der Wächter zählt (Stufe 3, Bild, Verweigerung; kids und youth), aus allem Verkehr, für beide "
            "Arme gleich. Die Basis daneben zeigt, ob es am Adapter liegt oder am Workshop.",
            "As the guard counts them (stage 3, image, refusals; kids and youth), from all traffic, alike for both "
            "arms. The base beside it shows whether it is the adapter or the workshop.",
        ),
    ),
    Entry(
        Text("Bearbeitet · Verweigert", "Edited · refused"),
        Text(
            "Anfragen, deren Text Kinder danach änderten; Anfragen, auf die das Modell mit einer Weigerung statt "
            "einer Verwandlung antwortete.",
            "Calls whose text children changed afterwards; calls that the model answered with a refusal instead of "
            "a transformation.",
        ),
    ),
    Entry(
        Text("Fehler · Ausweichantworten · umgeleitet", "Errors · fallbacks · redirected"),
        Text(
            "Fehler: ohne brauchbare Antwort. Ausweichantwort: Das Modell des Arms fehlte, die Basis antwortete. "
            "Umgeleitet: Das Los gab den Adapter, der Wächter die Basis.",
            "Errors: without a usable answer. Fallback: the arm's model was missing, the base answered. Redirected: "
            "the draw gave the adapter, the guard the base.",
        ),
    ),
    Entry(
        Text("Antwortzeit", "Latency"),
        Text(
            "Vom Gateway aus gesehen. p90: Neun von zehn Antworten waren schneller.",
            "As seen from the gateway. p90: nine answers in ten were faster.",
        ),
    ),
    Entry(
        Text("Überlappende Intervalle", "Overlapping intervals"),
        Text(
            "Diese Seite zeigt, was geschieht; sie vergleicht nicht. Ob ein Unterschied trägt, rechnet 'equipoise "
            "conclude' nach dem vorher festgelegten Plan. Wer beim Zuschauen aufhört, wenn es gut aussieht, findet "
            "immer etwas.",
            "This page shows what happens; it does not compare. Whether a difference holds is what 'equipoise "
            "conclude' computes by the plan fixed before. Who stops when it looks good always finds something.",
        ),
    ),
)

TIME: Final = (
    Entry(
        Text("Anfragen je Zeitabschnitt", "Calls per period"),
        Text("Gestapelt nach Arm, nach der Zeit der Anfrage.", "Stacked by arm, by the call's time."),
    ),
    Entry(
        Text("Blockierte Prompt-Runs und Grenze", "Blocked prompt-runs and limit"),
        Text(
            "Treppe: blockierte Prompt-Runs seit dem Scharfschalten, in der Reihenfolge des Wächters. Gestrichelt: "
            "so viele würde die Grenze erlauben. Gepunktet: Ab hier löst R1 oder R2 aus.",
            "Steps: blocked prompt-runs since arming, in the guard's order. Dashed: so many the limit would allow. "
            "Dotted: from here on R1 or R2 trips.",
        ),
    ),
    Entry(
        Text("Anteil bis dahin", "Share so far"),
        Text(
            "Anteil an allem seit Beginn des Ausschnitts bis zu diesem Moment, mit 95-%-Intervall als Band; gezeigt "
            "ab n = 20. Ein "
            "Intervall gilt für einen vorher bestimmten Moment, nicht für den, der gerade am besten aussieht.",
            "Share of everything from the scope's beginning to that moment, its 95 % interval as a band. An "
            "interval holds for a moment chosen before, not for the one that looks best.",
        ),
    ),
)

BLOCKS: Final = (
    Entry(
        Text("Stufe, Prüfung, Code", "Stage, check, code"),
        Text(
            "Anfragen mit mindestens einer Blockierung dieser Art; Wiederholungen stehen hier mit. Prüfungen sind "
            "selbst nicht neutral: Ein vielfältigerer Arm kann mehr auslösen. Darum steht hier, welche es war.",
            "Calls with at least one block of this kind; repeats are included. Checks are not neutral themselves: a "
            "more diverse arm can trip more of them. That is why it says which one it was.",
        ),
    ),
    Entry(
        Text("Stufe 1", "Stage 1"),
        Text(
            "Blockierungen vor der Zuteilung zählen nie für einen Arm.",
            "Blocks before the assignment never count for an arm.",
        ),
    ),
)

SPLIT: Final = (
    Entry(
        Text("Kleine Gruppen", "Small groups"),
        Text(
            "Je feiner die Teilung, desto breiter die Intervalle; bei zwanzig Gruppen liegt im Mittel eine schon "
            "durch Zufall daneben. Unterschiede hier sind Fragen, keine Antworten.",
            "The finer the split, the wider the intervals; among twenty groups one is off by chance on average. "
            "Differences here are questions, not answers.",
        ),
    ),
    Entry(
        Text("Blockierte Anfragen", "Blocked calls"),
        Text(
            "Hier zählen Anfragen mit einer Blockierung, nicht Prompt-Runs: Wiederholungen sind dabei.",
            "Calls with a block count here, not prompt-runs: repeats are included.",
        ),
    ),
)

HISTORY: Final = (
    Entry(
        Text("Das Log", "The log"),
        Text(
            "Jeder Übergang, unveränderlich: wann, wer, von wo nach wo, nach welcher Regel, mit welchen Zahlen und "
            "warum. Wer das Log noch einmal abspielt (equipoise guard replay), erhält dieselben Auslösungen.",
            "Every transition, append-only: when, who, from where to where, by which rule, with which numbers and "
            "why. Replaying the log (equipoise guard replay) gives the same trips.",
        ),
    ),
)
