"""Logs of a service: one line per event on the console, with tracebacks in ``{data}/logs``; no texts, no addresses."""

import logging
import os
import sys
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Final

_BYTES: Final = 5_000_000
_FILES: Final = 3


class OneLine(logging.Formatter):
    """A record as one line; of an exception only its type, words and place.

    Frameworks also pass a traceback as the message itself (an app whose start fails): of that the last line counts.
    """

    def format(self, record: logging.LogRecord) -> str:
        """``warning equipoise.watchdog: no evaluation: …``."""
        message = record.getMessage().strip()
        if "Traceback (most recent call last)" in message:
            message = exception_words(message.splitlines()[-1])
        if record.exc_info and record.exc_info[1] is not None:
            error, place = record.exc_info[1], ""
            trace = record.exc_info[2]
            while trace is not None:
                place = f" ({os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno})"
                trace = trace.tb_next
            message += f": {type(error).__name__}: {error}{place}"
        return f"{record.levelname.lower()} {record.name}: {' '.join(message.split())}"


def exception_words(line: str) -> str:
    """The words of a traceback's last line without the dotted name of the exception's class."""
    name, separator, words = line.partition(": ")
    return words if separator and name.replace(".", "").replace("_", "").isalnum() and words else line


class LastError(logging.Handler):
    """Keeps the latest error's line, to say it when a service could not start."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.setFormatter(OneLine())
        self.line = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Remember the first error's words: what comes after it is its consequence."""
        self.line = self.line or self.format(record).partition(": ")[2]


def set_up(service: str, data: Path) -> None:
    """Send the process's logs to stderr and to a rotating file, 0600; without a writable folder to stderr alone.

    Args:
        service: the file's name.
        data: the service's data folder.
    """
    console = logging.StreamHandler(sys.stderr)
    console.setFormatter(OneLine())
    handlers: list[logging.Handler] = [console]
    folder = data / "logs"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{service}.log"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        file = RotatingFileHandler(path, maxBytes=_BYTES, backupCount=_FILES, encoding="utf-8")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        handlers.append(file)
    except OSError as error:
        print(f"warning: no log file: {error}", file=sys.stderr, flush=True)
    logging.basicConfig(level=logging.WARNING, handlers=handlers, force=True)
    # Request logs of HTTP clients name addresses and ids.
    for name in ("httpx", "httpcore", "aiohttp.access"):
        logging.getLogger(name).setLevel(logging.WARNING)
