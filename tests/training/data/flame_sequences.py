# SPDX-License-Identifier: GPL-3.0-or-later
"""An invented person of strong identity, filmed as GaussianAvatars' sequences are, with sound.

A union folder lists the pictures and parameters of the sequences beside it, as their tools do.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from engine.avatar import splats
from engine.avatar.color import ShColor
from engine.avatar.gaussian_avatar import GaussianAvatar
from engine.heads.flame import flame_person
from engine.heads.flame_param import MOVING, FlameParam, save_flame_param
from engine.heads.identity import Identity
from engine.splatting.camera import look_at
from engine.splatting.cpu.backend import CpuBackend
from tests.engine.heads.flame_people import identity, write_model
from tests.training.speech.recordings import write_sound
from training.avatar.seeding import on_triangles
from training.data.layout import Frame, image_path, mask_path, transforms_path, write_transforms
from training.data.posed_flame import posed, row_of
from training.synthetic.small_capture import ANGLES, FRONT, Size, save_picture

FPS = 30
UNION = "UNION"


@dataclass(frozen=True)
class Filmed:
    """Where the capture and the model lie, and what was true.

    ``truth`` has the parameters of each timestep, in their order.
    """

    data: object
    model: object
    truth: FlameParam
    avatar: GaussianAvatar


def parameters(frames, seed=0):
    """A face that speaks and moves, smooth in time."""
    rng = np.random.default_rng(seed)
    shape, static = identity()
    made = FlameParam.neutral(static.shape[1], frames, shape)
    time = np.arange(frames)[:, None] / FPS

    def wave(size, amount):
        return amount * np.sin(rng.uniform(3, 9, size) * time + rng.uniform(0, 6, size))

    expr = np.zeros((frames, 100))
    expr[:, :6] = wave(6, 0.8)
    jaw = np.zeros((frames, 3))
    jaw[:, :1] = 0.12 + wave(1, 0.1)
    moving = {
        "expr": expr,
        "rotation": wave(3, 0.06),
        "neck_pose": wave(3, 0.05),
        "jaw_pose": jaw,
        "eyes_pose": np.tile(wave(3, 0.05), (1, 2)),
        "translation": wave(3, 0.01),
    }
    return replace(
        made, static_offset=static, **{k: v.astype(np.float32) for k, v in moving.items()}
    )


def spotted(model, head):
    """The person's Gaussians: one a triangle, in spots that show where the skin is."""
    binding, shape = on_triangles(head, subdivide_teeth=False)
    centres = head.template[head.faces[binding.numpy()]].mean(axis=1)
    spots = 0.5 + 0.35 * np.sin(centres @ (np.ones((3, 3)) + np.eye(3)) * 60 + [0.0, 2.0, 4.0])
    shape = dict(shape) | {"opacity_logits": torch.full((len(binding),), 4.0)}
    return GaussianAvatar(
        identity=Identity.of(head),
        faces=torch.from_numpy(np.array(head.faces, np.int32)),
        binding=binding,
        color=ShColor.constant(torch.from_numpy(spots.astype(np.float32))),
        provenance={},
        **shape,
    )


def write_flame_sequences(
    folder, *, names=("SEN-01", "SEN-02"), filmed=4, size=None, perturbed=None, gains=None
):
    """Write sequences of a second of sound each, and the union of their pictures.

    Args:
        folder: gets the model and ``UNION`` beside the sequences.
        names: of the sequences.
        filmed: pictured frames of each, evenly spread.
        size: of the pictures.
        perturbed: from the true parameters of all frames to those that are written.
        gains: colour gain (3,) by camera.
    """
    size = size or Size()
    folder.mkdir(parents=True, exist_ok=True)
    model_file = write_model(folder / "flame2023.npz")
    shape, static = identity()
    model, head = flame_person(model_file, shape=shape, static_offset=static[0])
    avatar, backend = spotted(model, head), CpuBackend()
    union = folder / UNION
    frames = {"train": [], "val": [], "test": []}
    every = []
    for number, name in enumerate(names):
        write_sound_of(folder / name, number)
        true = parameters(FPS, number)
        tracked = true if perturbed is None else perturbed(true, number)
        for frame in range(FPS):
            path = folder / name / f"flame_param/{frame:05d}.npz"
            path.parent.mkdir(parents=True, exist_ok=True)
            save_flame_param(one_of(tracked, frame), path)
        for frame in np.linspace(0, FPS - 1, filmed).round().astype(int).tolist():
            timestep = len(every)
            every.append(one_of(true, frame))
            made = posed(model, row_of(true, frame))
            for index, (camera_id, (around, above)) in enumerate(ANGLES.items()):
                camera = camera_at(around, above, size)
                seen = splats(avatar, made.vertices)
                gain = torch.tensor((gains or {}).get(camera_id, (1.0, 1.0, 1.0)))
                with torch.inference_mode():
                    picture = backend.render(
                        seen._replace(colors=(seen.colors * gain).float()), camera
                    )
                save_picture(folder / name, frame, index, picture)
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
                    frames[split].append(row)
    union.mkdir()
    for split, listed in frames.items():
        write_transforms(transforms_path(union, split), listed)
    together = {key: np.concatenate([getattr(param, key) for param in every]) for key in MOVING}
    still = np.zeros((len(every), *static.shape[1:]), np.float32)
    truth = replace(every[0], dynamic_offset=still, **together)
    return Filmed(union, model_file, truth, avatar)


def one_of(param, frame):
    return replace(
        param,
        dynamic_offset=param.dynamic_offset[:1],
        **{name: getattr(param, name)[frame : frame + 1] for name in MOVING},
    )


def write_sound_of(folder, seed):
    folder.mkdir(parents=True)
    write_sound(folder / "recording.wav", seed)


def camera_at(around, above, size):
    a, e = np.deg2rad(around), np.deg2rad(above)
    centre = np.array([0.0, 0.0, 0.07])
    eye = centre + 1.2 * np.array([np.sin(a) * np.cos(e), np.sin(e), np.cos(a) * np.cos(e)])
    fov = 2 * math.atan(0.17 / 1.2)
    return look_at(eye, centre, width=size.width, height=size.height, vertical_fov=fov)
