# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars as safetensors files: tensors and text only, nothing that runs when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from engine.avatar.color import ColorModel, MlpColor, ShColor
from engine.avatar.gaussian_avatar import GaussianAvatar
from engine.avatar.gaussian_avatars import load_point_cloud
from engine.core.checks import shown
from engine.core.errors import BadInputError
from engine.core.files import atomic_write
from engine.core.json_values import JsonObject
from engine.core.tensor_file import read_tensor_file
from engine.heads.head import Head
from engine.heads.topology import topology_hash

FORMAT = "gaussianspeech-avatar-1"
DEFAULT_AVATAR = "default"

_ASSET = Path(__file__).parents[1] / "assets" / "default_avatar.safetensors"
_COLOR_MODELS: dict[str, type[ShColor | MlpColor]] = {
    model.kind: model for model in (ShColor, MlpColor)
}
_REMEDY = (
    "Choose a file that 'gaussianspeech train avatar' wrote; if it is damaged or incomplete, copy "
    "or train it again."
)
_TENSORS = ("positions", "log_scales", "quats", "opacity_logits")


def save_avatar(avatar: GaussianAvatar, path: str | Path, *, half: bool = False) -> None:
    """Write an avatar; the head itself is not in the file, only its id and hash.

    Args:
        avatar: the avatar.
        path: final name; appears only when it is complete.
        half: store floating-point values as float16, half the size.
    """
    dtype = torch.float16 if half else torch.float32
    tensors = {name: getattr(avatar, name) for name in _TENSORS}
    tensors |= {f"color.{name}": tensor for name, tensor in avatar.color.tensors().items()}
    stored = {
        name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in tensors.items()
    }
    stored["binding"] = avatar.binding.detach().to("cpu", torch.int32).contiguous()
    about = {
        "head": avatar.head,
        "vertex_count": avatar.vertex_count,
        "faces_sha256": topology_hash(avatar.faces),
        "color": avatar.color.kind,
        "provenance": dict(avatar.provenance),
    }
    # One entry: safetensors writes several in an order that changes from run to run.
    metadata = {FORMAT: json.dumps(about, sort_keys=True)}
    with atomic_write(path) as temporary:
        save_file(stored, temporary, metadata)


def load_avatar(id_or_path: str | Path, head: Head) -> GaussianAvatar:
    """Read an avatar and bind it to its head.

    Args:
        id_or_path: ``"default"``, a ``.safetensors`` file, or a ``.ply`` of GaussianAvatars.
        head: the head it was made for.

    Raises:
        BadInputError: no such file, not an avatar, truncated, or made for another head.
    """
    path = _ASSET if str(id_or_path) == DEFAULT_AVATAR else Path(id_or_path)
    if path.suffix.lower() == ".ply":
        return load_point_cloud(path, head)
    if not path.is_file():
        raise BadInputError(
            f"There is no avatar file {path}.", f"Check the path, or use '{DEFAULT_AVATAR}'."
        )
    about, tensors = read_tensor_file(path, FORMAT, "GaussianSpeech avatar", _REMEDY)
    try:
        return _assembled(about, tensors, head, path)
    except KeyError as error:
        raise BadInputError(f"{path} has no tensor {error}.", _REMEDY) from error
    except BadInputError as error:
        if str(path) in error.message:
            raise
        raise BadInputError(f"{path}: {error.message}", error.hint or _REMEDY) from error


def _assembled(
    about: JsonObject, tensors: Mapping[str, torch.Tensor], head: Head, path: Path
) -> GaussianAvatar:
    faces = torch.from_numpy(np.array(head.faces, np.int32))
    made_for, vertex_count = about.text("head"), about.whole("vertex_count")
    if about.text("faces_sha256") != topology_hash(faces):
        same = made_for == head.id
        raise BadInputError(
            f"{path} is an avatar of head {shown(made_for)} ({vertex_count} vertices); it does not "
            f"fit {'the present ' if same else ''}head '{head.id}' ({head.vertex_count} vertices).",
            "The head has changed since: make the avatar again."
            if same
            else f"Load head {shown(made_for)}, or choose an avatar made for '{head.id}'.",
        )
    kind = about.text("color")
    if kind not in _COLOR_MODELS:
        raise BadInputError(f"{path} has colours of the unknown kind {shown(kind)}.", _REMEDY)
    prefix = "color."
    color: ColorModel = _COLOR_MODELS[kind].from_tensors(
        {
            name.removeprefix(prefix): tensor.float()
            for name, tensor in tensors.items()
            if name.startswith(prefix)
        }
    )
    values = {name: tensors[name].float() for name in _TENSORS}
    return GaussianAvatar(
        head=made_for,
        faces=faces,
        vertex_count=head.vertex_count,
        binding=_binding(tensors["binding"]),
        color=color,
        provenance={key: str(value) for key, value in about.group("provenance").values.items()},
        **values,
    )


def _binding(stored: torch.Tensor) -> torch.Tensor:
    if stored.dtype not in {torch.int32, torch.int64}:
        raise BadInputError(f"The avatar's binding is {stored.dtype}, not whole numbers.")
    # Numbers that int32 cannot hold must not come round to valid triangles.
    return stored.clamp(-1, 2**31 - 1).to(torch.int32)
