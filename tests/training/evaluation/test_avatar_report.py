# SPDX-License-Identifier: GPL-3.0-or-later
"""An avatar measured on pictures that it made itself, and on others; and what the report says."""

from __future__ import annotations

import base64
import io
import json
import math
import re
from dataclasses import replace

import av
import numpy as np
import pytest
import torch
from PIL import Image

from engine.avatar import load_avatar, save_avatar
from engine.core.errors import BadInputError
from engine.heads import load_head
from training.cli import main
from training.commands.evaluate_avatar import avatar as command
from training.data.multiview import MultiViewCapture
from training.evaluation.avatar import Wanted, evaluate, pictured, write_report
from training.evaluation.report.avatar_pictures import ERROR_TOP, comparison, regions_picture
from training.metrics.image_regions import region_masks
from training.metrics.image_scores import REGION_NAMES, RegionError, ViewScores, together
from training.run.record import curves_figure, read_curves

EIGHT_BITS = 10 * math.log10(12 * 255**2)
"""PSNR of rounding to bytes: a uniform error of one step."""


@pytest.fixture(autouse=True)
def _no_weights_of_the_user(monkeypatch, tmp_path):
    monkeypatch.setenv("GAUSSIANSPEECH_WEIGHTS", str(tmp_path / "none"))


@pytest.fixture(scope="module")
def shifted(tmp_path_factory):
    """The shipped avatar, its Gaussians a tenth of a triangle aside, in a job's folder."""
    folder = tmp_path_factory.mktemp("job")
    avatar = load_avatar("default", load_head("default"))
    save_avatar(replace(avatar, positions=avatar.positions + 0.3), folder / "avatar.safetensors")
    (folder / "config.json").write_text(json.dumps({"steps": 50, "backend": "cpu", "scale": 1.0}))
    (folder / "losses.csv").write_text(
        "step,total,raw/rgb,test PSNR (dB)\n25,0.5,0.4,\n50,0.25,0.2,\n50,,,21.5\n"
    )
    return folder


def test_an_avatar_on_its_own_pictures_differs_by_their_bytes_alone(small_capture):
    report = evaluate("default", small_capture, None, Wanted(backend="cpu"))
    scores = report.scores
    assert scores.psnr == pytest.approx(EIGHT_BITS, abs=1.5)
    assert scores.ssim > 0.999
    assert scores.regions["skin"] == pytest.approx(EIGHT_BITS, abs=1.0)
    assert report.gaussians == load_avatar("default", load_head("default")).count
    assert report.camera == "front"
    assert [view.timestep for view in report.views] == [0, 1, 2]


def test_a_worse_avatar_is_worse_everywhere_that_is_seen(small_capture, shifted):
    report = evaluate(shifted / "avatar.safetensors", small_capture, None, Wanted(backend="cpu"))
    assert report.scores.psnr < 45
    assert report.scores.ssim < 0.99
    seen = [report.scores.regions[name] for name in REGION_NAMES]
    assert all(value is None or value < 45 for value in seen)
    assert report.file_bytes == (shifted / "avatar.safetensors").stat().st_size


def test_fewer_views_are_spread_over_all(small_capture):
    report = evaluate("default", small_capture, None, Wanted(backend="cpu", views=2))
    assert [view.timestep for view in report.views] == [0, 2]


def test_lpips_is_not_available_without_weights_and_says_so(small_capture):
    report = evaluate("default", small_capture, None, Wanted(backend="cpu", views=1))
    assert report.scores.lpips is None
    assert ("LPIPS (vgg)", "n/a") in report.rows()
    assert any("VGG16" in note for note in report.notes())


def test_the_report_of_a_job(small_capture, shifted):
    write_report(shifted, small_capture)
    values = json.loads((shifted / "report.json").read_text())
    assert values["psnr"] == pytest.approx(np.mean([view["psnr"] for view in values["views"]]))
    assert values["lpips"] is None
    assert set(values["regions_psnr"]) == set(REGION_NAMES)
    page = (shifted / "report.html").read_text()
    assert f"{values['psnr']:.2f} dB" in page
    assert "http" not in re.sub(r'"data:[^"]*"', "", page)
    pictures = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', page)
    sizes = [Image.open(io.BytesIO(base64.b64decode(data))).size for _, data in pictures]
    assert sizes.count((3 * 44, 64)) == 3
    assert sizes.count((44, 64)) == 1
    assert pictures[-1][0] == "png"
    assert "<td>steps</td><td>50</td>" in page
    with av.open(str(shifted / "turntable.mp4")) as video:
        frames = [frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)]
    assert len(frames) == 16
    apart = np.abs(frames[0].astype(int) - frames[4].astype(int)).mean()
    assert apart > np.abs(frames[0].astype(int) - frames[-1].astype(int)).mean()


