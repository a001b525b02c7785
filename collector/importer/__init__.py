"""Reads the host's export folder and turns it into events; the folder is never written to."""

from collector.importer.load import import_host
from collector.importer.report import ImportReport
from collector.importer.watch import watch_host

__all__ = ["ImportReport", "import_host", "watch_host"]
