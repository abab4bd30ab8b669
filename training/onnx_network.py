# SPDX-License-Identifier: GPL-3.0-or-later
"""Networks of ONNX files in torch, so that gradients go through them.

The operators are those of convolutional networks: face recognition, VGG, detectors' backbones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.core.errors import BadInputError
from training.onnx_file import Graph, Node, read_onnx

_Values = Sequence[Tensor | None]
_Operator = Callable[[Node, Any], "Tensor | Sequence[Tensor]"]


class OnnxNetwork(nn.Module):
    """The network of a file, frozen.

    Args:
        path: the file.

    Raises:
        BadInputError: it is not there, damaged, or uses an operator that is not known here.
    """

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self.graph: Graph = read_onnx(path)
        unknown = {node.kind for node in self.graph.nodes} - OPERATORS.keys()
        if unknown:
            raise BadInputError(
                f"{path} uses the ONNX operators {', '.join(sorted(unknown))[:120]}, which are not "
                "known here.",
                "Make a TorchScript file of the network, or export it without these "
                "(docs/weights.md).",
            )
        self._names = {name: f"weight_{number}" for number, name in enumerate(self.graph.weights)}
        for name, array in self.graph.weights.items():
            self.register_buffer(self._names[name], torch.from_numpy(array.copy()))

    def forward(self, inputs: Tensor) -> list[Tensor]:
        """The outputs of the graph, in their order.

        Raises:
            RuntimeError, TypeError, ValueError, KeyError, IndexError: the graph cannot take them.
        """
        values: dict[str, Tensor | None] = {
            name: getattr(self, buffer) for name, buffer in self._names.items()
        }
        values |= {"": None, self.graph.inputs[0]: inputs}
        for node in self.graph.nodes:
            taken = [values[name] for name in node.inputs]
            made = OPERATORS[node.kind](node, taken)
            given = [made] if isinstance(made, Tensor) else made
            values.update(zip(node.outputs, given, strict=False))
        outputs = [values[name] for name in self.graph.outputs]
        return [output for output in outputs if output is not None]


def _list(node: Node, values: _Values, place: int, name: str) -> list[int]:
    """Whole numbers: an attribute in older operators, an input in newer ones."""
    if name in node.attributes:
        return [int(value) for value in node.attributes[name]]
    given = values[place] if len(values) > place else None
    return [] if given is None else [int(value) for value in given.flatten().tolist()]


def _padding(node: Node, values: Tensor, kernel: Sequence[int], fill: float) -> Tensor:
    """The picture with the padding that a convolution or a pooling asks for."""
    steps = node.attributes.get("strides", [1] * len(kernel))
    spread = node.attributes.get("dilations", [1] * len(kernel))
    pads = list(node.attributes.get("pads", [0] * 2 * len(kernel)))
    side = node.attributes.get("auto_pad", "NOTSET")
    if side in ("SAME_UPPER", "SAME_LOWER"):
        for axis, size in enumerate(values.shape[2:]):
            reach = (kernel[axis] - 1) * spread[axis] + 1
            lack = max(0, (-(-size // steps[axis]) - 1) * steps[axis] + reach - size)
            less, more = lack // 2, lack - lack // 2
            first, last = (less, more) if side == "SAME_UPPER" else (more, less)
            pads[axis], pads[axis + len(kernel)] = first, last
    if not any(pads):
        return values
    both = [(pads[axis], pads[axis + len(kernel)]) for axis in range(len(kernel))]
    return functional.pad(values, [pad for pair in reversed(both) for pad in pair], value=fill)


def _conv(node: Node, values: Any) -> Tensor:
    picture, weight, bias = values[0], values[1], values[2] if len(values) > 2 else None
    size = weight.ndim - 2
    apply: Any = (functional.conv1d, functional.conv2d, functional.conv3d)[size - 1]
    made: Tensor = apply(
        _padding(node, picture, weight.shape[2:], 0.0),
        weight,
        bias,
        tuple(node.attributes.get("strides", [1] * size)),
        0,
        tuple(node.attributes.get("dilations", [1] * size)),
        node.attributes.get("group", 1),
    )
    return made


def _pool(node: Node, values: Any) -> Tensor:
    kernel = node.attributes["kernel_shape"]
    steps = tuple(node.attributes.get("strides", [1] * len(kernel)))
    if node.attributes.get("ceil_mode", 0):
        raise ValueError("pooling that rounds sizes up")
    largest = node.kind == "MaxPool"
    padded = _padding(node, values[0], kernel, -torch.inf if largest else 0.0)
    size = len(kernel)
    if largest:
        apply: Any = (functional.max_pool1d, functional.max_pool2d, functional.max_pool3d)[size - 1]
    else:
        if any(node.attributes.get("pads", [])) and not node.attributes.get("count_include_pad"):
            raise ValueError("an average that leaves its padding out")
        apply = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)[size - 1]
    made: Tensor = apply(padded, tuple(kernel), steps)
    return made


def _norm(node: Node, values: Any) -> Tensor:
    picture, weight, bias, mean, variance = values
    return functional.batch_norm(
        picture, mean, variance, weight, bias, eps=node.attributes.get("epsilon", 1e-5)
    )


def _gemm(node: Node, values: Any) -> Tensor:
    left = values[0].T if node.attributes.get("transA") else values[0]
    right = values[1].T if node.attributes.get("transB") else values[1]
    made: Tensor = node.attributes.get("alpha", 1.0) * (left @ right)
    if len(values) > 2 and values[2] is not None:
        made = made + node.attributes.get("beta", 1.0) * values[2]
    return made


def _prelu(_node: Node, values: Any) -> Tensor:
    picture, slope = values
    return torch.where(picture < 0, slope * picture, picture)


def _resize(node: Node, values: Any) -> Tensor:
    picture = values[0]
    sizes = _list(node, values, 3, "sizes") if node.kind == "Resize" else []
    scales = values[2 if node.kind == "Resize" else 1]
    if not sizes:
        factors = [float(value) for value in scales.flatten().tolist()]
        sizes = [int(size * factor) for size, factor in zip(picture.shape, factors, strict=True)]
    mode = node.attributes.get("mode", "nearest")
    aligned = node.attributes.get("coordinate_transformation_mode", "half_pixel")
    if mode == "nearest":
        return functional.interpolate(picture, sizes[2:], mode="nearest")
    if mode != "linear" or aligned not in ("half_pixel", "pytorch_half_pixel", "align_corners"):
        raise ValueError(f"a resize of the mode {mode}, {aligned}")
    return functional.interpolate(
        picture, sizes[2:], mode="bilinear", align_corners=aligned == "align_corners"
    )


def _split(node: Node, values: Any) -> Sequence[Tensor]:
    axis = node.attributes.get("axis", 0)
    sizes = _list(node, values, 1, "split")
    if not sizes:
        return torch.chunk(values[0], len(node.outputs), axis)
    parts: Sequence[Tensor] = torch.split(values[0], sizes, axis)
    return parts


def _slice(node: Node, values: Any) -> Tensor:
    made: Tensor = values[0]
    starts, ends = _list(node, values, 1, "starts"), _list(node, values, 2, "ends")
    axes = _list(node, values, 3, "axes") or list(range(len(starts)))
    steps = _list(node, values, 4, "steps") or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        if step < 1:
            raise ValueError("a slice that runs backwards")
        index = [slice(None)] * made.ndim
        index[axis] = slice(start, end, step)
        made = made[tuple(index)]
    return made


def _reshape(_node: Node, values: Any) -> Tensor:
    shape = [int(size) for size in values[1].tolist()]
    kept = [values[0].shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
    made: Tensor = values[0].reshape(kept)
    return made


def _flatten(node: Node, values: Any) -> Tensor:
    axis = node.attributes.get("axis", 1)
    first = int(np.prod(values[0].shape[:axis], dtype=np.int64))
    made: Tensor = values[0].reshape(first, -1)
    return made


def _squeeze(node: Node, values: Any) -> Tensor:
    made: Tensor = values[0]
    axes = _list(node, values, 1, "axes")
    if node.kind == "Unsqueeze":
        size = made.ndim + len(axes)
        for axis in sorted(axis % size for axis in axes):
            made = made.unsqueeze(axis)
        return made
    chosen = axes or [axis for axis, size in enumerate(made.shape) if size == 1]
    for axis in sorted((axis % made.ndim for axis in chosen), reverse=True):
        made = made.squeeze(axis)
    return made


def _mean(node: Node, values: Any) -> Tensor:
    axes = _list(node, values, 1, "axes") or list(range(values[0].ndim))
    made: Tensor = values[0].mean(axes, keepdim=bool(node.attributes.get("keepdims", 1)))
    return made


def _clip(node: Node, values: Any) -> Tensor:
    bounds = [node.attributes.get(name) for name in ("min", "max")]
    for place in (1, 2):
        if len(values) > place and values[place] is not None:
            bounds[place - 1] = float(values[place])
    return torch.clamp(values[0], *bounds)


def _constant(node: Node, _values: Any) -> Tensor:
    (value,) = node.attributes.values()
    return torch.from_numpy(np.array(value))


def _cast(node: Node, values: Any) -> Tensor:
    kinds = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 11: torch.float64}
    made: Tensor = values[0].to(kinds[node.attributes["to"]])
    return made


def _gather(node: Node, values: Any) -> Tensor:
    axis, index = node.attributes.get("axis", 0), values[1]
    made = values[0].index_select(axis, index.flatten().remainder(values[0].shape[axis]))
    shape = values[0].shape
    found: Tensor = made.reshape(*shape[:axis], *index.shape, *shape[axis + 1 :])
    return found


OPERATORS: dict[str, _Operator] = {
    "Add": lambda _, v: v[0] + v[1],
    "AveragePool": _pool,
    "BatchNormalization": _norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda n, v: torch.cat(list(v), n.attributes["axis"]),
    "Constant": _constant,
    "Conv": _conv,
    "Div": lambda _, v: v[0] / v[1] if v[0].is_floating_point() else v[0] // v[1],
    "Dropout": lambda _, v: v[0],
    "Flatten": _flatten,
    "Gather": _gather,
    "Gemm": _gemm,
    "GlobalAveragePool": lambda _, v: v[0].mean(tuple(range(2, v[0].ndim)), keepdim=True),
    "Identity": lambda _, v: v[0],
    "LeakyRelu": lambda n, v: functional.leaky_relu(v[0], n.attributes.get("alpha", 0.01)),
    "MatMul": lambda _, v: v[0] @ v[1],
    "MaxPool": _pool,
    "Mul": lambda _, v: v[0] * v[1],
    "PRelu": _prelu,
    "ReduceMean": _mean,
    "Relu": lambda _, v: functional.relu(v[0]),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": lambda _, v: torch.tensor(v[0].shape),
    "Sigmoid": lambda _, v: torch.sigmoid(v[0]),
    "Slice": _slice,
    "Softmax": lambda n, v: torch.softmax(v[0], n.attributes.get("axis", -1)),
    "Split": _split,
    "Sqrt": lambda _, v: torch.sqrt(v[0]),
    "Squeeze": _squeeze,
    "Sub": lambda _, v: v[0] - v[1],
    "Tanh": lambda _, v: torch.tanh(v[0]),
    "Transpose": lambda n, v: v[0].permute(n.attributes["perm"]),
    "Unsqueeze": _squeeze,
    "Upsample": _resize,
}
"""By their names in ONNX."""
