"""HTML with everything escaped: the only way from data to the page.

Streamlit sanitises what ``st.html`` gets once more; Markdown is never given anything that comes from events.
"""

from html import escape
from typing import Final


class Html(str):
    """Text that is HTML already; every other text is escaped."""

    __slots__ = ()


NOTHING: Final = Html("")


def tag(name: str, *children: str | None, **attributes: str | None) -> Html:
    """An element.

    Args:
        name: of the element.
        children: :class:`Html` as it is, other text escaped, None left out.
        attributes: ``cls`` for class, ``aria_label`` for aria-label; None left out.
    """
    written = "".join(
        f' {_attribute(key)}="{escape(value, quote=True)}"' for key, value in attributes.items() if value is not None
    )
    return Html(f"<{name}{written}>{joined(*children)}</{name}>")


def joined(*children: str | None) -> Html:
    """Children one after the other, escaped where they are not HTML."""
    return Html("".join(child if isinstance(child, Html) else escape(child) for child in children if child is not None))


def _attribute(key: str) -> str:
    return "class" if key == "cls" else key.rstrip("_").replace("_", "-")


def notice(kind: str, words: str, detail: str | None = None) -> Html:
    """A sentence that helps, in a box.

    Args:
        kind: ``trouble``, ``refused``, ``done`` or ``hint``.
        words: the sentence.
        detail: the service's own words, in English.
    """
    symbol = {"trouble": "⚠", "refused": "✕", "done": "✓", "hint": "→"}[kind]
    return tag(
        "div",
        tag("span", symbol, cls="eq-notice-symbol", aria_hidden="true"),
        tag("div", words, tag("div", detail, cls="eq-notice-detail", lang="en") if detail else None),
        cls=f"eq-notice eq-notice-{kind}",
        role="alert" if kind in ("trouble", "refused") else "status",
    )
