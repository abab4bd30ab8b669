# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos that other programs made, against a held-out camera."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from engine.rendering.video import write_video
from tests.training.metrics.syncnet_towers import save_towers
from tests.training.speech.recordings import write_sound
from training.cli import main
from training.metrics.image import psnr, ssim

SIZE = (48, 64)


def _pictures(frames=10, size=SIZE, background=0):
    """A bright square that moves over a background."""
    made = np.full((frames, *size, 3), background, np.uint8)
    for i in range(frames):
        made[i, 20:40, 10 + i : 30 + i] = (200, 150, 100)
    return made


def _folder(path, pictures):
    path.mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(path / f"{i:05d}.png")
    return path


def _measured(tmp_path, *words):
    out = tmp_path / "report"
    truth = ["--truth", str(tmp_path / "truth")]
    code = main(["evaluate", "video", *truth, *words, "--out", str(out)])
    if code:
        return code
    report = json.loads((out / "video.json").read_text())
    return {score["name"]: score for score in report["scores"]}


def test_pictures_are_scored_frame_by_frame(tmp_path):
    true = _pictures()
    _folder(tmp_path / "truth", true)
    rng = np.random.default_rng(0)
    noisy = np.clip(true.astype(int) + rng.integers(-20, 20, true.shape), 0, 255).astype(np.uint8)
    _folder(tmp_path / "noisy", noisy)
    write_video(tmp_path / "film.mp4", list(true), 25.0, quality=10)
    given = [f"noisy={tmp_path / 'noisy'}", f"film={tmp_path / 'film.mp4'}"]
    scores = _measured(tmp_path, "--candidate", *given)
    pairs = [
        [torch.from_numpy(x.astype(np.float32) / 255) for x in both]
        for both in zip(noisy, true, strict=True)
    ]
    assert scores["noisy"]["psnr"] == pytest.approx(np.mean([psnr(*p) for p in pairs]), rel=1e-5)
    assert scores["noisy"]["ssim"] == pytest.approx(np.mean([ssim(*p) for p in pairs]), rel=1e-5)
    assert scores["film"]["psnr"] > scores["noisy"]["psnr"]
    assert scores["film"]["frames"] == 10
    few = _measured(tmp_path, "--candidate", given[0], "--frames", "3")
    expected = np.mean([psnr(*pairs[i]) for i in (0, 4, 9)])
    assert few["noisy"]["psnr"] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("pictures", "said"),
    [
        (_pictures(size=(50, 64)), "64×50 pixels, the truth 64×48"),
        (_pictures(frames=5), "5 frames, the truth 10"),
        (_pictures(background=255), "background"),
    ],
    ids=["size", "length", "background"],
)
def test_what_would_spoil_the_scores_is_named(tmp_path, capsys, pictures, said):
    _folder(tmp_path / "truth", _pictures())
    _folder(tmp_path / "other", pictures)
    assert _measured(tmp_path, "--candidate", f"x={tmp_path / 'other'}") == 2
    assert said in " ".join(capsys.readouterr().err.split())


def test_another_rate_is_named(tmp_path, capsys):
    write_video(tmp_path / "truth.mp4", list(_pictures()), 25.0)
    write_video(tmp_path / "film.mp4", list(_pictures()), 30.0)
    words = ["evaluate", "video", "--truth", str(tmp_path / "truth.mp4")]
    assert main([*words, "--candidate", f"x={tmp_path / 'film.mp4'}"]) == 2
    assert "30 frames per second, the truth 25" in " ".join(capsys.readouterr().err.split())


def test_lse_is_measured_of_candidates_and_truth(tmp_path, capsys):
    _folder(tmp_path / "truth", _pictures(40))
    _folder(tmp_path / "other", _pictures(40) // 2)
    write_sound(tmp_path / "c.wav", 0)
    save_towers(tmp_path / "syncnet.pt")
    words = ["--candidate", f"dark={tmp_path / 'other'}", "--syncnet", str(tmp_path / "syncnet.pt")]
    assert _measured(tmp_path, *words) == 2
    words += ["--audio", str(tmp_path / "c.wav"), "--fps", "40"]
    scores = _measured(tmp_path, *words)
    assert scores["truth"]["psnr"] is None
    assert scores["truth"]["lse_d"] != scores["dark"]["lse_d"]
    whole = _measured(tmp_path, *words, "--face", "8", "0", "48")
    assert whole["dark"]["lse_d"] == pytest.approx(scores["dark"]["lse_d"])
    assert _measured(tmp_path, *words, "--face", "30", "0", "48") == 2


def test_a_file_that_is_no_video_is_named(tmp_path, capsys):
    _folder(tmp_path / "truth", _pictures())
    (tmp_path / "broken.mp4").write_bytes(b"no video")
    assert _measured(tmp_path, "--candidate", f"x={tmp_path / 'broken.mp4'}") == 2
    assert "broken.mp4 cannot be read as a video" in " ".join(capsys.readouterr().err.split())
