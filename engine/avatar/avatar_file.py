# SPDX-License-Identifier: GPL-3.0-or-later
"""Avatars as safetensors files: tensors and text only, nothing that runs when it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
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
from engine.heads.carried_head import AVATAR_REMEDY, FIRST_FORMAT, FORMAT
from engine.heads.default import DEFAULT_HEAD
from engine.heads.head import Head
from engine.heads.identity import PREFIX, Identity, difference, read_identity
from engine.heads.topology import topology_hash

DEFAULT_AVATAR = "default"

ASSET = Path(__file__).parents[1] / "assets" / "default_avatar.safetensors"
_COLOR_MODELS: dict[str, type[ShColor | MlpColor]] = {
    model.kind: model for model in (ShColor, MlpColor)
}
_LIGHT = "light.vertices"
_TENSORS = ("positions", "log_scales", "quats", "opacity_logits")


def save_avatar(avatar: GaussianAvatar, path: str | Path, *, half: bool = False) -> None:
    """Write an avatar with its head, all but the head's expression basis (version 2).

    Args:
        avatar: the avatar.
        path: final name; appears only when it is complete.
        half: store floating-point values as float16, half the size; those of the head stay float32.
    """
    dtype = torch.float16 if half else torch.float32
    tensors = {name: getattr(avatar, name) for name in _TENSORS}
    tensors |= {f"color.{name}": tensor for name, tensor in avatar.color.tensors().items()}
    stored = {
        name: tensor.detach().to("cpu", dtype).contiguous() for name, tensor in tensors.items()
    }
    if avatar.light is not None:
        stored[_LIGHT] = avatar.light.detach().to("cpu", torch.float16).contiguous()
    stored["binding"] = avatar.binding.detach().to("cpu", torch.int32).contiguous()
    stored |= {
        name: torch.from_numpy(np.array(array, np.float32))
        for name, array in avatar.identity.arrays().items()
    }
    about = {
        "head": avatar.identity.about(),
        "vertex_count": avatar.vertex_count,
        "faces_sha256": topology_hash(avatar.faces),
        "color": avatar.color.kind,
        "provenance": dict(avatar.provenance),
    }
    # One entry: safetensors writes several in an order that changes from run to run.
    metadata = {FORMAT: json.dumps(about, sort_keys=True)}
    with atomic_write(path) as temporary:
        save_file(stored, temporary, metadata)


def load_avatar(
    id_or_path: str | Path, head: Head, *, other_identity: bool = False
) -> GaussianAvatar:
    """Read an avatar and bind it to its head.

    Args:
        id_or_path: ``"default"``, a ``.safetensors`` file, or a ``.ply`` of GaussianAvatars.
        head: the head it was made for. :func:`engine.avatar.with_head.load_with_head` gives it.
        other_identity: take it also for a head of the same triangles but another face, with a
            warning; it then belongs to that head. Not under another version of FLAME, whose
            expressions are others.

    Raises:
        BadInputError: no such file, not an avatar, truncated, or made for another head; says what
            differs.
    """
    path = avatar_path(id_or_path)
    if path.suffix.lower() == ".ply":
        avatar = load_point_cloud(path, head)
    else:
        about, tensors = read_tensor_file(
            path, (FORMAT, FIRST_FORMAT), "GaussianSpeech avatar", AVATAR_REMEDY
        )
        try:
            avatar = _assembled(about, tensors, head, path)
        except KeyError as error:
            raise BadInputError(f"{path} has no tensor {error}.", AVATAR_REMEDY) from error
        except BadInputError as error:
            if str(path) in error.message:
                raise
            hint = error.hint or AVATAR_REMEDY
            raise BadInputError(f"{path}: {error.message}", hint) from error
    return _on_head(avatar, head, path, other_identity=other_identity)


def avatar_path(id_or_path: str | Path) -> Path:
    """The file of an avatar.

    Raises:
        BadInputError: there is none.
    """
    path = ASSET if str(id_or_path) == DEFAULT_AVATAR else Path(id_or_path)
    if str(id_or_path).startswith(f"{DEFAULT_AVATAR}#") and not path.is_file():
        raise BadInputError(
            f"{id_or_path} is a head without an avatar of its own.",
            f"Use '{DEFAULT_AVATAR}', or train one (capture --head {id_or_path}, train avatar).",
        )
    if not path.is_file():
        raise BadInputError(
            f"There is no avatar file {path}.", f"Check the path, or use '{DEFAULT_AVATAR}'."
        )
    return path


def _on_head(
    avatar: GaussianAvatar, head: Head, path: Path, *, other_identity: bool
) -> GaussianAvatar:
    """See that the head is the avatar's own."""
    differs = difference(avatar.identity, head)
    if not differs:
        return avatar
    if not other_identity:
        raise BadInputError(
            f"{path} is an avatar of head {shown(avatar.head)}; '{head.id}' is another: {differs}.",
            "Leave the head out (in Blender: Add Person), and the avatar is drawn on its own.",
        )
    theirs, ours = avatar.identity.source, head.source
    if theirs.kind == ours.kind == "flame" and theirs.digest != ours.digest:
        raise BadInputError(
            f"{path} is of another version of FLAME, {theirs.file}, than {ours.file}: its colours "
            "follow other expressions.",
            "Give the FLAME model that the avatar was made with, or begin without the avatar.",
        )
    warning = f"{path.name} is of another person's head: {differs}"
    return replace(avatar, identity=Identity.of(head), warnings=(*avatar.warnings, warning))


