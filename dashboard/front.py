"""The script that Streamlit runs for every session: the frame, who is looking, which experiment, then the live page."""

from typing import Any

import streamlit as st

from client.errors import ServiceError, Unauthorised
from client.http import Client
from dashboard import control, door, live, scope
from dashboard import words_guard as guard_words
from dashboard import words_page as words
from dashboard.config import DashboardSettings
from dashboard.markup import notice, tag
from dashboard.reach import trouble
from dashboard.serve import SECRETS, STYLE
from dashboard.wording import LANGUAGES, Language, Voice, zone


def set_title(what: str = "") -> None:
    """Set what the browser's tab says."""
    st.set_page_config(
        page_title=f"{what} · Equipoise" if what else "Equipoise",
        layout="wide",
        menu_items={"About": f"**Equipoise**\n\n{words.ABOUT.de}\n\n{words.ABOUT.en}"},
    )


def main() -> None:
    """Draw the page."""
    given: dict[str, Any] = st.secrets[SECRETS].to_dict()
    url = given.pop("api_url")
    settings = DashboardSettings.model_validate(given)
    set_title()
    st.html(STYLE)
    language: Language = "en" if scope.current(_LANGUAGE) == "en" else "de"
    voice = Voice(language, zone(st.context.timezone))
    client = door.connection(url, settings.timeout_s)
    try:
        experiments = client.experiments()
    except Unauthorised as error:
        _header(voice, None, None)
        if error.status == 401:
            if door.has_token():
                door.turned_away()
            door.ask(voice, url, settings.timeout_s)
        else:
            st.html(trouble(voice, error, url))
        return
    except ServiceError as error:
        _header(voice, None, None)
        st.html(trouble(voice, error, url))
        st.fragment(_wait, run_every=settings.refresh_s)(client)
        return
    if not experiments:
        _header(voice, None, client)
        st.html(notice("hint", voice.say(words.NO_EXPERIMENT)))
        return
    name = _header(voice, [item["name"] for item in experiments], client)
    with st.container(key="synthetic"):
        if any(item["synthetic"] for item in experiments):
            _synthetic(voice)
    epoch = next(int(item["epoch"]) for item in experiments if item["name"] == name)
    live_page = st.fragment(live.page, run_every=settings.refresh_s)
    live_page(voice, client, name, epoch, settings.refresh_s, set_title)


_LANGUAGE = scope.Choice("lang", LANGUAGES)


def _header(voice: Voice, experiments: list[str] | None, client: Client | None) -> str:
    """Name, experiment, control, language; returns the experiment that is looked at."""
    name = ""
    with st.container(horizontal=True, vertical_alignment="center", key="header"):
        st.html(
            tag(
                "div",
                tag("h1", "Equipoise", cls="eq-brand"),
                tag("span", voice.say(words.SUBTITLE), cls="eq-subtitle"),
                cls="eq-top",
                lang=voice.language,
            )
        )
        if experiments:
            choice = scope.Choice("experiment", tuple(experiments))
            name = scope.pick(choice, voice.say(words.EXPERIMENT)) if len(experiments) > 1 else experiments[0]
        if name and client is not None:
            with (
                st.popover(voice.say(guard_words.INTERVENE), icon=":material/pan_tool:", key="control"),
                st.container(key="control-panel"),
            ):
                st.fragment(control.panel)(voice, client, name)
        if door.has_token() and st.button(voice.say(words.TOKEN_FORGET), type="tertiary", key="forget"):
            door.forget()
            st.rerun()
        scope.switch(_LANGUAGE, voice.say(words.LANGUAGE), [language.upper() for language in LANGUAGES])
    return name


def _synthetic(voice: Voice) -> None:
    st.html(
        tag(
            "div",
            tag("strong", voice.say(words.SYNTHETIC)),
            tag("span", voice.say(words.SYNTHETIC_MEANS)),
            cls="eq-synthetic",
            role="note",
            lang=voice.language,
        )
    )


def _wait(client: Client) -> None:
    """Look again while the service is away; the page comes by itself once it answers."""
    try:
        client.experiments()
    except Unauthorised:
        st.rerun()
    except ServiceError:
        return
    st.rerun()


main()
