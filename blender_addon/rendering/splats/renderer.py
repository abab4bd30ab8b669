# SPDX-License-Identifier: GPL-3.0-or-later
"""Drawing avatars with Blender's gpu module: OpenGL, Vulkan or Metal, on any GPU.

Textures of an avatar are made once; of a frame only the vertices and the order are new, and those
only where the mesh or the view has changed (the gpu module cannot write into an existing texture).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from typing import Any

import gpu
import numpy as np
from gpu_extras.batch import batch_for_shader

from ....engine.core.arrays import Float, Index
from ..camera import ViewCamera
from .arrays import WIDTH, AvatarArrays, NetworkColor, texels
from .shaders import BIAS_ROWS, FRAME_ROWS, blend_shader, footprint_shader, overlay_shader
from .sorting import DepthSorter, back_to_front

_DILATION = 0.3
"""Pixels² added to the projected covariance, as gsplat's ``eps2d``."""
_LEAST_ALPHA = 1 / 255
_CORNERS = [(-1, -1), (1, -1), (-1, 1), (1, 1)]


_numbers = count()


class GpuAvatar:
    """An avatar's textures.

    Args:
        arrays: the avatar.
        faces: (F, 3) triangles of its mesh.

    Raises:
        BadInputError: the avatar was made for other triangles.
    """

    def __init__(self, arrays: AvatarArrays, faces: Index) -> None:
        rows, color = arrays.rows, arrays.color
        self.arrays = arrays
        self.sorter = DepthSorter(faces, arrays.binding, arrays.positions)
        self.textures = {
            name: _texture(texels(values, rows))
            for name, values in (
                ("corners", arrays.corners(faces)),
                ("positions", arrays.positions),
                ("quats", arrays.quats),
                ("scales", arrays.scales),
            )
        }
        self.textures["colours"] = _texture(texels(color.per_gaussian(), rows, color.texels))
        if isinstance(color, NetworkColor):
            self.textures["weights"] = _texture(color.weights())
            self.shader = footprint_shader("mlp", color.texels, len(color.first_bias))
        else:
            self.shader = footprint_shader("sh", color.texels, color.coefficients.shape[1])
        self.cover = batch_for_shader(self.shader, "TRI_STRIP", {"pos": _CORNERS})


