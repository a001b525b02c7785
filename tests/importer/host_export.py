"""Builds a host's export tree exactly as HOST.md describes it. All texts are our own."""

import json
import os
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

BROWSER = "3f2b8c1e-5d4a-4e6f-9a7b-0c1d2e3f4a5b"
OTHER_BROWSER = "7a6b5c4d-3e2f-4a1b-8c9d-0e1f2a3b4c5d"
LAN = "k3j9x0q2"
INTERCEPTION = "river_of_voices"
OUTPUT = "picture_maker"


@dataclass
class Export:
    """``exports/json`` below a folder; every method writes one run and returns its id.

    Times are naive local ones, as the host writes them; each run is a minute after the one before.
    """

    root: Path
    at: datetime = datetime(2026, 3, 14, 10, 0)
    folders: list[Path] = field(default_factory=list)
    favourites: list[dict[str, Any]] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        self.json = self.root / "exports" / "json"
        self.json.mkdir(parents=True, exist_ok=True)

    def next_run(self) -> str:
        self._count += 1
        self.at += timedelta(minutes=1)
        return f"run_{1_773_478_800_000 + self._count * 60_000}_{self._count:06x}"

    def device(self, browser: str = BROWSER) -> str:
        return f"{browser}_{self.at:%Y-%m-%d}"

    def folder(self, run: str, device: str) -> Path:
        path = self.json / f"{self.at:%Y-%m-%d}" / device / run
        path.mkdir(parents=True)
        self.folders.append(path)
        return path

    def run(
        self,
        *,
        device: str | None = None,
        text: str = "Ein Haus aus Wasser",
        context: str = "Schreibe die Idee so um, dass jede Stimme des Flusses zu hören ist.",
        answer: str | None = "Am Ufer steht ein Haus, das aus lauter Stimmen fließt.",
        edits: tuple[str, ...] = (),
        final: str | None = None,
        outputs: tuple[tuple[str, Any], ...] = (("image", 11),),
        safety_level: str = "kids",
        translation: str | None = None,
        error: dict[str, Any] | None = None,
        prompted: bool = True,
        config_name: str = INTERCEPTION,
        interception_config: str | None = INTERCEPTION,
        metadata_device: Any = ...,
        without: tuple[str, ...] = (),
        **metadata: Any,
    ) -> str:
        """A first run: input, context, the model's answer, edits, generation prompt, outputs.

        ``without`` names files (``prompting_process/003_interception.txt``) that only metadata.json has.
        """
        run = self.next_run()
        device = device or self.device()
        folder = self.folder(run, device)
        used = final if final is not None else (edits[-1] if edits else answer)
        steps = [("input", text), ("context_prompt", context)]
        if translation is not None:
            steps.insert(1, ("translation_en", translation))
        steps += [("interception", said) for said in ((answer,) if answer is not None else ()) + edits]
        finals = [("input", text), ("context_prompt", context)]
        if translation is not None:
            finals.insert(1, ("translation_en", translation))
        if used is not None:
            finals += [("interception", used), ("generation_prompt", used)] if outputs else [("interception", used)]
        process = self._texts(folder, "prompting_process", 3, steps, without) if prompted else []
        for entry in process:
            entry["filename"] = f"prompting_process/{entry['filename']}"
        entities = self._texts(folder, "final", 2, finals, without)
        for number, (kind, seed) in enumerate(outputs, start=len(entities) + 1):
            name = f"{number:02d}_output_{kind}.png"
            (folder / "final").mkdir(exist_ok=True)
            (folder / "final" / name).write_bytes(b"\x89PNG not really")
            about = {"config": OUTPUT, "backend": "comfy", "model": "painter"}
            about |= {} if seed is None else {"seed": seed}
            entities.append(self._entry(number, f"output_{kind}", name, about))
        content = self._metadata(run, device, config_name, safety_level, entities, process) | {
            "models_used": {"stage2_interception": "base-model:7b", "stage4_output": "painter"},
        }
        if interception_config is not None:
            content["interception_config"] = interception_config
        if metadata_device is not ...:
            content["device_id"] = metadata_device
        self._write(folder, content | metadata)
        if error is not None:
            (folder / "error.json").write_text(json.dumps(error))
        return run

    def regeneration(
        self,
        text: str = "Am Ufer steht ein Haus, das aus lauter Stimmen fließt.",
        *,
        seed: Any = 12,
        device: str | None = None,
        **more: Any,
    ) -> str:
        """A repeat: config_name is the output config, no prompting_process, the same texts, another seed."""
        return self.run(
            device=device, answer=text, prompted=False, config_name=OUTPUT, interception_config=None,
            outputs=(("image", seed),), **more,
        )  # fmt: skip

    def _texts(
        self, folder: Path, part: str, digits: int, steps: list[tuple[str, str]], without: tuple[str, ...]
    ) -> list[dict[str, Any]]:
        (folder / part).mkdir(exist_ok=True)
        entries = []
        for number, (kind, text) in enumerate(steps, start=1):
            name = f"{number:0{digits}d}_{kind}.txt"
            if f"{part}/{name}" not in without:
                (folder / part / name).write_text(text, encoding="utf-8")
            entries.append(self._entry(number, kind, name, {}))
        return entries

    def _entry(self, number: int, kind: str, name: str, about: dict[str, Any]) -> dict[str, Any]:
        at = self.at + timedelta(seconds=number)
        return {"sequence": number, "type": kind, "filename": name, "timestamp": at.isoformat(), "metadata": about}

    def _metadata(
        self, run: str, device: str, config: str, level: str, entities: list[Any], process: list[Any]
    ) -> dict[str, Any]:
        return {
            "run_id": run, "timestamp": self.at.isoformat(), "config_name": config, "execution_mode": "eco",
            "safety_level": level, "user_id": "anonymous", "device_id": device, "expected_outputs": ["image"],
            "current_state": {"stage": 4, "step": "done", "progress": 100}, "entities": entities,
            "prompting_process": process,
        }  # fmt: skip

    def _write(self, folder: Path, content: dict[str, Any]) -> None:
        (folder / "metadata.json").write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")

    def favourite(self, run: str, *, device: str | None = None, added_at: Any = "2026-03-14T12:00:00.123456") -> None:
        """One entry of favorites.json; device None is what the host writes where it knows none."""
        self.favourites.append({
            "run_id": run, "device_id": device, "added_at": added_at, "thumbnail_url": f"/media/{run}.png",
            "media_type": "image", "user_id": "anonymous", "user_note": "nur für mich", "source_view": "gallery",
        })  # fmt: skip
        self.write_favourites()

    def write_favourites(self) -> None:
        """favorites.json as it is now."""
        content = {"version": "1.0", "mode": "global", "favorites": self.favourites}
        (self.json / "favorites.json").write_text(json.dumps(content))

    def age(self, seconds: float) -> None:
        """Make every file look as if it had not changed for so long."""
        then = datetime.now().timestamp() - seconds
        for path in self.json.rglob("*"):
            os.utime(path, (then, then))


def snapshot(root: Path) -> dict[str, tuple[int, int, bytes]]:
    """Every path below with mode, modification time and content, to prove that nothing was touched."""
    found = {}
    for path in sorted(root.rglob("*")):
        about = path.lstat()
        found[str(path)] = (about.st_mode, about.st_mtime_ns, path.read_bytes() if path.is_file() else b"")
    return found
