# SPDX-License-Identifier: GPL-3.0-or-later
"""The report on lip sync: a JSON file and a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from engine.core.files import write_text
from training.evaluation.report.phone_table import phone_table
from training.metrics.film import Agreement, FilmAgreement
from training.metrics.lip_sync import CLOSED_BELOW, TOUCHING, WITHIN, LipSync, combined
from training.metrics.mouth import MM
from training.metrics.phone_means import PhoneMean
from training.metrics.recognition import Recognition
from training.metrics.recognition import combined as recognition_of
from training.metrics.sync_error import SyncError
from training.metrics.vertex import VertexErrors

ALIGNED, SOUND_ALONE, WITH_TRANSCRIPT = "aligned", "without_transcript", "with_transcript"
MODES: dict[str, str] = {
    ALIGNED: "true sounds",
    SOUND_ALONE: "sound alone",
    WITH_TRANSCRIPT: "with transcript",
}
"""What the mouth was driven by: the alignment itself, recognised sounds, or aligned words."""


@dataclass(frozen=True)
class ClipResult:
    """One clip in one mode.

    Attributes:
        name: the clip.
        mode: key of :data:`MODES`.
        model: id of what spoke.
        lip_sync: the measures.
        recognition: how well what was said was recognised.
        seconds_per_second: time for recognition and motion per second of sound.
        vertices: errors against the captured motion, where there is any.
        sync_error: LSE-D and LSE-C, where SyncNet's weights were given.
        film: how opening and width follow the speaker's, where that was filmed.
        closed_before_contact: p, b, m that a learned model closes by itself, before the lips'
            contact is solved; ``None`` for the rules.
    """

    name: str
    mode: str
    model: str
    lip_sync: LipSync
    recognition: Recognition
    seconds_per_second: float
    vertices: VertexErrors | None = None
    sync_error: SyncError | None = None
    film: FilmAgreement | None = None
    closed_before_contact: int | None = None


@dataclass(frozen=True)
class SpeechReport:
    """Lip sync of clips in one or more modes.

    Attributes:
        head, model: ids; the model is what was evaluated.
        fps: frames per second.
        clips: results, by mode, model and clip; the rules, where they are not the model, are there
            for comparison.
        phones: the model's mouth at each phone, driven by the true sounds.
    """

    head: str
    model: str
    fps: float
    clips: tuple[ClipResult, ...]
    phones: tuple[PhoneMean, ...] = ()

    def totals(self) -> dict[str, ClipResult]:
        """All clips of each mode as one, of the model evaluated."""
        return {
            mode: total
            for (mode, model), total in self.every_total().items()
            if model == self.model
        }

    def every_total(self) -> dict[tuple[str, str], ClipResult]:
        """All clips of each mode and model as one."""
        groups: dict[tuple[str, str], list[ClipResult]] = {}
        for result in self.clips:
            groups.setdefault((result.mode, result.model), []).append(result)
        return {key: _total(of_group) for key, of_group in groups.items()}

    def as_json(self) -> dict[str, Any]:
        """Plain values, as written to ``report.json``; ``null`` where there was no such sound."""
        return {
            "head": self.head,
            "model": self.model,
            "fps": self.fps,
            "definitions": {
                "closed_below_mean_open_gap": CLOSED_BELOW,
                "within_seconds": WITHIN,
                "shut_in_words": "frames inside words with lips shut, but not at p, b, m",
                "silence_in_words": "part of the 10 ms steps inside words that are called silence",
                "word_errors": "words replaced, left out or added; null without words",
                "seconds_per_second": "recognition and motion; motion alone for the true sounds",
                "touching_mm": TOUCHING,
                "closed_before_contact": "p, b, m that a learned model closes by itself, before "
                "the lips' contact is solved; null for the rules",
                "lag": "positive where the mouth is later than the sound",
                "jitter": "mean second difference of the lip vertices, mm/frame^2",
                "lve_mm": "mean over frames of the largest lip vertex distance",
                "lve_squared_mm2": "the same with squared distances",
                "fdd_mm2": "signed; positive where the upper face moves too little",
                "mve_mm": "mean vertex distance",
                "upper_face_mm": "mean vertex distance of the upper face",
                "film": "Pearson correlation with the filmed mouth at the best lag within 240 ms, "
                "and mean absolute difference there; null without a film",
                "phones": "means at the middle of each phone of the true sounds, and filmed "
                "people's",
                "lse_d, lse_c": "SyncNet's smallest mean distance over offsets, and how far that "
                "lies under their median; null without its weights",
            },
            "clips": [_plain(result) for result in self.clips],
            "totals": [_plain(result) for result in self.every_total().values()],
            "phones": [mean._asdict() for mean in self.phones],
        }

    def save(self, path: str | Path) -> None:
        """Write the JSON; appears only when it is complete."""
        write_text(path, json.dumps(self.as_json(), indent=1) + "\n")

    def show(self, console: Console | None = None) -> None:
        """Print the tables: a row per clip and a total per mode and model; a row per phone."""
        console = console or Console(width=_WIDTH)
        extra = columns(self.clips)
        table = Table(
            title=Text(f"Lip sync: {self.model} on head {self.head} at {self.fps:g} fps"),
            caption="True sounds: articulation alone.",
        )
        table.add_column("clip", no_wrap=True)
        for column in headings(extra):
            table.add_column(column, justify="right", no_wrap=True)
        for (mode, model), total in self.every_total().items():
            table.add_section()
            if model == self.model:
                table.add_row(f"[bold]{MODES[mode]}")
                for result in self.clips:
                    if (result.mode, result.model) == (mode, model):
                        table.add_row(Text(result.name), *cells(result, extra))
            name = Text(f"total, {model}")
            # The path of a trained model must not take the room of the figures.
            name.truncate(_NAMED)
            table.add_row(name, *cells(total, extra), style="bold")
        console.print(table)
        if self.phones:
            console.print(phone_table(self.phones, f"Mouth of {self.model} at true sounds"))


def _total(of_group: Sequence[ClipResult]) -> ClipResult:
    """Counts add up, rates and errors are weighted by seconds."""
    first = of_group[0]
    seconds = [result.lip_sync.seconds for result in of_group]

    def mean(values: Sequence[float]) -> float:
        return float(np.average(values, weights=seconds))

    vertices = [r.vertices for r in of_group if r.vertices is not None]
    errors = [r.sync_error for r in of_group if r.sync_error is not None]
    own = [r.closed_before_contact for r in of_group if r.closed_before_contact is not None]
    whole = len(of_group)
    return ClipResult(
        "total",
        first.mode,
        first.model,
        combined([r.lip_sync for r in of_group]),
        recognition_of([r.recognition for r in of_group]),
        mean([r.seconds_per_second for r in of_group]),
        averaged(vertices) if len(vertices) == whole else None,
        SyncError(
            mean([e.distance for e in errors]),
            mean([e.confidence for e in errors]),
            mean([e.offset for e in errors]),
        )
        if len(errors) == whole
        else None,
        _film_total([r.film for r in of_group if r.film is not None]),
        sum(own) if len(own) == whole else None,
    )


def _film_total(films: Sequence[FilmAgreement]) -> FilmAgreement | None:
    """The mean over films, each of which counts the same however long it is."""
    if not films:
        return None
    means = [
        Agreement(*np.mean([astuple(measure) for measure in measures], axis=0).tolist())
        for measures in ([f.opening for f in films], [f.width for f in films])
    ]
    return FilmAgreement(sum(film.seconds for film in films), *means)


def averaged(errors: Sequence[VertexErrors]) -> VertexErrors:
    """The mean over sequences, as the field reports it; frames add up."""
    names = [field.name for field in fields(VertexErrors) if field.name != "frames"]
    means = {name: float(np.mean([getattr(e, name) for e in errors])) for name in names}
    return VertexErrors(frames=sum(e.frames for e in errors), **means)


_WIDTH = 232
_NAMED = 20
"""Characters of a model's name in the table of the console."""
_COLUMNS = (
    "p b m\nclosed",
    "open vow.\nshut",
    "f v\ntouch",
    "rounding\nmm",
    "lag\nms",
    "silence\nmm",
    "jitter\nmm/f²",
    "open\nmm",
    "overlap\nmm",
    "sounds\nright",
    "shut in\nwords",
    "SIL in\nwords",
    "word\nerrors",
    "s/s",
)


