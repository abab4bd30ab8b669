# SPDX-License-Identifier: GPL-3.0-or-later
"""The terms of L_total on pictures and Gaussians whose values can be worked out."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engine.core.errors import BadInputError, MissingDependencyError
from engine.splatting.backend import Image
from engine.splatting.camera import look_at
from tests.training.losses.weight_files import save_stages, vgg16_tensors
from training.losses.avatar import AvatarLoss, position_loss, scaling_loss
from training.losses.config import AvatarLossConfig
from training.losses.perceptual import (
    FaceLoss,
    WrinkleLoss,
    face_box,
    gram,
    head_box,
    patch_corners,
)
from training.losses.ssim import plain_ssim

HEIGHT, WIDTH = 70, 60


@pytest.fixture(autouse=True)
def _no_weights_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("GAUSSIANSPEECH_WEIGHTS", str(tmp_path / "none"))


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    torch.save(vgg16_tensors(), folder / "vgg16.pth")
    save_stages(folder / "arcface.pt")
    return folder


@pytest.fixture
def view():
    chance = torch.Generator().manual_seed(5)
    alpha = torch.zeros(HEIGHT, WIDTH)
    alpha[10:60, 8:50] = 1.0
    image = torch.rand(HEIGHT, WIDTH, 3, generator=chance) * alpha[..., None]
    camera = look_at(
        np.array([0, 0, 1], np.float32), np.zeros(3), width=WIDTH, height=HEIGHT, vertical_fov=0.5
    )
    vertices = torch.tensor([[-0.1, -0.12, 0.0], [0.08, 0.1, 0.02], [0.0, 0.0, 0.1]])
    return SimpleNamespace(
        image=image,
        alpha=alpha,
        timestep=3,
        camera_id="front",
        camera=camera,
        vertices=vertices,
    )


@pytest.fixture
def model():
    return SimpleNamespace(
        head=SimpleNamespace(regions={"face": np.array([0, 1], np.int32)}),
        positions=torch.tensor([[3.0, 4.0, 0.0], [0.1, 0.0, 0.0]], requires_grad=True),
        log_scales=torch.log(torch.tensor([[0.9, 1.0, 0.1], [0.6, 0.2, 0.1]])).requires_grad_(),
    )


def rendered(picture):
    height, width = picture.shape[:2]
    return Image(picture, torch.ones(height, width), torch.zeros(height, width))


def off(image, seed=6, amount=0.1):
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(seed))
    return (image + amount * noise).requires_grad_()


def test_photometric_term(view, model):
    picture = off(view.image)
    terms = AvatarLoss(AvatarLossConfig(wrinkle=0))(rendered(picture), view, model)
    difference = (picture - view.image).abs().mean()
    dissimilar = 1 - plain_ssim(picture.double(), view.image.double())
    assert terms["rgb"].item() == pytest.approx(
        0.8 * difference.item() + 0.2 * dissimilar.item(), abs=1e-6
    )
    assert terms["raw/dssim"].item() == pytest.approx(dissimilar.item(), abs=1e-6)


def test_regularisers_by_hand():
    positions = torch.tensor([[3.0, 4.0, 0.0], [0.1, 0.0, 0.0]])
    assert float(position_loss(positions)) == pytest.approx((5 - 1) / 2)
    log_scales = torch.log(torch.tensor([[0.9, 1.0, 0.1], [0.6, 0.2, 0.1]]))
    assert float(scaling_loss(log_scales)) == pytest.approx(math.hypot(0.3, 0.4) / 2, rel=1e-5)


def test_regularisers_leave_what_is_small_and_near_alone_without_nan():
    positions = torch.zeros(3, 3, requires_grad=True)
    log_scales = torch.full((3, 3), -2.0, requires_grad=True)
    (position_loss(positions) + scaling_loss(log_scales)).backward()
    assert torch.equal(positions.grad, torch.zeros(3, 3))
    assert torch.equal(log_scales.grad, torch.zeros(3, 3))


def test_regularisers_of_visible_gaussians_only(view, model):
    loss = AvatarLoss(AvatarLossConfig(wrinkle=0))
    visible = torch.tensor([True, False])
    terms = loss(rendered(off(view.image)), view, model, visible=visible)
    assert terms["raw/position"].item() == pytest.approx(4.0)
    nobody = loss(rendered(off(view.image)), view, model, visible=torch.zeros(2, dtype=torch.bool))
    assert nobody["position"].item() == nobody["scaling"].item() == 0.0


def test_total_is_the_weighted_sum(view, model, weights):
    config = AvatarLossConfig(weights=weights, patch_size=32, patches=3, face_size=32, every=1)
    terms = AvatarLoss(config)(rendered(off(view.image)), view, model)
    raw = {name: terms[f"raw/{name}"].item() for name in terms if f"raw/{name}" in terms}
    assert set(raw) == {"rgb", "position", "scaling", "global", "patch", "wrinkle"}
    expected = raw["rgb"] + 0.01 * raw["position"] + raw["scaling"] + config.face * raw["global"]
    expected += config.patch * raw["patch"] + config.wrinkle * raw["wrinkle"]
    assert terms["total"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("term", ["global", "patch", "wrinkle"])
def test_perceptual_terms_vanish_on_the_truth_and_pull_towards_it(view, model, weights, term):
    config = AvatarLossConfig(
        face=float(term == "global"),
        patch=float(term == "patch"),
        wrinkle=float(term == "wrinkle"),
        weights=weights,
        patch_size=32,
        patches=3,
        face_size=32,
        every=1,
    )
    loss = AvatarLoss(config)
    assert loss(rendered(view.image), view, model)[term].item() == pytest.approx(0, abs=1e-6)
    picture = off(view.image)
    before = loss(rendered(picture), view, model)[term]
    before.backward()
    downhill = picture.detach() - 1e-3 * picture.grad / picture.grad.norm()
    assert before.item() > 0
    assert loss(rendered(downhill), view, model)[term].item() < before.item()


def test_costly_terms_every_few_steps_with_their_share(view, model):
    once = AvatarLoss(AvatarLossConfig(every=1))
    seldom = AvatarLoss(AvatarLossConfig(every=4))
    picture = rendered(off(view.image))
    each = once(picture, view, model, step=1)["wrinkle"].item()
    taken = [seldom(picture, view, model, step=step).get("wrinkle") for step in range(5)]
    assert taken[1:4] == [None] * 3
    assert taken[0].item() == taken[4].item() == pytest.approx(4 * each)


def test_on_a_cpu_costly_terms_are_rarer():
    assert AvatarLoss(AvatarLossConfig(), "cpu").every > 1
    assert AvatarLoss(AvatarLossConfig(every=1), "cpu").every == 1


def test_missing_weights_are_told_and_never_replaced(view, model):
    loss = AvatarLoss(AvatarLossConfig(every=1))
    terms = loss(rendered(off(view.image)), view, model)
    assert "global" not in terms
    assert "patch" not in terms
    assert set(loss.off) == {"global", "patch"}
    reasons = loss.terms_off
    assert "model_ir_se50.pth" in reasons["global"]
    assert "non-commercial" in reasons["global"]
    assert "vgg16-397923af.pth" in reasons["patch"]
    assert "397923af" in reasons["patch"]
    assert loss.off_note.startswith("Perceptual losses off: global (ArcFace), patch (VGG16):")


def test_nothing_is_said_to_be_off_where_nothing_is_wanted():
    loss = AvatarLoss(AvatarLossConfig(face=0.0, patch=0.0))
    assert (loss.off_note, loss.lacks, loss.terms_off) == ("", "", {})


def test_a_required_term_without_weights_is_an_error():
    with pytest.raises(MissingDependencyError, match=r"'patch' is required.*VGG16"):
        AvatarLoss(AvatarLossConfig(require=("patch",)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"require": ("rgb",)}, "cannot be required"),
        ({"require": ("wrinkle",), "wrinkle": 0.0}, "weight 0"),
        ({"scaling": -1.0}, "'scaling' is -1"),
        ({"dssim": 1.5}, "D-SSIM"),
        ({"patch_size": 2}, "16 pixels"),
    ],
)
def test_senseless_settings_are_refused(changes, words):
    with pytest.raises(BadInputError, match=words):
        AvatarLoss(replace(AvatarLossConfig(), **changes))


def test_face_recognition_of_a_file_is_the_network_it_was_made_from(view, model, tmp_path):
    network = save_stages(tmp_path / "arcface.pt")
    loss = AvatarLoss(AvatarLossConfig(weights=tmp_path, face_size=48, every=1, wrinkle=0))
    picture = off(view.image)
    box = face_box(view.vertices[:2], view.camera)
    expected = FaceLoss(network, 48, 1.0)(picture, view.image, box)
    terms = loss(rendered(picture), view, model)
    assert terms["raw/global"].item() == pytest.approx(expected.item(), rel=1e-5)
    ours, theirs = (
        torch.autograd.grad(value, picture)[0] for value in (terms["global"], 0.1 * expected)
    )
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-9)


def test_a_state_dict_of_face_recognition_is_named_at_the_start(tmp_path):
    torch.save({"input_layer.0.weight": torch.zeros(1)}, tmp_path / "model_ir_se50.pth")
    with pytest.raises(BadInputError, match=r"model_ir_se50\.pth holds weights alone") as caught:
        AvatarLoss(AvatarLossConfig(weights=tmp_path))
    assert "docs/weights.md" in caught.value.hint


def test_face_recognition_that_gives_an_embedding_alone_counts_without_style(view, model, tmp_path):
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 32 * 32, 4))
    torch.jit.trace(network, torch.zeros(1, 3, 32, 32)).save(str(tmp_path / "arcface.pt"))
    values = [
        AvatarLoss(
            AvatarLossConfig(weights=tmp_path, face_size=32, face_style=style, patch=0.0, every=1)
        )(Image(view.image * 0.5, view.alpha, view.alpha), view, model)["global"]
        for style in (0.0, 1.0)
    ]
    assert values[0] == values[1] > 0


def test_face_recognition_that_gives_something_else_is_named_at_the_start(tmp_path):
    torch.jit.trace(torch.nn.Flatten(0), torch.zeros(1, 3, 32, 32)).save(
        str(tmp_path / "arcface.pt")
    )
    with pytest.raises(BadInputError, match=r"arcface\.pt gives \(3072,\) for \(1, 3, 32, 32\)"):
        AvatarLoss(AvatarLossConfig(weights=tmp_path, face_size=32))


def test_a_learned_wrinkle_detector(view, model, tmp_path):
    class Mean(torch.nn.Module):
        def forward(self, pictures: torch.Tensor) -> torch.Tensor:
            return pictures.mean(dim=(2, 3))

    torch.jit.script(Mean()).save(str(tmp_path / "mean.pt"))
    config = AvatarLossConfig(wrinkle_detector=tmp_path / "mean.pt", every=1)
    brighter = (view.image + 0.25).requires_grad_()
    terms = AvatarLoss(config)(rendered(brighter), view, model)
    assert terms["raw/wrinkle"].item() == pytest.approx(0.25, rel=1e-4)


class Layers(torch.nn.Module):
    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return pictures[:, :2], pictures[:, :, ::2, ::2], 2 * pictures.mean(dim=(2, 3))


def test_a_wrinkle_detector_of_several_layers_is_their_sum(view, model, tmp_path):
    torch.jit.script(Layers()).save(str(tmp_path / "layers.pt"))
    config = AvatarLossConfig(wrinkle_detector=tmp_path / "layers.pt", every=1)
    terms = AvatarLoss(config)(rendered((view.image + 0.25).requires_grad_()), view, model)
    assert terms["raw/wrinkle"].item() == pytest.approx(0.25 + 0.25 + 2 * 0.25, rel=1e-4)


def test_wrinkles_beside_the_head_count_nothing(view):
    loss = WrinkleLoss(lambda pictures: pictures)
    beside = view.image.clone()
    beside[:5] += 1.0
    assert float(loss(beside, view.image, view.alpha)) == 0.0
    on = view.image.clone()
    on[20:30, 20:30] += 1.0
    assert float(loss(on, view.image, view.alpha)) == pytest.approx(100 / (50 * 42), rel=1e-5)


def test_a_view_without_a_head_has_no_perceptual_loss(view, model, weights):
    view.alpha = torch.zeros(HEIGHT, WIDTH)
    config = AvatarLossConfig(weights=weights, every=1, patches=2)
    model.head = SimpleNamespace(regions={})
    terms = AvatarLoss(config)(rendered(off(view.image)), view, model)
    assert terms["global"].item() == terms["patch"].item() == terms["wrinkle"].item() == 0.0


def test_patches_lie_inside_and_are_centred_on_the_head():
    alpha = torch.zeros(300, 200)
    alpha[150:170, 90:95] = 1
    corners = patch_corners(alpha, 50, 128, torch.Generator().manual_seed(0))
    assert len(corners) == 50
    for top, left in corners:
        assert 150 <= top + 64 < 170
        assert left == min(max(left, 0), 200 - 128)
    assert patch_corners(alpha, 3, 1000, torch.Generator())[0] == (0, 0)


def test_patches_follow_from_the_step_and_the_view_alone(view, model, weights):
    config = AvatarLossConfig(weights=weights, patch_size=16, patches=2, face=0, wrinkle=0, every=1)
    picture = rendered(off(view.image))
    first, second = AvatarLoss(config), AvatarLoss(config)
    first(picture, view, model, step=1)
    goes_on = first(picture, view, model, step=7)["patch"]
    resumed = second(picture, view, model, step=7)["patch"]
    assert goes_on.item() == resumed.item()
    assert second(picture, view, model, step=8)["patch"].item() != resumed.item()


def test_gram_by_hand():
    features = torch.tensor([[[[1.0, 2.0]], [[3.0, 4.0]]]])
    expected = torch.tensor([[[5.0, 11.0], [11.0, 25.0]]]) / 2
    torch.testing.assert_close(gram(features), expected)


def test_box_of_the_head(view):
    assert head_box(view.alpha) == (10, 60, 8, 50)
    assert head_box(view.alpha, margin=12) == (0, 70, 0, 60)
    assert head_box(torch.zeros(4, 4)) is None


def test_box_of_the_face_is_square_round_its_projection(view):
    camera, face = view.camera, view.vertices[:2]
    seen = face.numpy() @ camera.viewmat[:3, :3].T + camera.viewmat[:3, 3]
    pixels = (seen / seen[:, 2:]) @ camera.K.T
    side = 1.1 * np.ptp(pixels[:, :2], axis=0).max()
    top, bottom, left, right = face_box(face, camera)
    assert bottom - top == pytest.approx(side, abs=1)
    assert 0.5 * (top + bottom) == pytest.approx(pixels[:, 1].mean(), abs=1)
    assert 0.5 * (left + right) == pytest.approx(pixels[:, 0].mean(), abs=1)


def test_face_outside_the_picture_or_behind_the_camera_has_no_box(view):
    aside = view.vertices + torch.tensor([5.0, 0.0, 0.0])
    assert face_box(aside, view.camera) is None
    assert face_box(view.vertices + torch.tensor([0.0, 0.0, 3.0]), view.camera) is None


def test_global_term_looks_at_the_face_alone(view, model, weights):
    config = AvatarLossConfig(weights=weights, patch=0, wrinkle=0, face_size=32, every=1)
    loss = AvatarLoss(config)
    top, bottom, left, right = face_box(view.vertices[:2], view.camera)
    beside = view.image.clone()
    beside[:, right:] += 0.5
    assert loss(rendered(beside), view, model)["global"].item() == 0.0
    inside = view.image.clone()
    inside[top:bottom, left:right] += 0.5
    assert loss(rendered(inside), view, model)["global"].item() > 0.0
    model.head = SimpleNamespace(regions={})
    assert loss(rendered(beside), view, model)["global"].item() > 0.0
