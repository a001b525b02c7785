"""What a person may do to the guard: choose, say who and why, confirm, read the service's answer.

A fragment of its own, so that nothing typed here is lost when the figures renew themselves. The service decides; what
its state does not allow is not offered, and what it refuses is shown with its reason.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import streamlit as st

from client.errors import Refused, ServiceError
from client.http import Client
from dashboard import words_guard as words
from dashboard import words_page as page
from dashboard.markup import joined, notice, tag
from dashboard.reach import trouble
from dashboard.wording import Voice

MIN_REASON: Final = 3
_ASKED: Final = "control-asked"
_ANSWER: Final = "control-answer"
_CLEAR: Final = "control-clear"
_ORDER: Final = ("rollback", "pause", "resume", "arm")


class Request(NamedTuple):
    """What a person asked for and has not confirmed yet."""

    experiment: str
    action: str
    arm: str
    actor: str
    reason: str
    adapter: str = ""
    override: bool = False


class Answer(NamedTuple):
    """What became of it."""

    done: bool
    words: str
    detail: str = ""


def panel(voice: Voice, client: Client, experiment: str) -> None:
    """Draw the control. Meant to be a fragment.

    Args:
        voice: the viewer's language and zone.
        client: the session's connection.
        experiment: its name.
    """
    if st.session_state.pop(_CLEAR, False):
        st.session_state["control-reason"] = st.session_state["control-adapter"] = ""
        st.session_state["control-override"] = False
        st.session_state.pop("control-action", None)
    try:
        guard = client.guard(experiment)
    except ServiceError as error:
        st.html(trouble(voice, error, client.url))
        return
    answer: Answer | None = st.session_state.get(_ANSWER)
    asked: Request | None = st.session_state.get(_ASKED)
    if answer is not None:
        _show(voice, answer)
    elif asked is not None and asked.experiment == experiment:
        _confirm(voice, client, asked)
    else:
        adapter = _which(voice, guard)
        action = _what(voice, adapter)
        if action is not None:
            _form(voice, guard, adapter, action, experiment)


def _show(voice: Voice, answer: Answer) -> None:
    st.html(notice("done" if answer.done else "refused", answer.words, answer.detail or None))
    if st.button(voice.say(words.AGAIN), key="control-again", width="stretch"):
        st.session_state.pop(_ANSWER)
        st.rerun(scope="fragment")


def _which(voice: Voice, guard: Mapping[str, Any]) -> Mapping[str, Any] | None:
    adapters: dict[str, Mapping[str, Any]] = {adapter["arm"]: adapter for adapter in guard["adapters"]}
    if len(adapters) <= 1:
        return next(iter(adapters.values()), None)
    chosen = st.selectbox(voice.say(words.WHICH), list(adapters), key="control-arm", filter_mode=None)
    return adapters[chosen]


def _what(voice: Voice, adapter: Mapping[str, Any] | None) -> str | None:
    possible = [action for action in _ORDER if adapter is not None and action in adapter["possible"]]
    possible.append("base_only_today")
    chosen = st.session_state.setdefault("control-action", possible[0])
    # A choice stays when the guard moves on meanwhile: whoever is typing a reason must not find another form.
    gone = chosen not in possible and chosen in words.ACTIONS
    possible = [chosen, *possible] if gone else possible
    action = st.segmented_control(
        voice.say(words.ACTION),
        possible,
        format_func=lambda value: voice.say(words.ACTIONS[value]),
        key="control-action",
        required=True,
        persist_state="page",
    )
    with st.container():  # always there, so that what comes and goes in it moves no field below
        if gone and action == chosen and adapter is not None:
            st.html(notice("hint", voice.say(words.GONE, state=voice.say(words.STATES[adapter["state"]]))))
        if action is not None:
            st.html(tag("p", voice.say(words.MEANS[action]), cls="eq-means"))
    return action


def _form(
    voice: Voice, guard: Mapping[str, Any], adapter: Mapping[str, Any] | None, action: str, experiment: str
) -> None:
    given, override = "", False
    with st.container():
        if action == "arm" and adapter is not None:
            _warn(voice, guard, adapter)
    with st.form("control-form", border=False):
        if action == "arm" and adapter is not None:
            hint = voice.say(words.ADAPTER_HINT, configured=adapter["configured"])
            given = st.text_input(
                voice.say(words.ADAPTER_NAME),
                key="control-adapter",
                autocomplete="off",
                placeholder=hint,
                persist_state="page",
            )
        actor = st.text_input(
            voice.say(words.NAME), key="control-actor", max_chars=200, autocomplete="off", persist_state="session"
        )
        reason = st.text_area(
            voice.say(words.REASON),
            key="control-reason",
            max_chars=1000,
            height=76,
            placeholder=voice.say(words.REASON_HINT),
            persist_state="page",
        )
        if action == "arm" and adapter is not None and adapter["grade"] == "confirmed":
            override = st.checkbox(voice.say(words.OVERRIDE), key="control-override", persist_state="page")
        submitted = st.form_submit_button(voice.say(words.NEXT), width="stretch")
    if not submitted:
        return
    arm = "" if action == "base_only_today" or adapter is None else adapter["arm"]
    asked = Request(
        experiment, action, arm, (actor or "").strip(), (reason or "").strip(), (given or "").strip(), override
    )
    if not asked.actor or len(asked.reason) < MIN_REASON:
        st.html(notice("hint", voice.say(words.NEEDED)))
    elif action == "arm" and adapter is not None and asked.adapter != adapter["configured"]:
        wrong = voice.say(words.WRONG_ADAPTER, configured=adapter["configured"], given=asked.adapter or "–")
        st.html(notice("refused", wrong))
    else:
        st.session_state[_ASKED] = asked
        st.rerun(scope="fragment")


def _warn(voice: Voice, guard: Mapping[str, Any], adapter: Mapping[str, Any]) -> None:
    if not guard["verdict_source"]:
        st.html(notice("hint", voice.say(words.NO_SOURCE)))
    if adapter["cooldown_until"] and adapter["cooldown_until"] > guard["generated_at"]:
        st.html(notice("hint", voice.say(words.COOLING_HINT, time=voice.minute(adapter["cooldown_until"]))))


def _confirm(voice: Voice, client: Client, asked: Request) -> None:
    what = voice.say(words.ACTION_LOWER[asked.action])
    lines = [tag("strong", voice.say(words.SURE, action=what))]
    lines.append(tag("div", voice.say(words.MEANS[asked.action]), cls="eq-means"))
    if asked.arm:
        lines.append(tag("div", f"{asked.arm} · {asked.adapter}" if asked.adapter else asked.arm))
    lines.append(tag("div", f"{asked.actor}: »{asked.reason}«", cls="eq-quote"))
    st.html(tag("div", joined(*lines), cls="eq-confirm", role="status", lang=voice.language))
    yes, no = st.columns(2)
    if yes.button(voice.say(words.YES, action=what), type="primary", key="control-yes", width="stretch"):
        st.session_state.pop(_ASKED)
        st.session_state[_ANSWER] = _act(voice, client, asked)
        st.session_state[_CLEAR] = st.session_state[_ANSWER].done
        st.rerun()
    if no.button(voice.say(words.NO), key="control-no", width="stretch"):
        st.session_state.pop(_ASKED)
        st.rerun(scope="fragment")


def _act(voice: Voice, client: Client, asked: Request) -> Answer:
    what = voice.say(words.ACTIONS[asked.action])
    try:
        answer = client.act_on_guard(
            asked.experiment,
            action=asked.action,
            arm=asked.arm,
            reason=asked.reason,
            actor=asked.actor,
            adapter=asked.adapter,
            override=asked.override,
        )
    except Refused as error:
        not_done = voice.say(words.NOT_DONE, action=what)
        if error.status == 403:
            return Answer(False, f"{not_done} {voice.say(page.FORBIDDEN)}", error.detail)
        return Answer(False, f"{not_done} {voice.say(page.REFUSED)}", error.detail)
    except ServiceError as error:
        return Answer(False, voice.say(words.NOT_DONE, action=what), str(error))
    try:
        guard = client.guard(asked.experiment)
    except ServiceError:
        return Answer(True, answer["sentence"])
    said = _now(voice, guard, asked) or answer["sentence"]
    return Answer(True, f"{voice.say(words.DONE, time=voice.clock(guard['generated_at']), action=what)} {said}")


def _now(voice: Voice, guard: Mapping[str, Any], asked: Request) -> str:
    """What holds after an action, in the viewer's language."""
    if asked.action == "base_only_today":
        until = guard["base_only_until"]
        return voice.say(words.BASE_ONLY, time=voice.minute(until)) + "." if until else ""
    adapters = (adapter for adapter in guard["adapters"] if adapter["arm"] == asked.arm)
    return next((voice.pick(adapter["sentences"]) for adapter in adapters), "")