@dataclass(frozen=True)
class _Column:
    """A column that is shown where somebody has a value for it."""

    title: str
    value: Callable[[ClipResult], float | None]
    digits: int = 2


def _vertex(name: str, scale: float) -> Callable[[ClipResult], float | None]:
    def value(result: ClipResult) -> float | None:
        return None if result.vertices is None else scale * float(getattr(result.vertices, name))

    return value


def _sync(name: str) -> Callable[[ClipResult], float | None]:
    def value(result: ClipResult) -> float | None:
        return None if result.sync_error is None else float(getattr(result.sync_error, name))

    return value


def _film(measure: str, name: str) -> Callable[[ClipResult], float | None]:
    def value(result: ClipResult) -> float | None:
        return None if result.film is None else float(getattr(getattr(result.film, measure), name))

    return value


def _before_contact(result: ClipResult) -> float | None:
    return result.closed_before_contact if result.lip_sync.bilabials else None


_EXTRA = (
    _Column("p b m before\nlip contact", _before_contact, 0),
    _Column("opening\nr", _film("opening", "correlation")),
    _Column("off by\nmm", _film("opening", "difference"), 1),
    _Column("lag\nms", _film("opening", "lag_ms"), 0),
    _Column("width\nr", _film("width", "correlation")),
    _Column("off by\nmm", _film("width", "difference"), 1),
    _Column("LVE\nmm", _vertex("lve", MM)),
    _Column("LVE²\nmm²", _vertex("lve_squared", MM**2)),
    _Column("FDD\nmm²", _vertex("fdd", MM**2), 3),
    _Column("MVE\nmm", _vertex("mve", MM), 3),
    _Column("upper\nmm", _vertex("upper_face", MM), 3),
    _Column("LSE-D", _sync("distance")),
    _Column("LSE-C", _sync("confidence")),
)