class Subject:
    """An avatar in a scene: where its mesh is.

    Args:
        avatar: its textures.
        vertices: (V, 3) world space, metres.
        to_head: (3, 3) world directions to the head's own.
        expression: (E,) ψ, or ``None`` for neutral.

    Attributes:
        number: its own, never given again.
    """

    def __init__(
        self, avatar: GpuAvatar, vertices: Float, to_head: Float, expression: Float | None
    ) -> None:
        self.avatar, self.vertices, self.number = avatar, vertices, next(_numbers)
        rows = -(-len(vertices) // WIDTH)
        self.texture = _texture(texels(vertices, rows))
        color = avatar.arrays.color
        self.uniforms = np.zeros((FRAME_ROWS + BIAS_ROWS, 4), np.float32)
        self.uniforms[7:10, :3] = to_head
        if isinstance(color, NetworkColor):
            bias = color.bias(expression)
            self.uniforms[FRAME_ROWS:].reshape(-1)[: len(bias)] = bias
            self.uniforms[11, :3] = color.second_bias
        self.buffer = gpu.types.GPUUniformBuf(_floats(self.uniforms))


class SplatPicture:
    """A picture of avatars, kept on the GPU.

    Args:
        depth: ``"16"`` or ``"32"``, bits of a channel.
    """

    def __init__(self, depth: str = "16") -> None:
        self._format = f"RGBA{depth}F"
        self._size = (0, 0)
        self._rows = 0
        self._key: Any = None
        self.textures: tuple[Any, Any] | None = None
        self._linear: Any = None
        self.depths = (0.0, 1.0)

    def draw(self, subjects: Sequence[Subject], view: ViewCamera, share: float = 1.0) -> None:
        """Draw avatars, which hide each other where they should.

        Args:
            subjects: who.
            view: from where.
            share: of each avatar's Gaussians, those that show most.
        """
        self._fit(view, sum(subject.avatar.arrays.rows for subject in subjects))
        self._project(subjects, view)
        order, drawn = self._sort(subjects, view, share)
        shader = blend_shader()
        with self._frame.bind(), _state(blend="ALPHA_PREMULT"):
            self._frame.clear(color=(0.0, 0.0, 0.0, 0.0))
            gpu.state.viewport_set(0, 0, view.width, view.height)
            shader.bind()
            shader.uniform_sampler("order", order)
            for name, texture in zip(
                ("footprints", "conics", "shades"), self._footprints, strict=True
            ):
                shader.uniform_sampler(name, texture)
            shader.uniform_float("film", (view.width, view.height))
            shader.uniform_float("depths", self.depths)
            self._quad.draw_instanced(shader, instance_start=0, instance_count=drawn)

    def lay_over(self, window_matrix: Any, *, linear_target: bool, nearer: float = 0.0) -> None:
        """Draw the picture into the framebuffer that is bound, where nothing is before it.

        Args:
            window_matrix: the viewport's projection, OpenGL axes.
            linear_target: whether that framebuffer takes linear colours, and encodes them.
            nearer: metres by which the avatars count as nearer than they are.
        """
        z, w = window_matrix[2], window_matrix[3]
        with _state(blend="ALPHA_PREMULT", depth_test="LESS_EQUAL"):
            self._cover((z[2], z[3], w[2], w[3]), linear=linear_target, nearer=nearer)

    def _cover(
        self, clip: tuple[float, float, float, float], *, linear: bool, nearer: float = 0.0
    ) -> None:
        assert self.textures is not None
        shader = overlay_shader()
        batch = batch_for_shader(shader, "TRI_STRIP", {"pos": _CORNERS})
        shader.bind()
        shader.uniform_sampler("picture", self.textures[0])
        shader.uniform_sampler("distances", self.textures[1])
        shader.uniform_float("clip", clip)
        shader.uniform_float("depths", (self.depths[0] - nearer, self.depths[1]))
        shader.uniform_float("linear_target", 1.0 if linear else 0.0)
        batch.draw(shader)

    def linear(self) -> Any:
        """The picture as a texture of scene-linear, premultiplied colours."""
        assert self.textures is not None
        if self._linear is None:
            self._linear = gpu.types.GPUTexture(self._size, format="RGBA16F")
        frame = gpu.types.GPUFrameBuffer(color_slots=self._linear)
        with frame.bind(), _state():
            frame.clear(color=(0.0, 0.0, 0.0, 0.0))
            gpu.state.viewport_set(0, 0, *self._size)
            self._cover((0.0, 1.0, 0.0, 1.0), linear=True)
        return self._linear

    def read(self) -> Float:
        """(H, W, 4) premultiplied display-referred colour and alpha, row 0 at the top."""
        width, height = self._size
        pixels = self._frame.read_color(0, 0, width, height, 4, 0, "FLOAT")
        pixels.dimensions = width * height * 4
        return np.array(pixels, np.float32).reshape(height, width, 4)[::-1]

    def _fit(self, view: ViewCamera, rows: int) -> None:
        """Make the textures that are too small, or of another size."""
        size = (max(1, view.width), max(1, view.height))
        if size != self._size:
            self._size, self._linear = size, None
            self.textures = tuple(gpu.types.GPUTexture(size, format=self._format) for _ in range(2))  # type: ignore[assignment]
            self._frame = gpu.types.GPUFrameBuffer(color_slots=self.textures)
            self._quad = batch_for_shader(blend_shader(), "TRI_STRIP", {"pos": _CORNERS})
        if rows > self._rows:
            self._rows = rows
            self._footprints = [
                gpu.types.GPUTexture((WIDTH, rows), format="RGBA32F") for _ in range(3)
            ]
            self._projection = gpu.types.GPUFrameBuffer(color_slots=self._footprints)

    def _project(self, subjects: Sequence[Subject], view: ViewCamera) -> None:
        frame = np.zeros((FRAME_ROWS, 4), np.float32)
        frame[:4] = view.viewmat
        frame[4] = view.K[0, 0], view.K[1, 1], view.K[0, 2], view.K[1, 2]
        frame[5] = view.width, view.height, view.near, view.far
        frame[6] = *view.eye, float(view.orthographic)
        row = 0
        with self._projection.bind(), _state():
            for subject in subjects:
                arrays = subject.avatar.arrays
                subject.uniforms[:7] = frame[:7]
                subject.uniforms[10] = row, arrays.count, _DILATION, _LEAST_ALPHA
                subject.buffer.update(_floats(subject.uniforms))
                gpu.state.viewport_set(0, row, WIDTH, arrays.rows)
                shader = subject.avatar.shader
                shader.bind()
                shader.uniform_sampler("vertices", subject.texture)
                for name, texture in subject.avatar.textures.items():
                    shader.uniform_sampler(name, texture)
                shader.uniform_block("frame", subject.buffer)
                subject.avatar.cover.draw(shader)
                row += arrays.rows

    def _sort(self, subjects: Sequence[Subject], view: ViewCamera, share: float) -> tuple[Any, int]:
        """The order as a texture, and how many are drawn; kept while nothing has moved."""
        axis = view.viewmat[2, :3].astype(np.float32)
        key = (*(subject.number for subject in subjects), axis.tobytes(), share)
        if key != self._key:
            depths, places, row = [], [], 0
            for subject in subjects:
                arrays = subject.avatar.arrays
                found = subject.avatar.sorter.depths(subject.vertices, axis)
                chosen = slice(None)
                if share < 1:
                    chosen = np.sort(arrays.rank[: max(1, int(share * arrays.count))])
                depths.append(found[chosen])
                places.append(np.arange(arrays.count, dtype=np.int32)[chosen] + row * WIDTH)
                row += arrays.rows
            joined = np.concatenate(depths)
            order = np.concatenate(places)[back_to_front(joined)]
            self._count = len(order)
            rows = -(-self._count // WIDTH)
            padded = np.zeros((rows, WIDTH), np.float32)
            padded.reshape(-1)[: self._count] = order
            self._order = _texture(padded, "R32F")
            # Half floats keep distances from the middle, in units of the range, well enough.
            offset = float(view.viewmat[2, 3])
            low, high = float(joined.min()) + offset, float(joined.max()) + offset
            self.depths = (low + high) / 2, 2 / max(high - low, 1e-3)
            self._key = key
        return self._order, self._count


@contextmanager
def _state(blend: str = "NONE", depth_test: str = "NONE") -> Iterator[None]:
    """Draw with these settings; Blender's own drawing finds its own as they were."""
    before = gpu.state.blend_get(), gpu.state.depth_test_get(), gpu.state.depth_mask_get()
    gpu.state.blend_set(blend)
    gpu.state.depth_test_set(depth_test)
    gpu.state.depth_mask_set(False)
    try:
        yield
    finally:
        gpu.state.blend_set(before[0])
        gpu.state.depth_test_set(before[1])
        gpu.state.depth_mask_set(before[2])


def _texture(values: Float, form: str = "RGBA32F") -> Any:
    height, width = values.shape[:2]
    return gpu.types.GPUTexture((width, height), format=form, data=_floats(values))


def _floats(values: Float) -> Any:
    flat = np.ascontiguousarray(values, np.float32).reshape(-1)
    return gpu.types.Buffer("FLOAT", len(flat), flat)


def expression_of(color: Any, values: Mapping[str, float], names: Sequence[str]) -> Float | None:
    """ψ in the order of the head's expressions; ``None`` where the colours take none."""
    if not isinstance(color, NetworkColor) or not color.expression_size:
        return None
    found = np.zeros(color.expression_size, np.float32)
    for index, name in enumerate(names[: len(found)]):
        found[index] = values.get(name, 0.0)
    return found