def _assembled(
    about: JsonObject, tensors: Mapping[str, torch.Tensor], head: Head, path: Path
) -> GaussianAvatar:
    faces = torch.from_numpy(np.array(head.faces, np.int32))
    carried = isinstance(about.values.get("head"), dict)
    if carried:
        arrays = {n: t.numpy() for n, t in tensors.items() if n.startswith(PREFIX)}
        identity = read_identity(about.group("head"), arrays)
    else:
        identity = replace(Identity.of(head), id=about.text("head"))
    vertex_count = about.whole("vertex_count")
    if about.text("faces_sha256") != topology_hash(faces):
        same = identity.id == head.id
        raise BadInputError(
            f"{path} is an avatar of head {shown(identity.id)} ({vertex_count} vertices); it does "
            f"not fit {'the present ' if same else ''}head '{head.id}' ({head.vertex_count} "
            "vertices).",
            "The head has changed since: make the avatar again."
            if same
            else f"Load head {shown(identity.id)}, or choose an avatar made for '{head.id}'.",
        )
    kind = about.text("color")
    if kind not in _COLOR_MODELS:
        raise BadInputError(f"{path} has colours of the unknown kind {shown(kind)}.", AVATAR_REMEDY)
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
        identity=identity,
        faces=faces,
        binding=_binding(tensors["binding"]),
        color=color,
        provenance={key: str(value) for key, value in about.group("provenance").values.items()},
        light=tensors[_LIGHT].float() if _LIGHT in tensors else None,
        warnings=() if carried else _of_first_version(identity.id, head, path),
        **values,
    )


def _of_first_version(made_for: str, head: Head, path: Path) -> tuple[str, ...]:
    """What to say of a file that does not carry its head; nothing where that is the default one."""
    if made_for == head.id == DEFAULT_HEAD:
        return ()
    of = "" if made_for == head.id else f" and was made for another, {shown(made_for)}"
    warning = (
        f"{path.name} is of version 1, which does not carry its head: it is drawn on '{head.id}'"
        f"{of}. 'gaussianspeech export avatar' with --head writes it with its head"
    )
    return (warning,)


def _binding(stored: torch.Tensor) -> torch.Tensor:
    if stored.dtype not in {torch.int32, torch.int64}:
        raise BadInputError(f"The avatar's binding is {stored.dtype}, not whole numbers.")
    # Numbers that int32 cannot hold must not come round to valid triangles.
    return stored.clamp(-1, 2**31 - 1).to(torch.int32)
