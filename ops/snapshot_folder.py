"""A snapshot's folder: written from a running service, checked before anything is believed in it.

``*.parquet`` one file per table · ``codebook.md`` · ``snapshot.json`` configuration, version, time · ``SHA256SUMS`` of
all these; its own SHA-256 names the snapshot as a whole.
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from client.http import Client
from ops.codebook import codebook
from ops.errors import UserError
from ops.output import say

SUMS: Final = "SHA256SUMS"
FACTS: Final = "snapshot.json"
CODEBOOK: Final = "codebook.md"


class Snapshot(NamedTuple):
    """A folder whose files are what they were when it was written."""

    folder: Path
    facts: dict[str, Any]
    """What the service said of itself, and 'texts': whether calls have theirs."""
    sha256: str
    """Of the whole."""
    files: dict[str, str]
    """SHA-256 of every file."""

    def table(self, name: str) -> Path:
        """A table's file."""
        return self.folder / f"{name}.parquet"


def write(client: Client, name: str, folder: Path, *, texts: bool) -> Snapshot:
    """Freeze an experiment into a folder that does not exist yet; a broken attempt leaves none behind.

    Args:
        client: of a running service.
        name: the experiment.
        folder: where to.
        texts: with what children and models wrote.

    Raises:
        UserError: the folder is there already, or it can't be written.
    """
    if folder.exists():
        raise UserError(f"{folder} exists: a snapshot is never written over, name another folder")
    partial = folder.with_name(f"{folder.name}.partial")
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(mode=0o700, parents=True)
        _fill(client, name, partial, texts=texts)
        partial.rename(folder)
    except OSError as error:
        raise UserError(f"{error.filename or folder}: {error.strerror or error}; is there room?") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return read(folder)


def _fill(client: Client, name: str, folder: Path, *, texts: bool) -> None:
    facts = client.snapshot(name)
    described: dict[str, tuple[int, dict[str, str]]] = {}
    for table in facts["tables"]:
        rows, schema = 0, None
        writer: pq.ParquetWriter | None = None
        for page in _pages(client, name, table, facts, texts=texts):
            if writer is None:
                schema = page.schema
                writer = pq.ParquetWriter(folder / f"{table}.parquet", schema, compression="zstd")
            writer.write_table(page)
            rows += page.num_rows
        if writer is not None and schema is not None:
            writer.close()
            described[table] = (rows, {field.name: str(field.type) for field in schema})
        say(f"{table}: {rows:,} rows")
    (folder / CODEBOOK).write_text(codebook(described), encoding="utf-8")
    text = json.dumps(facts | {"texts": texts}, indent=2, ensure_ascii=False, sort_keys=True)
    (folder / FACTS).write_text(text + "\n", encoding="utf-8")
    lines = [f"{_sha256(file)}  {file.name}\n" for file in sorted(folder.iterdir())]
    (folder / SUMS).write_text("".join(lines), encoding="utf-8")


def _pages(client: Client, name: str, table: str, facts: dict[str, Any], *, texts: bool) -> Iterator[pa.Table]:
    after, last = 0, max(facts["seq"], 1)
    while after < last:
        stream = client.snapshot_table(name, table, texts=texts, after=after, until=last)
        with pa.ipc.open_stream(stream) as reader:
            yield reader.read_all()
        after = last if table == "epochs" else after + facts["page"]


def read(folder: Path) -> Snapshot:
    """Check every file against its sum.

    Raises:
        UserError: no snapshot, a file is missing, one too many, or another than it was.
    """
    try:
        sums = (folder / SUMS).read_bytes()
    except OSError as error:
        raise UserError(f"{folder} is no snapshot: {SUMS}: {error.strerror or error}") from None
    files = {line[66:]: line[:64] for line in sums.decode("utf-8", "replace").splitlines()}
    there = {file.name for file in folder.iterdir() if file.name != SUMS}
    for file in sorted(there ^ set(files)):
        raise UserError(f"{folder / file}: {'not part of the snapshot' if file in there else 'missing'}")
    for file, known in files.items():
        if _sha256(folder / file) != known:
            raise UserError(f"{folder / file} is not what it was when the snapshot was taken: its SHA-256 differs")
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return Snapshot(folder, facts, hashlib.sha256(sums).hexdigest(), files)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
