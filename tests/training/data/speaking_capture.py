# SPDX-License-Identifier: GPL-3.0-or-later
"""A small capture of the shipped avatar that speaks, and blushes with an open mouth."""

import json

import torch

from engine.avatar import load_avatar, splats
from engine.heads import load_head
from engine.motion.performance import Performance
from engine.splatting.cpu.backend import CpuBackend
from tests.training.speech.recordings import FPS, motion_of, write_sound
from training.data.layout import (
    Frame,
    head_param_path,
    image_path,
    mask_path,
    transforms_path,
    write_transforms,
)
from training.data.layout_head_param import HeadParam, save_head_param
from training.synthetic.small_capture import (
    ANGLES,
    FRONT,
    Size,
    camera_at,
    save_picture,
    turned,
)

FILMED = (("c0", 3), ("c1", 4), ("c0", 9), ("c1", 10), ("c0", 16), ("c1", 21))
"""Recording and frame of each timestep."""
BLUSH = (0.35, 1.0, 0.35)
"""What an open jaw takes off red and blue."""


def write_speaking_capture(folder, *, clips=2, size=None):
    """Write 6 timesteps of 4 cameras that are frames of recordings of a second each."""
    size = size or Size()
    head = load_head("default")
    avatar, backend = load_avatar("default", head), CpuBackend()
    spoken = folder / "speech"
    spoken.mkdir(parents=True)
    motions = {}
    for clip in range(clips):
        motions[f"c{clip}"] = weights = motion_of(head, clip)
        write_sound(spoken / f"c{clip}.wav", clip)
        Performance(
            FPS, weights, head.expression_basis, weights, head.expression_names, head.id
        ).save(spoken / f"c{clip}.performance.npz")
    jaw = head.expression_index("jawOpen")
    frames = {"train": [], "val": [], "test": []}
    timesteps = [{"timestep_index": len(FILMED), "name": "a made face"}]
    captured = [(name, frame) for name, frame in FILMED if name in motions]
    for timestep, (name, frame) in enumerate(captured):
        timesteps.append(
            {
                "timestep_index": timestep,
                "performance": f"speech/{name}.performance.npz",
                "frame": frame,
            }
        )
        expression = motions[name][frame]
        matrix = turned(0.05 * timestep)
        param = HeadParam(head.id, expression, head.expression_names, matrix)
        save_head_param(param, folder / head_param_path(timestep))
        for index, (camera_id, (around, above)) in enumerate(ANGLES.items()):
            camera = camera_at(around, above, size)
            gaussians = splats(
                avatar,
                torch.from_numpy(head.deform(expression)),
                None,
                torch.from_numpy(matrix),
                torch.from_numpy(camera.position),
            )
            tint = 1 - float(expression[jaw]) * (1 - torch.tensor(BLUSH))
            with torch.inference_mode():
                picture = backend.render(gaussians._replace(colors=gaussians.colors * tint), camera)
            save_picture(folder, timestep, index, picture)
            row = Frame(
                timestep,
                index,
                camera_id,
                camera,
                image_path(timestep, index, ".png"),
                mask_path(timestep, index),
                head_param_path(timestep),
                "head",
            )
            for split in ("val", "test") if camera_id == FRONT else ("train",):
                frames[split].append(row)
    for split, listed in frames.items():
        write_transforms(transforms_path(folder, split), listed)
    (folder / "capture.json").write_text(json.dumps({"fps": FPS, "timesteps": timesteps}))
    return folder
