# SPDX-License-Identifier: GPL-3.0-or-later
"""The person filmed as NeRSemble's are: a folder for each sentence, a union of what is pictured.

``true/UNION`` has the parameters that were filmed, ``tracked/UNION`` the same pictures with
parameters as a tracker leaves them: translation out by up to 2 mm and rotation by up to 1° on each
axis, and noise of 0.3 (standard deviation) on the first 20 expressions, all smooth in time.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from engine.audio.loading import SAMPLE_RATE, load_speech
from engine.core.progress import Progress
from engine.heads import load_head
from engine.heads.flame_param import MOVING, FlameParam, save_flame_param
from engine.motion.performance import Performance
from engine.motion.predict import predict
from engine.splatting.camera import Camera, look_at
from engine.splatting.registry import choose_backend
from tests.benchmarks.flame_person.model import InventedPerson, invent
from training.assets.texts import sentence
from training.assets.voices import Voice, speak
from training.data.layout import (
    Frame,
    image_path,
    mask_path,
    transforms_path,
    write_transforms,
)
from training.data.posed_flame import posed, row_of
from training.synthetic.small_capture import save_picture

FPS = 30.0
UNION, TRUE, TRACKED = "UNION", "true", "tracked"
FRONT = "front"
CAMERAS = {
    FRONT: (0.0, 3.0),
    "left": (32.0, 0.0),
    "right": (-32.0, 0.0),
    "far-left": (60.0, 8.0),
    "far-right": (-60.0, 8.0),
    "low": (14.0, -24.0),
    "high": (-14.0, 26.0),
}
"""Degrees round the head and above it; the front one is kept from training."""
_DISTANCE, _COVERED = 1.2, 0.34
_VOICE = Voice("flite", "slt", 180.0)
_WORDS = (7, 14)
"""Of a sentence, so that the recordings take three to six seconds."""
_SMOOTH = 4.0
"""Frames: standard deviation of the filter that makes tracking errors smooth."""


@dataclass(frozen=True)
class Film:
    """How much is filmed.

    Attributes:
        out: folder of everything.
        sentences: recordings; an eighth is for validation and an eighth for the test.
        filmed: pictured timesteps of each.
        width, height: of the pictures.
        seed: of sentences, motion and tracking errors.
    """

    out: Path
    sentences: int = 12
    filmed: int = 12
    width: int = 275
    height: int = 400
    seed: int = 0


def film(plan: Film, progress: Progress) -> InventedPerson:
    """Make the capture; what is there already is kept.

    Args:
        plan: how much.
        progress: called with the share done.
    """
    person = invent(plan.out)
    listed: dict[str, dict[str, list[Frame]]] = {
        root: {"train": [], "val": [], "test": []} for root in (TRUE, TRACKED)
    }
    for number in range(plan.sentences):
        progress(number / plan.sentences, f"Sentence {number + 1} of {plan.sentences}")
        name = f"SEN-{number + 1:02d}"
        spoken = _spoken(plan, name, number)
        true = _moved(person.parameters(spoken), np.random.default_rng([plan.seed, number, 1]))
        tracked = as_tracked(true, np.random.default_rng([plan.seed, number, 2]))
        for root, param in ((TRUE, true), (TRACKED, tracked)):
            _write_parameters(plan.out / root / name / "flame_param", param)
        pictured = np.linspace(0, spoken.frames - 1, plan.filmed).round().astype(int).tolist()
        for index, frame in enumerate(pictured):
            timestep = number * plan.filmed + index
            for split, row in _pictures(plan, person, name, timestep, frame, spoken, true):
                listed[TRUE][split].append(row)
                listed[TRACKED][split].append(
                    replace(
                        row,
                        image=row.image.replace("../", f"../../{TRUE}/", 1),
                        mask=(row.mask or "").replace("../", f"../../{TRUE}/", 1),
                    )
                )
    for root, splits in listed.items():
        (plan.out / root / UNION).mkdir(parents=True, exist_ok=True)
        for split, rows in splits.items():
            write_transforms(transforms_path(plan.out / root / UNION, split), rows)  # type: ignore[arg-type]
    (plan.out / "film.json").write_text(json.dumps(vars(plan), default=str, indent=1))
    progress(1.0, "Filmed")
    return person


def _spoken(plan: Film, name: str, number: int) -> Performance:
    """A sentence as flite says it and the default head's rules move it; kept beside the sound."""
    folders = [plan.out / root / name for root in (TRUE, TRACKED)]
    kept = plan.out / "spoken" / f"{name}.performance.npz"
    if kept.is_file():
        return Performance.load(kept)
    rng = np.random.default_rng([plan.seed, number])
    text = ""
    while not _WORDS[0] <= len(text.split()) <= _WORDS[1]:
        text = sentence(rng, "en")
    said = speak(_VOICE, text)
    assert said is not None
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / "recording.wav", said.samples, SAMPLE_RATE, subtype="PCM_16")
        (folder / "recording.txt").write_text(text)
    speech = load_speech(folders[0] / "recording.wav")
    spoken = predict(speech, load_head("default"), FPS, text=text, model="rules")
    kept.parent.mkdir(parents=True, exist_ok=True)
    spoken.save(kept)
    return spoken


