# SPDX-License-Identifier: GPL-3.0-or-later
"""An invented FLAME model and a clip that moves it, for the tests inside Blender.

These have no torch: ``python -m tests.engine.heads.flame_clip FOLDER``.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from engine.heads.flame import flame_person
from engine.heads.flame_param import MOVING, FlameParam, save_flame_param
from engine.heads.skinning import flame_vertices
from tests.engine.heads.flame_people import write_model

FRAMES = 30


def write_flame_clip(folder: Path, frames: int = FRAMES) -> None:
    """Write the model, ``flame_param.npz``, a folder of its first frames, and vertices, (T, V, 3).

    ``truth.npy`` are those of the clip, ``by_hand.npy`` those of one pose.
    """
    folder.mkdir(parents=True)
    model_file = write_model(folder / "flame2023.npz")
    person = flame_person(model_file)
    model, none = person.model, torch.zeros(0).double()
    still = FlameParam.of(person.head, frames)
    time = np.linspace(0, 4, frames)[:, None]
    still.expr[:, :6] = 1.5 * np.sin(time * np.arange(1, 7))
    still.rotation[:] = 0.3 * np.sin(time * [1, 2, 3])
    still.neck_pose[:] = 0.2 * np.sin(time * [2, 1, 3] + 1)
    still.jaw_pose[:] = np.abs(np.sin(time * 3)) * [0.3, 0.05, 0.02]
    still.eyes_pose[:] = 0.3 * np.sin(time * [1, 2, 0, 1, 2, 0] + 2)
    still.translation[:] = [0.2, 1.5, 0.1] + 0.05 * np.sin(time * [1, 3, 2])
    save_flame_param(still, folder / "flame_param.npz")
    (folder / "flame_param").mkdir()
    for frame in range(3):
        at = {name: getattr(still, name)[frame : frame + 1] for name in MOVING}
        at["dynamic_offset"] = still.dynamic_offset[:1]
        save_flame_param(replace(still, **at), folder / "flame_param" / f"{frame:05d}.npz")
    pose = np.concatenate(
        [getattr(still, n) for n in ("rotation", "neck_pose", "jaw_pose", "eyes_pose")], 1
    )
    truth = flame_vertices(
        model, none, *(torch.from_numpy(a).double() for a in (still.expr, pose, still.translation))
    )
    np.save(folder / "truth.npy", truth.numpy())
    by_hand = np.zeros((1, 15))
    by_hand[0] = [0, 0, 0, 0.2, -0.3, 0.1, 0.35, 0.05, 0, 0.1, 0.3, 0, -0.2, 0.2, 0]
    posed = flame_vertices(model, none, torch.zeros(1, 0).double(), torch.from_numpy(by_hand))
    np.save(folder / "by_hand.npy", posed[0].numpy())


if __name__ == "__main__":
    write_flame_clip(Path(sys.argv[1]))
