# SPDX-License-Identifier: GPL-3.0-or-later
"""Videos that other programs made, against a held-out camera."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from engine.core.json_values import parse_json
from engine.rendering.video import write_video
from tests.training.metrics.syncnet_towers import save_towers
from tests.training.speech.recordings import write_sound
from training.cli import main
from training.data import film_frames
from training.data.film_frames import Film
from training.metrics.image import psnr, ssim

SIZE = (48, 64)


def _pictures(frames=10, size=SIZE, background=0):
    """A bright square that moves over a background."""
    made = np.full((frames, *size, 3), background, np.uint8)
    for i in range(frames):
        made[i, 20:40, 10 + i : 30 + i] = (200, 150, 100)
    return made


def _folder(path, pictures, names="{:05d}.png"):
    path.mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(path / names.format(i))
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
    write_video(tmp_path / "film.mp4", list(_pictures()), 25.0)
    for content in (b"no video", b"ffconcat version 1.0\nfile film.mp4\n"):
        (tmp_path / "broken.mp4").write_bytes(content)
        assert _measured(tmp_path, "--candidate", f"x={tmp_path / 'broken.mp4'}") == 2
        assert "broken.mp4 cannot be read as a video" in " ".join(capsys.readouterr().err.split())


def test_pictures_are_in_the_order_of_their_numbers(tmp_path):
    """As programs number them that do not write zeros before; what a system hides is none."""
    _folder(tmp_path / "truth", _pictures(12))
    plain = _folder(tmp_path / "plain", _pictures(12), "frame{}.png")
    Image.fromarray(_pictures(1, (30, 30))[0]).save(plain / "._frame1.png")
    scores = _measured(tmp_path, "--candidate", f"plain={plain}")
    assert scores["plain"]["ssim"] == pytest.approx(1.0)
    assert scores["plain"]["frames"] == 12


def test_equal_frames_have_a_number(tmp_path):
    """Of infinity there is no mean, and no JSON."""
    true = _pictures()
    _folder(tmp_path / "truth", true)
    other = true.copy()
    other[1:] //= 2
    _folder(tmp_path / "other", other)
    scores = _measured(tmp_path, "--candidate", f"x={tmp_path / 'other'}")
    one = psnr(*(torch.from_numpy(x[1].astype(np.float32) / 255) for x in (other, true)))
    assert scores["x"]["psnr"] == pytest.approx((60.0 + 9 * one) / 10, abs=0.1)
    same = _measured(tmp_path, "--candidate", f"x={tmp_path / 'truth'}")
    assert same["x"]["psnr"] == 60.0
    parse_json((tmp_path / "report" / "video.json").read_bytes())


def _of_another_size(folder):
    Image.fromarray(_pictures(1, (50, 64))[0]).save(folder / "00005.png")


def _transparent(folder):
    picture = np.dstack([_pictures(1)[0], np.full(SIZE, 200, np.uint8)])
    Image.fromarray(picture).save(folder / "00005.png")


def _deep(folder):
    Image.fromarray(np.full(SIZE, 40_000, np.uint16)).save(folder / "00005.png")


def _cut(folder):
    data = (folder / "00005.png").read_bytes()
    (folder / "00005.png").write_bytes(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (_of_another_size, "00005.png is 64×50 pixels, the first of"),
        (_transparent, "00005.png is transparent"),
        (_deep, "00005.png is a picture of the kind I;16"),
        (_cut, "00005.png cannot be read"),
    ],
)
def test_a_picture_unlike_the_others_is_named(tmp_path, capsys, spoil, said):
    _folder(tmp_path / "truth", _pictures())
    spoil(_folder(tmp_path / "other", _pictures()))
    assert _measured(tmp_path, "--candidate", f"x={tmp_path / 'other'}") == 2
    assert said in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--frames", "-3"], "--frames must be"),
        (["--fps", "0"], "--fps must be"),
        (["--fps", "nan"], "--fps must be"),
        (["--syncnet", __file__], "LSE needs the sound"),
        (["--syncnet", "no.pt"], "There is no file no.pt"),
        (["--weights", "no/where"], "There is no folder no/where"),
    ],
)
def test_impossible_options_are_named(tmp_path, capsys, words, said):
    _folder(tmp_path / "truth", _pictures())
    assert _measured(tmp_path, "--candidate", f"x={tmp_path / 'truth'}", *words) == 2
    assert said in capsys.readouterr().err


def test_a_video_that_does_not_say_its_rate_takes_the_given_one(tmp_path, monkeypatch):
    write_video(tmp_path / "film.mp4", list(_pictures()), 25.0)
    monkeypatch.setattr(film_frames, "_rate", lambda _: None)
    assert Film.open(tmp_path / "film.mp4").fps is None
    assert Film.open(tmp_path / "film.mp4", 30.0).fps == 30.0


def test_nothing_to_compare_is_said(tmp_path, capsys):
    _folder(tmp_path / "truth", _pictures())
    assert _measured(tmp_path, "--candidate") == 2
    assert "--candidate NAME=" in capsys.readouterr().err


def test_a_sound_holds_no_pictures(tmp_path, capsys):
    _folder(tmp_path / "truth", _pictures())
    write_sound(tmp_path / "c.wav", 0)
    assert _measured(tmp_path, "--candidate", f"x={tmp_path / 'c.wav'}") == 2
    assert "c.wav holds no pictures" in capsys.readouterr().err


def test_names_of_candidates_are_shown_as_they_are(tmp_path, capsys):
    _folder(tmp_path / "truth", _pictures())
    scores = _measured(tmp_path, "--candidate", f"a[/x]ü={tmp_path / 'truth'}")
    assert list(scores) == ["a[/x]ü"]
    assert "a[/x]ü" in capsys.readouterr().out


def test_no_candidate_is_called_as_the_truth_is(tmp_path, capsys):
    _folder(tmp_path / "truth", _pictures(40))
    write_sound(tmp_path / "c.wav", 0)
    save_towers(tmp_path / "syncnet.pt")
    words = ["--syncnet", str(tmp_path / "syncnet.pt"), "--audio", str(tmp_path / "c.wav")]
    given = ["--candidate", f"truth={tmp_path / 'truth'}", "--fps", "40", *words]
    assert _measured(tmp_path, *given) == 2
    assert "called 'truth'" in capsys.readouterr().err
