# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests inside Blender need of the engine, which has torch and Blender's Python has not.

``python -m tests.blender_addon.engine_files FOLDER NAME…`` makes what has these names
(:data:`MAKERS`) in the folder, which their fixture ``engine_file`` finds.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from engine.core import runtime

REPOSITORY = Path(__file__).resolve().parents[2]


def performance(path: Path) -> None:
    """What the sample voice says, as the engine's commands leave it."""
    from engine.commands.animate import animate

    assert animate((REPOSITORY / "engine" / "assets" / "sample_voice.wav",), path) == 0


def flame(path: Path) -> None:
    """A clip of an invented FLAME head."""
    from tests.engine.heads.flame_clip import write_flame_clip

    write_flame_clip(path)


def flame_pickle(path: Path) -> None:
    """``flame2023.pkl``: pickles of FLAME hold SciPy's matrices."""
    from tests.engine.heads.flame_files import flame_arrays, write_flame_pickle

    path.mkdir()
    write_flame_pickle(path / "flame2023.pkl", flame_arrays())


def blusher(path: Path) -> None:
    """``blusher.safetensors``: it turns from grey to red as the default head's jaw opens."""
    import torch

    from engine.avatar import GaussianAvatar, MlpColor, save_avatar
    from engine.heads import load_head
    from engine.heads.identity import Identity

    head = load_head("default")
    count = len(head.faces)
    first = torch.zeros(1, 4 + len(head.expression_names))
    first[0, 4 + head.expression_index("jawOpen")] = 1
    low, high = torch.logit(torch.tensor([0.2, 0.8]))
    second = torch.zeros(3, 1)
    second[0] = high - low
    color = MlpColor(torch.zeros(count, 1), first, torch.zeros(1), second, low.expand(3).clone())
    avatar = GaussianAvatar(
        Identity.of(head),
        torch.from_numpy(head.faces.copy()),
        torch.arange(count, dtype=torch.int32),
        torch.zeros(count, 3),
        torch.zeros(count, 3),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        torch.full((count,), 6.0),
        color,
    )
    path.mkdir()
    save_avatar(avatar, path / "blusher.safetensors")


def people(path: Path) -> None:
    """A person's folder and one of GaussianAvatars, each with the FLAME model beside it."""
    import numpy as np
    import torch

    from engine.avatar import GaussianAvatar, ShColor, save_avatar
    from engine.avatar.gaussian_avatars import save_point_cloud
    from engine.heads.flame import load_flame
    from engine.heads.flame_param import FlameParam, save_flame_param
    from engine.heads.identity import Identity
    from engine.motion.model.ids import STARTER_FILE
    from engine.persons import Person, save_person
    from tests.engine.heads.flame_people import identity, write_model

    (path / "ada").mkdir(parents=True)
    model = write_model(path / "flame2023.npz")
    shutil.copy(model, path / "ada")
    shape, static = identity()
    head = load_flame(model, shape=shape, static_offset=static[0])
    np.save(path / "template.npy", head.template)
    count = len(head.faces)
    avatar = GaussianAvatar(
        Identity.of(head),
        torch.from_numpy(head.faces),
        torch.arange(count, dtype=torch.int32),
        torch.zeros(count, 3),
        torch.full((count, 3), -1.0),
        torch.tensor([[1.0, 0, 0, 0]]).repeat(count, 1),
        torch.full((count,), 4.0),
        ShColor.constant(torch.tensor([[0.8, 0.1, 0.1]]).repeat(count, 1)),
    )
    save_avatar(avatar, path / "ada" / "avatar.safetensors")
    shutil.copy(STARTER_FILE, path / "ada" / "speech_model.safetensors")
    save_person(path / "ada", Person("Ada", "avatar.safetensors", "speech_model.safetensors"))
    (path / "306").mkdir()
    shutil.copy(model, path / "306")
    save_point_cloud(avatar, path / "306" / "point_cloud.ply")
    save_flame_param(FlameParam.of(head, 3), path / "306" / "flame_param.npz")


MAKERS = {make.__name__: make for make in (performance, flame, flame_pickle, blusher, people)}
"""By name; each makes a folder of that name."""


def make(folder: Path, *names: str) -> None:
    """Make what has the names anew."""
    runtime.prepare()  # Before torch and numba are imported.
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.rmtree(folder / name, ignore_errors=True)
        MAKERS[name](folder / name)


if __name__ == "__main__":
    make(Path(sys.argv[1]), *sys.argv[2:])
