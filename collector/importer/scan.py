"""One run folder read: from the tree to a :class:`StoredRun`, or the reason why it is not one."""

from datetime import datetime, tzinfo
from typing import Any, Final, NamedTuple

from collector.importer.reading import TextFile, read_run, read_steps
from collector.importer.run import StoredRun
from collector.importer.tree import RunFolder, Tree, Unreadable
from collector.importer.values import NotJson, as_label, as_object, as_text, as_time, decode

NO_METADATA: Final = "metadata.json is missing"
BROKEN_METADATA: Final = "metadata.json is broken JSON"
NO_TIME: Final = "no readable time"


class Glance(NamedTuple):
    """What is needed before anything is read in full: when, and which kinds of config the run names."""

    when: datetime | None
    interception_config: str
    output_configs: frozenset[str]


def glance(tree: Tree, folder: RunFolder, zone: tzinfo) -> Glance:
    """The run's time, for the order in which runs are read, and its configs. Never raises: a broken run has neither."""
    try:
        metadata = as_object(decode(tree.metadata(folder)))
    except (Unreadable, NotJson):
        return Glance(None, "", frozenset())
    steps = read_steps(metadata, zone)
    return Glance(
        as_time(metadata.get("timestamp"), zone),
        as_label(metadata.get("interception_config")),
        frozenset(as_label(s.about.get("config")) for s in steps.final if s.kind.startswith("output_")) - {""},
    )


def read_folder(tree: Tree, folder: RunFolder, zone: tzinfo) -> StoredRun | str:
    """The run in this folder, or why there is none.

    Args:
        tree: the export.
        folder: where the run lies.
        zone: for times without one.
    """
    try:
        metadata = as_object(decode(tree.metadata(folder)))
    except NotJson:
        return BROKEN_METADATA
    except Unreadable as reason:
        return NO_METADATA if str(reason) == "missing" else f"metadata.json was not read: {reason}"
    steps = read_steps(metadata, zone)
    texts: dict[TextFile, str] = {}
    unread: dict[TextFile, str] = {}
    for file in steps.texts():
        try:
            text = as_text(tree.text(folder, file.part, file.name))
        except Unreadable as reason:
            unread[file] = str(reason)
        else:
            if text is None:
                unread[file] = "not a text that can be kept"
            else:
                texts[file] = text
    return read_run(folder, metadata, _error(tree, folder), steps, texts, unread, zone) or NO_TIME


def _error(tree: Tree, folder: RunFolder) -> Any:
    """error.json's content; None without one. A broken one is an error of unknown kind, never 'no error'."""
    try:
        return decode(tree.error(folder))
    except NotJson:
        return {}
    except Unreadable as reason:
        return None if str(reason) == "missing" else {}
