# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading and rendering avatars through the engine's methods."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.avatar import AvatarPipeline, GaussianAvatar, ShColor, save_avatar
from engine.core.errors import BadInputError
from engine.core.json_values import JsonObject
from engine.heads.axes import HEAD_TO_BLENDER
from engine.heads.identity import Identity
from engine.serving.methods import make_methods
from engine.serving.request import Request
from engine.splatting.backend import Splats

SIZE = 48


@pytest.fixture(scope="module")
def avatar_file(head, tmp_path_factory):
    """A red Gaussian in the middle of every tenth triangle."""
    faces = torch.from_numpy(np.array(head.faces))
    binding = torch.arange(0, len(faces), 10, dtype=torch.int32)
    count = len(binding)
    avatar = GaussianAvatar(
        identity=Identity.of(head),
        faces=faces,
        binding=binding,
        positions=torch.zeros(count, 3),
        log_scales=torch.full((count, 3), 0.5),
        quats=torch.tensor([1.0, 0, 0, 0]).repeat(count, 1),
        opacity_logits=torch.full((count,), 4.0),
        color=ShColor.constant(torch.tensor([0.8, 0.1, 0.1]).repeat(count, 1)),
    )
    path = tmp_path_factory.mktemp("avatar") / "red.safetensors"
    save_avatar(avatar, path)
    return path


@pytest.fixture
def call():
    methods = make_methods()

    def ask(method, arrays=None, **params):
        return methods[method](Request(method, JsonObject(params, method), arrays or {}))

    return ask


def camera(distance=1.0):
    """In front of the head in Blender's world: at −Y, looking along +Y, Z up."""
    rotation = np.array([[1, 0, 0], [0, 0, -1], [0, 1, 0]], np.float32)
    view = np.eye(4, dtype=np.float32)
    view[:3, :3], view[:3, 3] = rotation, -rotation @ np.float32([0, -distance, 0])
    focal = 2.5 * SIZE
    return {
        "viewmat": view.ravel().tolist(),
        "K": [focal, 0, SIZE / 2, 0, focal, SIZE / 2, 0, 0, 1],
        "width": SIZE,
        "height": SIZE,
        "near": 0.01,
        "far": 100.0,
        "orthographic": False,
    }


def render(call, items, vertices, **options):
    arrays = {f"vertices/{index}": vertices for index in range(len(items))}
    return call("avatar.render", arrays, items=items, camera=camera(), **options)


def item(avatar, move=(0, 0, 0), **more):
    matrix = HEAD_TO_BLENDER.copy()
    matrix[:3, 3] = move
    return {"avatar": str(avatar), "matrix": matrix.ravel().tolist(), **more}


