# SPDX-License-Identifier: GPL-3.0-or-later
"""The small capture in GaussianAvatars' layout, with made-up parameters of FLAME."""

import shutil
from dataclasses import replace

import numpy as np

from engine.heads.flame_param import FlameParam, save_flame_param

SKIN, TEETH = 5023, 5143


def param(vertices, timestep=0, **changes):
    random = np.random.default_rng(0)
    shape = random.standard_normal(300).astype(np.float32)
    made = replace(
        FlameParam.neutral(vertices, shape=shape),
        static_offset=1e-3 * random.standard_normal((1, vertices, 3)).astype(np.float32),
        expr=np.random.default_rng(timestep).standard_normal((1, 100)).astype(np.float32),
    )
    return replace(made, **{k: np.array([v], np.float32) for k, v in changes.items()})


MOVED = {
    "rotation": [0.1, -0.3, 0.05],
    "neck_pose": [0.05, 0.1, 0.0],
    "jaw_pose": [0.25, 0.04, 0.0],
    "eyes_pose": [0.1, 0.2, 0.1, 0.2, 0, 0],
    "translation": [0.02, -0.1, 0.3],
}


def as_flame_capture(small_capture, folder):
    """A copy of the small capture; its pictures stay those of another head."""
    shutil.copytree(small_capture, folder)
    shutil.rmtree(folder / "head_param")
    for split in ("train", "val", "test"):
        path = folder / f"transforms_{split}.json"
        text = path.read_text().replace("head_param_path", "flame_param_path")
        path.write_text(text.replace("head_param/", "flame_param/"))
    write_params(folder, TEETH)
    return folder


def write_params(folder, vertices):
    (folder / "flame_param").mkdir(exist_ok=True)
    for timestep in range(3):
        moved = {} if timestep == 0 else MOVED
        made = param(vertices, timestep, **moved)
        save_flame_param(made, folder / f"flame_param/{timestep:05d}.npz")
    np.savez(
        folder / "canonical_flame_param.npz", shape=made.shape, static_offset=made.static_offset
    )