def test_the_command_prints_json(small_capture, shifted, capsys):
    path = str(shifted / "avatar.safetensors")
    assert command(path, data=small_capture, views=1, backend="cpu", json=True) == 0
    assert (
        json.loads(capsys.readouterr().out)["gaussians"]
        == load_avatar("default", load_head("default")).count
    )


def test_the_command_prints_a_table(small_capture, capsys):
    assert command("default", data=small_capture, views=1, backend="cpu") == 0
    out = capsys.readouterr().out
    assert "PSNR, skin" in out
    assert f"{load_avatar('default', load_head('default')).count:,}" in out


def test_bad_input_is_refused(small_capture, tmp_path):
    with pytest.raises(BadInputError, match="no avatar file"):
        evaluate(tmp_path / "none.safetensors", small_capture, tmp_path)
    with pytest.raises(BadInputError, match="-1 views"):
        evaluate("default", small_capture, None, Wanted(views=-1))
    with pytest.raises(BadInputError, match="no folder"):
        evaluate("default", tmp_path / "nothing", tmp_path)
    assert not list(tmp_path.iterdir())


def scores(psnr, **regions):
    parts = {name: RegionError() for name in REGION_NAMES} | regions
    return ViewScores("front", 0, psnr, 0.5, None, parts, psnr)


def test_regions_are_pooled_over_pixels_and_views_averaged():
    whole = together(
        [scores(20.0, eyes=RegionError(1.0, 10)), scores(30.0, eyes=RegionError(0.1, 100))]
    )
    assert whole.psnr == 25.0
    assert whole.regions["eyes"] == pytest.approx(-10 * math.log10(1.1 / 110))
    assert whole.regions["hair"] is None
    assert whole.lpips is None


def test_the_page_shows_the_best_and_the_worst_view():
    views = [scores(25.0 + 0.01 * index) for index in range(40)]
    views[7], views[21] = scores(10.0), scores(50.0)
    shown = pictured(views)
    assert {0, 7, 21, 39} <= set(shown)
    assert len(shown) <= 7


def test_comparison_shows_truth_avatar_and_difference():
    true = torch.zeros(4, 5, 3)
    ours = true.clone()
    ours[1, 2] = ERROR_TOP
    sheet = comparison(ours, true)
    assert sheet.shape == (4, 15, 3)
    assert (sheet[:, :5] == 0).all()
    assert sheet[1, 7].tolist() == [64, 64, 64]
    heat = sheet[:, 10:].astype(int).sum(2)
    assert heat.argmax() == 1 * 5 + 2
    assert heat[1, 2] > 600


def test_regions_are_shown_where_they_are_measured(small_capture):
    capture = MultiViewCapture.open(small_capture)
    view = capture.split("test")[1]
    masks = region_masks(
        capture.head, view.vertices.numpy(), view.camera, view.alpha.numpy(), view.image.numpy()
    )
    picture = regions_picture(view, capture.head).astype(int)
    red = picture[..., 0] - picture[..., 1:].max(2)
    assert masks["mouth interior"].sum() > 20
    assert (red[masks["mouth interior"]] > 20).all()
    assert not (red[~masks["mouth interior"]] > 60).any()


def test_curves_are_read_with_their_gaps(shifted):
    curves = read_curves(shifted)
    assert curves["total"] == [(25.0, 0.5), (50.0, 0.25)]
    assert curves["test PSNR (dB)"] == [(50.0, 21.5)]
    titles = [axes.get_title() for axes in curves_figure(curves).axes]
    assert titles == ["total", "test PSNR (dB)"]


@pytest.mark.parametrize("decades", [0.5, 1.2, 3.0, 12.0])
def test_axes_of_curves_have_a_few_ticks_each(decades):
    points = [(25.0 * n, 10.0 ** (-decades * n / 9)) for n in range(10)]
    (axes,) = curves_figure({"total": points}).axes
    for axis in (axes.xaxis, axes.yaxis):
        low, high = sorted(axis.get_view_interval())
        assert 2 <= sum(low <= at <= high for at in axis.get_majorticklocs()) <= 9
        assert not len(axis.get_minorticklocs())


def test_damaged_curves_are_refused(tmp_path):
    (tmp_path / "losses.csv").write_text("step,total\n1,x\n")
    with pytest.raises(BadInputError, match="damaged"):
        read_curves(tmp_path)
    assert read_curves(tmp_path / "elsewhere") == {}


@pytest.mark.parametrize("option", ["--weights", "--tracking"])
def test_what_an_option_names_and_is_not_there_is_refused_before_a_folder_is_made(
    tmp_path, capsys, option
):
    words = ["evaluate", "avatar", str(tmp_path / "a.safetensors"), "--data", str(tmp_path)]
    assert main([*words, "--out", str(tmp_path / "out"), option, "no/where"]) == 2
    assert f"no/where. Check the path given with {option}" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