def columns(results: Sequence[ClipResult]) -> list[_Column]:
    """The columns, beside those that always are there, for which there are values."""
    return [c for c in _EXTRA if any(c.value(result) is not None for result in results)]


def headings(extra: Sequence[_Column]) -> tuple[str, ...]:
    """Headings of the table's columns, that of the clip left out."""
    return (*_COLUMNS, *(column.title for column in extra))


def cells(result: ClipResult, extra: Sequence[_Column] = ()) -> tuple[str, ...]:
    """A row of the table as text, in the order of :func:`headings`."""
    sync = result.lip_sync
    return (
        _counted(sync.closed, sync.bilabials),
        _counted(sync.falsely_closed, sync.open_vowels),
        _counted(sync.touching, sync.labiodentals),
        _number(sync.rounding_contrast, 1),
        _number(sync.lag_ms, 0),
        _number(sync.silence_motion if sync.silence else None, 3),
        _number(sync.jitter, 3),
        _number(sync.open_gap, 1),
        _number(sync.overlap, 1),
        _part(result.recognition.phones_right),
        _part(sync.shut_rate),
        _part(result.recognition.silence_in_words),
        _counted(result.recognition.word_errors, result.recognition.words),
        f"{result.seconds_per_second:.2f}",
        *(_number(column.value(result), column.digits) for column in extra),
    )


def _counted(part: int | None, whole: int) -> str:
    return "–" if part is None or not whole else f"{part}/{whole} {part / whole:4.0%}"


def _part(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _plain(result: ClipResult) -> dict[str, Any]:
    sync = result.lip_sync
    counts = ("bilabials", "closed", "open_vowels", "falsely_closed", "labiodentals", "touching")
    rates = ("closure_rate", "false_closure_rate", "contact_rate")
    return {
        "name": result.name,
        "mode": result.mode,
        "model": result.model,
        "seconds": sync.seconds,
        **{name: getattr(sync, name) for name in (*counts, *rates)},
        "closed_before_contact": result.closed_before_contact,
        "rounding_contrast_mm": sync.rounding_contrast,
        "rounded_width_mm": sync.rounded_width if sync.rounded else None,
        "spread_width_mm": sync.spread_width if sync.spread else None,
        "lag_ms": sync.lag_ms,
        "lag_correlation": sync.synchrony.strength,
        "silence_seconds": sync.silence,
        "silence_motion_mm": sync.silence_motion if sync.silence else None,
        "silence_gap_mm": sync.silence_gap if sync.silence else None,
        "jitter_mm_per_frame2": sync.jitter,
        "open_gap_mm": sync.open_gap,
        "overlap_mm": sync.overlap,
        "word_frames": sync.word_frames,
        "shut_in_words": sync.shut_in_words,
        "phones_right": result.recognition.phones_right,
        "silence_in_words": result.recognition.silence_in_words,
        "words": result.recognition.words,
        "word_errors": result.recognition.word_errors,
        "seconds_per_second": result.seconds_per_second,
        "vertex_errors": result.vertices and _in_millimetres(result.vertices),
        "sync_error": result.sync_error and result.sync_error._asdict(),
        "film": result.film and asdict(result.film),
    }


def _in_millimetres(errors: VertexErrors) -> dict[str, float]:
    return {
        "frames": errors.frames,
        "lve_mm": errors.lve * MM,
        "lve_squared_mm2": errors.lve_squared * MM**2,
        "fdd_mm2": errors.fdd * MM**2,
        "mve_mm": errors.mve * MM,
        "upper_face_mm": errors.upper_face * MM,
    }