def test_a_loaded_avatar_tells_its_size_and_head(call, avatar_file, head):
    body = call("avatar.load", avatar=str(avatar_file), head="default").body
    assert body["gaussians"] == -(-len(head.faces) // 10)
    assert body["head"] == "default"


def test_the_avatar_is_seen_in_the_middle_at_its_distance(call, avatar_file, head):
    reply = render(call, [item(avatar_file)], head.template)
    middle = SIZE // 2
    assert reply.arrays["rgb"].shape == (SIZE, SIZE, 3)
    assert reply.arrays["alpha"][middle, middle] > 0.9
    np.testing.assert_allclose(reply.arrays["rgb"][middle, middle], [0.8, 0.1, 0.1], atol=0.08)
    assert 0.85 < reply.arrays["depth"][middle, middle] < 1.0
    assert reply.arrays["alpha"][0, 0] < 0.01
    assert reply.body["gaussians"] == -(-len(head.faces) // 10)
    assert reply.body["seconds"] > 0


def test_a_higher_object_is_seen_higher(call, avatar_file, head):
    rows = np.arange(SIZE)[:, None]

    def height(move):
        alpha = render(call, [item(avatar_file, move)], head.template).arrays["alpha"]
        return (rows * alpha).sum() / alpha.sum()

    assert height((0, 0, 0.05)) < height((0, 0, 0)) - 3


def test_the_nearer_of_two_avatars_hides_the_other(call, avatar_file, head):
    items = [item(avatar_file, (0, 0.5, 0)), item(avatar_file)]
    near = render(call, [item(avatar_file)], head.template).arrays["depth"]
    both = render(call, items, head.template).arrays["depth"]
    middle = SIZE // 2
    assert both[middle, middle] == pytest.approx(near[middle, middle], abs=0.02)


def test_a_lens_softens_what_is_out_of_focus(call, avatar_file, head):
    def edge(lens):
        alpha = render(call, [item(avatar_file)], head.template, **lens).arrays["alpha"]
        return ((alpha > 0.1) & (alpha < 0.9)).mean()

    def lens(focus):
        return {"lens": {"radius": 0.06, "focus": focus, "samples": 32}}

    assert edge(lens(0.5)) > 1.5 * edge(lens(0.95))


@pytest.mark.parametrize(
    "lens",
    [
        {"radius": 0.1, "focus": 0.0, "samples": 8},
        {"radius": -0.1, "focus": 1.0, "samples": 8},
        {"radius": 0.1, "focus": 1.0, "samples": 0},
        {"radius": 0.1, "focus": 1.0, "samples": 10**6},
        {"radius": 0.1, "focus": 1.0, "samples": 8, "step": 9},
        {"radius": 0.1, "focus": 1.0, "samples": 8, "blades": 6},
        {"radius": 0.1},
    ],
)
def test_a_lens_that_cannot_be_is_refused(call, avatar_file, head, lens):
    with pytest.raises(BadInputError, match="lens"):
        render(call, [item(avatar_file)], head.template, lens=lens)


def test_nothing_to_draw_is_an_empty_picture(call):
    reply = call("avatar.render", items=[], camera=camera())
    assert not reply.arrays["alpha"].any()


def test_a_mesh_of_another_size_is_refused(call, avatar_file, head):
    with pytest.raises(BadInputError, match="vertices/0"):
        render(call, [item(avatar_file)], head.template[:-1])


def test_an_avatar_that_is_not_there_is_named(call, head):
    with pytest.raises(BadInputError, match=r"someone\.safetensors"):
        render(call, [item("someone.safetensors")], head.template)


def test_a_missing_avatar_file_is_named(call, tmp_path):
    with pytest.raises(BadInputError, match=r"gone\.safetensors"):
        call("avatar.load", avatar=str(tmp_path / "gone.safetensors"), head="default")


def test_an_avatar_that_stands_in_the_scene_twice_is_drawn_twice(
    call, avatar_file, head, monkeypatch
):
    items = [item(avatar_file, (0.12, 0, 0)), item(avatar_file, (-0.12, 0, 0))]
    expected = render(call, items, head.template).arrays["alpha"]
    assert (expected[:, : SIZE // 2] > 0.9).any()
    assert (expected[:, SIZE // 2 :] > 0.9).any()
    made = AvatarPipeline.splats
    room = []

    def in_the_same_memory(*arguments):
        """As a CUDA graph does."""
        splats = made(*arguments)
        if not room:
            room.append(splats)
        return Splats(*(there.copy_(new) for there, new in zip(room[0], splats, strict=True)))

    monkeypatch.setattr(AvatarPipeline, "splats", torch.inference_mode()(in_the_same_memory))
    np.testing.assert_array_equal(render(call, items, head.template).arrays["alpha"], expected)


@pytest.fixture
def loads(monkeypatch):
    """Names of the avatars that are read, and how often the rasteriser is made ready."""
    import engine.avatar
    from engine.splatting.cpu.backend import CpuBackend

    counted = {"avatars": [], "warm_ups": 0}
    load_avatar, warm_up = engine.avatar.load_avatar, CpuBackend.warm_up

    def loading(path, head):
        counted["avatars"].append(path)
        return load_avatar(path, head)

    def warming(backend, *arguments, **options):
        counted["warm_ups"] += 1
        return warm_up(backend, *arguments, **options)

    monkeypatch.setenv("GAUSSIANSPEECH_DEVICE", "cpu")
    monkeypatch.setattr(engine.avatar, "load_avatar", loading)
    monkeypatch.setattr(CpuBackend, "warm_up", warming)
    return counted


def test_avatars_and_rasteriser_are_loaded_once_for_all_pictures(
    call, avatar_file, head, loads, tmp_path
):
    files = [tmp_path / f"{number}.safetensors" for number in range(6)]
    for file in files:
        file.write_bytes(avatar_file.read_bytes())
    call("avatar.load", avatar=str(files[0]), head="default")
    for _ in range(3):
        render(call, [item(file) for file in files], head.template)
    assert loads["avatars"] == [str(file) for file in files]
    assert loads["warm_ups"] == 1


def test_only_the_first_picture_says_that_anything_is_loaded(avatar_file, head, loads):
    methods, said = make_methods(), []

    def picture():
        said.clear()
        params = JsonObject({"items": [item(avatar_file)], "camera": camera()}, "avatar.render")
        arrays = {"vertices/0": head.template}
        methods["avatar.render"](
            Request("avatar.render", params, arrays, lambda _fraction, text: said.append(text))
        )
        return list(said)

    assert {"loading the avatar", "splatting"} < set(picture())
    assert picture() == ["placing the Gaussians", "splatting"]


def test_a_changed_avatar_shows_in_the_next_picture(call, avatar_file, head, loads, tmp_path):
    path = tmp_path / "avatar.safetensors"
    path.write_bytes(avatar_file.read_bytes())
    render(call, [item(path)], head.template)
    path.write_bytes(b"no avatar any more")
    with pytest.raises(BadInputError, match=r"avatar\.safetensors"):
        render(call, [item(path)], head.template)


def test_eight_bits_are_the_rounded_picture_without_depth(call, avatar_file, head):
    exact = render(call, [item(avatar_file)], head.template).arrays
    reply = render(call, [item(avatar_file)], head.template, output="rgba8")
    assert set(reply.arrays) == {"rgba"}
    rgba = reply.arrays["rgba"]
    assert rgba.dtype == np.uint8
    expected = 255 * np.clip(np.dstack([exact["rgb"], exact["alpha"]]), 0, 1)
    np.testing.assert_allclose(rgba, expected, atol=0.5001)


def test_an_unknown_form_of_picture_is_named(call):
    with pytest.raises(BadInputError, match="rgba16"):
        call("avatar.render", items=[], camera=camera(), output="rgba16")


def test_expressions_are_taken_by_name_and_other_keys_left(call, avatar_file, head, monkeypatch):
    given = []
    splats = AvatarPipeline.splats

    def watched(pipeline, vertices, expression, *more):
        given.append(expression)
        return splats(pipeline, vertices, expression, *more)

    monkeypatch.setattr(AvatarPipeline, "splats", watched)
    for keys in ({"jawOpen": 0.5, "clip corrective 01": 1.0}, {"Key 1": 1.0}, {}):
        render(call, [item(avatar_file, expression=keys)], head.template)
    assert given[0][head.expression_index("jawOpen")] == 0.5
    assert given[0].sum() == 0.5
    assert given[1:] == [None, None]


def test_an_impossible_picture_size_is_refused(call):
    with pytest.raises(BadInputError, match="picture"):
        call("avatar.render", items=[], camera=camera() | {"width": 100_000, "height": 100_000})


def test_a_changed_file_is_read_again(call, avatar_file, tmp_path):
    path = tmp_path / "avatar.safetensors"
    path.write_bytes(avatar_file.read_bytes())
    call("avatar.load", avatar=str(path), head="default")
    path.write_bytes(b"no avatar any more")
    with pytest.raises(BadInputError, match=r"avatar\.safetensors"):
        call("avatar.load", avatar=str(path), head="default")
