# SPDX-License-Identifier: GPL-3.0-or-later
"""The way from vertices to pixels as a GPU takes it, held to the CPU's compiled one."""

import logging

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from engine.avatar import AvatarPipeline, binding, color, load_avatar, pipeline, splats
from engine.core.errors import BadInputError
from engine.heads import load_head
from engine.rendering.frames import FrameRenderer, portrait_camera
from engine.splatting.backend import BlendSettings, Image
from engine.splatting.cpu.backend import CpuBackend

WAITS = {
    "aten::_local_scalar_dense",
    "aten::item",
    "aten::is_nonzero",
    "aten::equal",
    "aten::nonzero",
    "aten::masked_select",
    "aten::unique_dim",
    "aten::_unique2",
    "aten::_to_copy",
    "aten::repeat_interleave.Tensor",
}
"""Operations for whose result, or size, a GPU makes the host wait; and copies between devices."""


class Operations(TorchDispatchMode):
    """Every operation that tensors are asked for."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, operation, types, arguments=(), keywords=None):
        self.names.append(operation.name())
        return operation(*arguments, **(keywords or {}))


class Nowhere:
    """A backend on a device of shapes alone: any look at a value fails there."""

    name, device, blend_settings = "nowhere", torch.device("meta"), BlendSettings()

    def render(self, splats, camera, background=None):
        assert background is None
        assert all(tensor.device.type == "meta" for tensor in splats)
        shape = (camera.height, camera.width)
        return Image(*(torch.empty(*shape, *end, device="meta") for end in ((3,), (), ())))


@pytest.fixture
def by_tensors(monkeypatch):
    """Take the way of other devices on this one."""
    for module in (binding, color):
        monkeypatch.setattr(module, "compilable", lambda *_: False)


def frame(head, seed=0):
    random = np.random.default_rng(seed)
    vertices = head.template + 0.01 * random.normal(size=head.template.shape)
    matrix = np.eye(4, dtype=np.float32)
    matrix[:3, :3] = [[0, 0, 2], [0, 1.5, 0.3], [-1, 0, 0]]
    matrix[:3, 3] = [0.1, -0.2, 0.3]
    eye = np.array([0.4, 0.3, 2.0], np.float32)
    return vertices.astype(np.float32), random.random(2).astype(np.float32), matrix, eye


@pytest.mark.parametrize("kind", ["sh_avatar", "mlp_avatar"])
@pytest.mark.parametrize("still", [False, True])
def test_the_tensor_way_gives_the_compiled_splats(head, kind, still, request):
    avatar = request.getfixturevalue(kind)
    vertices, psi, matrix, eye = frame(head)
    inputs = (vertices, None, None, None) if still else (vertices, psi, matrix, eye)
    compiled = AvatarPipeline(avatar, "cpu").splats(*inputs)
    request.getfixturevalue("by_tensors")
    tensors = AvatarPipeline(avatar, "cpu").splats(*inputs)
    for mine, expected in zip(tensors, compiled, strict=True):
        torch.testing.assert_close(mine, expected, atol=1e-5, rtol=1e-5)


def test_the_tensor_way_gives_the_default_avatars_picture(request):
    head = load_head("default")
    avatar, camera = load_avatar("default", head), portrait_camera(head, 160, 200)
    expected = FrameRenderer(avatar, CpuBackend(), camera).submit(head.template, None).numpy()[0]
    request.getfixturevalue("by_tensors")
    found = FrameRenderer(avatar, CpuBackend(), camera).submit(head.template, None).numpy()[0]
    assert found.shape == (200, 160, 3)
    assert found.max() > 100
    assert np.abs(found.astype(int) - expected).max() <= 1


def test_the_pipeline_gives_what_splats_gives(head, mlp_avatar):
    vertices, psi, matrix, eye = frame(head)
    expected = splats(mlp_avatar, *map(torch.from_numpy, (vertices, psi, matrix, eye)))
    found = AvatarPipeline(mlp_avatar, "cpu").splats(vertices, psi, matrix, eye)
    for mine, other in zip(found, expected, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["sh_avatar", "mlp_avatar"])
@pytest.mark.usefixtures("by_tensors")
def test_no_operation_of_a_frame_makes_the_host_wait(head, kind, request):
    made = AvatarPipeline(request.getfixturevalue(kind), "cpu")
    made.splats(*frame(head))
    with Operations() as seen:
        vertices, psi, matrix, eye = frame(head, seed=1)
        to_head = pipeline.into_head(torch.from_numpy(matrix))
        started = len(seen.names)
        parts = [torch.from_numpy(part) for part in (vertices, psi, matrix)]
        inputs = pipeline.Frame(*parts, to_head, torch.from_numpy(eye))
        with torch.inference_mode():
            pipeline.splats_of(made.avatar, inputs)
    names = seen.names[started:]
    assert not WAITS.intersection(name.split(".")[0] for name in names)
    # Each is a launch where they are not captured as one.
    assert len(names) < 140


@pytest.mark.parametrize("kind", ["sh_avatar", "mlp_avatar"])
def test_a_whole_frame_is_begun_without_a_look_at_any_value(head, kind, request):
    avatar = request.getfixturevalue(kind)
    vertices, psi, _, _ = frame(head)
    renderer = FrameRenderer(
        avatar, Nowhere(), portrait_camera(head, 16, 12), np.zeros((12, 16, 3), "f4")
    )
    for _ in range(2):
        down = renderer.submit(vertices, psi)
    with pytest.raises(NotImplementedError):
        down.numpy()


def test_an_avatar_on_another_device_is_the_same_avatar(mlp_avatar):
    there = mlp_avatar.to("meta")
    assert there.device.type == "meta"
    assert there.color.count == there.count == mlp_avatar.count
    assert there.activated().faces.dtype == torch.int64
    assert mlp_avatar.device.type == "cpu"


def test_what_does_not_change_is_worked_out_once(head, mlp_avatar):
    made = AvatarPipeline(mlp_avatar, "cpu")
    made.splats(*frame(head))
    first = made.avatar.activated()
    made.splats(*frame(head, seed=1))
    assert made.avatar.activated() is first


def test_what_was_kept_by_a_picture_can_still_be_trained_on(head, mlp_avatar):
    made = AvatarPipeline(mlp_avatar, "cpu")
    made.splats(*frame(head))
    vertices = torch.from_numpy(head.template).requires_grad_()
    psi = torch.rand(2, requires_grad=True)
    result = splats(made.avatar, vertices, psi, None, torch.ones(3))
    for gradient in torch.autograd.grad(result.colors.sum() + result.means.sum(), [vertices, psi]):
        assert gradient.abs().sum() > 0


def test_where_a_graph_cannot_be_captured_frames_are_made_without(
    head, mlp_avatar, monkeypatch, caplog
):
    tried = []

    def refused(*arguments):
        tried.append(arguments)
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(pipeline, "CapturedSplats", refused)
    made = AvatarPipeline(mlp_avatar, "cpu")
    expected = made.splats(*frame(head))
    monkeypatch.setattr(made, "_graph", True)
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            for mine, other in zip(made.splats(*frame(head)), expected, strict=True):
                assert torch.equal(mine, other)
    assert len(tried) == 1
    assert "without a CUDA graph" in caplog.text


def test_each_set_of_inputs_has_a_graph_of_its_own(head, mlp_avatar, monkeypatch):
    layouts = []

    class Captured:
        def __init__(self, avatar, packed, layout):
            layouts.append(layout)
            self.avatar, self.layout = avatar, layout
            self.packed = packed.clone()

        def __call__(self, packed):
            self.packed.copy_(packed)
            return pipeline.splats_of(self.avatar, pipeline.unpacked(self.packed, self.layout))

    monkeypatch.setattr(pipeline, "CapturedSplats", Captured)
    made = AvatarPipeline(mlp_avatar, "cpu")
    vertices, psi, matrix, eye = frame(head)
    variants = [(vertices, psi, matrix, eye), (vertices,), (vertices, None, None, eye)]
    expected = [made.splats(*inputs) for inputs in variants]
    monkeypatch.setattr(made, "_graph", True)
    for _ in range(2):
        for inputs, before in zip(variants, expected, strict=True):
            for mine, other in zip(made.splats(*inputs), before, strict=True):
                assert torch.equal(mine, other)
    assert len(layouts) == len(set(layouts)) == 3


def test_bad_frames_are_refused_before_anything_is_queued(head, mlp_avatar):
    made = AvatarPipeline(mlp_avatar, "cpu")
    vertices, psi, matrix, eye = frame(head)
    with pytest.raises(BadInputError, match=r"5 vertices.*6"):
        made.splats(vertices[:5])
    with pytest.raises(BadInputError, match="2 expression weights"):
        made.splats(vertices, np.zeros(7, np.float32), matrix, eye)
    with pytest.raises(BadInputError, match="flattens"):
        made.splats(vertices, psi, matrix * np.array([1, 0, 1, 1], np.float32), eye)
