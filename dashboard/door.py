"""The connection of one session: in development mode at once, otherwise with the token that a person enters.

The token stays in the session's memory. It is not in the URL, not on disk and not in the browser's storage, and it goes
when the session ends.
"""

from typing import Any, Final

import streamlit as st

from client.errors import Unauthorised
from client.http import Client
from dashboard import words_page as words
from dashboard.markup import notice
from dashboard.wording import Voice

_CLIENT: Final = "door-client"
_WRONG: Final = "door-wrong"
_ENTERED: Final = "door-entered"


def connection(url: str, timeout_s: float) -> Client:
    """The session's client; without a token until one is entered.

    Args:
        url: of the owner service.
        timeout_s: patience for one answer.
    """
    if _CLIENT not in st.session_state:
        st.session_state[_CLIENT] = Client(url, timeout=timeout_s, patience=0)
    client: Client = st.session_state[_CLIENT]
    return client


def has_token() -> bool:
    """Whether a person entered a token that was accepted."""
    return bool(st.session_state.get(_ENTERED))


def forget() -> None:
    """Drop the token and the connection that carries it."""
    for key in (_CLIENT, _ENTERED):
        old: Any = st.session_state.pop(key, None)
        if isinstance(old, Client):
            old.close()


def turned_away() -> None:
    """The service no longer takes the token: ask again, and say so."""
    st.session_state[_WRONG] = has_token()
    forget()


def ask(voice: Voice, url: str, timeout_s: float) -> None:
    """Draw the token entry; a valid token lets the page run again.

    Raises:
        ServiceError: the service does not answer.
    """
    wrong = st.session_state.pop(_WRONG, False)
    with st.container(key="door"), st.form("door-form", border=True):
        st.subheader(voice.say(words.TOKEN_NEEDED), anchor=False)
        st.html(f"<p>{voice.say(words.TOKEN_WHY)}</p>")
        token = st.text_input(voice.say(words.TOKEN), type="password", autocomplete="off", key="door-token")
        entered = st.form_submit_button(voice.say(words.TOKEN_ENTER), type="primary")
        if entered and _try(voice, url, timeout_s, (token or "").strip()):
            st.rerun()
        if wrong and not entered:
            st.html(notice("refused", voice.say(words.TOKEN_WRONG)))


def _try(voice: Voice, url: str, timeout_s: float, token: str) -> bool:
    if not token:
        st.html(notice("hint", voice.say(words.TOKEN_EMPTY)))
        return False
    try:
        client = Client(url, token, timeout=timeout_s, patience=0)
        client.experiments()
    except ValueError:  # characters that no token has
        st.html(notice("refused", voice.say(words.TOKEN_WRONG)))
        return False
    except Unauthorised as error:
        st.html(notice("refused", voice.say(words.TOKEN_WRONG if error.status == 401 else words.FORBIDDEN)))
        return False
    forget()
    st.session_state[_CLIENT], st.session_state[_ENTERED] = client, True
    return True
