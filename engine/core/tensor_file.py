# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading ``.safetensors`` files that came from anywhere; needs torch, imported when it is called.

Format: https://github.com/huggingface/safetensors#format. Nothing is compressed, so that the file's
size bounds what is read; our own files keep what they are in one entry of JSON in the metadata.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .checks import shown
from .errors import BadInputError
from .json_values import JsonObject, parse_json

if TYPE_CHECKING:
    import torch

_MAX_DIMENSIONS = 8
"""Of a tensor; torch computes with up to 64, and reads files that have more."""


def read_tensor_file(
    path: str | Path,
    key: str | tuple[str, ...],
    what: str,
    hint: str,
    *,
    tensors: bool = True,
    prefix: str = "",
) -> tuple[JsonObject, dict[str, torch.Tensor]]:
    """What a file says of itself, and its tensors.

    Args:
        path: the file.
        key: of the metadata's entry that holds a JSON object; of several the first that is there.
        what: such a file is, for messages.
        hint: of every error about the content.
        tensors: whether to read them; without, the dictionary is empty.
        prefix: start of the names of those to read.

    Returns:
        The JSON object, and tensors of finite numbers by name: copies, for the file is mapped, and
        who writes over it would change them.

    Raises:
        BadInputError: no such file, not safetensors, without that entry, damaged, or with values
            that are not finite numbers; names the file and the tensor.
    """
    if not Path(path).is_file():
        raise BadInputError(f"There is no file {path}.", "Check the path.")
    import torch
    from safetensors import safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            wanted = (key,) if isinstance(key, str) else key
            text = next((metadata[name] for name in wanted if name in metadata), None)
            keys = [name for name in file.keys() if name.startswith(prefix)] if tensors else []  # noqa: SIM118 - it has no iterator.
            found = {name: file.get_tensor(name).clone() for name in keys}
        about = None if text is None else parse_json(text)
    # The library and torch raise exceptions of many kinds.
    except Exception as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise BadInputError(f"{path} cannot be read: {reason[:120]}.", hint) from error
    if about is None:
        raise BadInputError(f"{path} is not a {what}: its metadata lacks {wanted[0]!r}.", hint)
    for name, tensor in found.items():
        if tensor.dim() > _MAX_DIMENSIONS:
            raise BadInputError(
                f"{path}: the tensor {shown(name)} has {tensor.dim()} dimensions.", hint
            )
        if tensor.is_complex() or not bool(torch.isfinite(tensor.float()).all()):
            raise BadInputError(
                f"{path}: the tensor {shown(name)} holds values that are not finite numbers.", hint
            )
    return JsonObject(about, str(path), hint), found