def _moved(param: FlameParam, rng: np.random.Generator) -> FlameParam:
    """The same with a head that moves: a few degrees and a centimetre."""
    time = np.arange(param.frames)[:, None] / FPS

    def wave(amount: float) -> NDArray[np.float32]:
        found = amount * np.sin(rng.uniform(1.5, 4, 3) * time + rng.uniform(0, 6, 3))
        return np.asarray(found, np.float32)

    return replace(param, rotation=wave(0.07), neck_pose=wave(0.05), translation=wave(0.01))


def as_tracked(param: FlameParam, rng: np.random.Generator) -> FlameParam:
    """As a tracker leaves it."""

    def smooth(size: int) -> NDArray[np.float64]:
        """(T, size) of about unit variance."""
        noise = rng.standard_normal((param.frames + 60, size))
        found = gaussian_filter1d(noise, _SMOOTH, axis=0)[30:-30]
        return np.asarray(found / found.std())

    def within(size: int) -> NDArray[np.float64]:
        """From −1 to 1."""
        return np.asarray(np.clip(0.5 * smooth(size), -1, 1))

    expr = param.expr.copy()
    expr[:, :20] += 0.3 * smooth(20)
    return replace(
        param,
        expr=expr,
        rotation=(param.rotation + np.deg2rad(1.0) * within(3)).astype(np.float32),
        jaw_pose=(param.jaw_pose + np.deg2rad(1.0) * within(3)).astype(np.float32),
        translation=(param.translation + 2e-3 * within(3)).astype(np.float32),
    )


def one_of(param: FlameParam, frame: int) -> FlameParam:
    """A single frame."""
    moving = {name: getattr(param, name)[frame : frame + 1] for name in MOVING}
    return replace(param, dynamic_offset=param.dynamic_offset[:1], **moving)


def _write_parameters(folder: Path, param: FlameParam) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for frame in range(param.frames):
        path = folder / f"{frame:05d}.npz"
        if not path.is_file():
            save_flame_param(one_of(param, frame), path)


def _pictures(
    plan: Film,
    person: InventedPerson,
    name: str,
    timestep: int,
    frame: int,
    spoken: Performance,
    true: FlameParam,
) -> Iterator[tuple[str, Frame]]:
    """The pictures of a timestep, by split."""
    folder = plan.out / TRUE / name
    made = posed(person.model, row_of(true, frame))
    expression = torch.from_numpy(spoken.expression[frame])
    backend = choose_backend("auto")
    for index, (camera_id, angles) in enumerate(CAMERAS.items()):
        camera = camera_at(*angles, plan.width, plan.height)
        if not (folder / mask_path(frame, index)).is_file():
            seen = person.splats(made.vertices, expression, made.head_matrix, camera.position)
            with torch.inference_mode():
                save_picture(folder, frame, index, backend.render(seen, camera))
        row = Frame(
            timestep,
            index,
            camera_id,
            camera,
            f"../{name}/{image_path(frame, index, '.png')}",
            f"../{name}/{mask_path(frame, index)}",
            f"../{name}/flame_param/{frame:05d}.npz",
            "flame",
        )
        for split in ("val", "test") if camera_id == FRONT else ("train",):
            yield split, row


def camera_at(around: float, above: float, width: int, height: int) -> Camera:
    """A camera that looks at the head."""
    a, e = np.deg2rad(around), np.deg2rad(above)
    centre = np.array([0.0, 0.01, 0.03])
    towards = np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    fov = 2 * math.atan(0.5 * _COVERED / _DISTANCE)
    return look_at(
        centre + _DISTANCE * towards, centre, width=width, height=height, vertical_fov=fov
    )
