# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar with the head that it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from engine.avatar.avatar_file import DEFAULT_AVATAR, avatar_path, load_avatar
from engine.avatar.gaussian_avatar import GaussianAvatar
from engine.core.errors import BadInputError
from engine.core.tensor_file import read_tensor_file
from engine.heads.carried_head import AVATAR_REMEDY, FIRST_FORMAT, FORMAT
from engine.heads.default import load_default_head
from engine.heads.head import Head
from engine.heads.registry import avatar_in, carries_head, flame_param_of_file, load_head


class AvatarWithHead(NamedTuple):
    """An avatar and its head."""

    avatar: GaussianAvatar
    head: Head


def load_with_head(avatar: str | Path, head: str | Path | None = None) -> AvatarWithHead:
    """Load an avatar and its head.

    Args:
        avatar: ``"default"``, a ``.safetensors`` file, a ``.ply`` of GaussianAvatars, or a person's
            folder.
        head: where the avatar carries its head, the file that this head is made from, such as the
            FLAME model, if it need not be looked for; where it does not (version 1, a ``.ply``
            without ``flame_param.npz``), its head.

    Raises:
        BadInputError: no such avatar, or the head is another; says what differs.
        MissingDependencyError: the file that the head is made from is not found.
    """
    source = _source(avatar)
    made = _head(source, head)
    return AvatarWithHead(load_avatar(source, made), made)


def head_of(avatar: str | Path, head: str | Path | None = None) -> Head:
    """The head of an avatar, without the avatar; arguments as :func:`load_with_head`."""
    return _head(_source(avatar), head)


def _source(avatar: str | Path) -> str | Path:
    """The avatar itself, or the one in a folder."""
    named = str(avatar) == DEFAULT_AVATAR or not Path(avatar).is_dir()
    return avatar if named else avatar_in(Path(avatar))


def _head(source: str | Path, head: str | Path | None) -> Head:
    if str(source) == DEFAULT_AVATAR:
        return load_default_head() if head is None else load_head(head)
    path = avatar_path(source)
    if head is None:
        if path.suffix.lower() == ".ply" and flame_param_of_file(path) is None:
            return _marked(path)
        return load_head(path)
    file = Path(head)
    is_source = file.is_file() and not carries_head(file)
    if is_source and (_carries(path) or flame_param_of_file(path) is not None):
        return load_head(path, file)
    return load_head(head)


def _carries(path: Path) -> bool:
    """Whether an avatar's file is of version 2 and of a head that is made from a file."""
    if path.suffix.lower() != ".safetensors":
        return False
    keys = (FORMAT, FIRST_FORMAT)
    about, _ = read_tensor_file(path, keys, "avatar", AVATAR_REMEDY, tensors=False)
    head = about.values.get("head")
    return isinstance(head, dict) and head.get("kind") in ("flame", "file")


def _marked(path: Path) -> Head:
    """The head of a ``.ply`` without parameters beside it: the default one, where it says so."""
    from engine.avatar.gaussian_avatars import is_marked_for
    from engine.avatar.ply import read_header

    default = load_default_head()
    if is_marked_for(read_header(path).comments, default):
        return default
    raise BadInputError(
        f"{path} does not say whose head it is bound to.",
        "Name the head with --head, or put the flame_param.npz of the person beside it.",
    )
