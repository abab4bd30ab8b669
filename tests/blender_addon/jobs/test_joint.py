# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting a joint training: what it begins with, and what is refused before it starts."""

from __future__ import annotations

import json
import os
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.blender_addon.conftest import PACKAGE
from tests.blender_addon.jobs.drawn_layout import Drawn
from tests.waiting import until


@pytest.fixture
def capture(tmp_path) -> Path:
    """What is looked at of a capture with speech before a training starts."""
    folder = tmp_path / "anna"
    (folder / "speech").mkdir(parents=True)
    (folder / "transforms_train.json").write_text("{}")
    for name in ("hello.wav", "hello.performance.npz"):
        (folder / "speech" / name).write_bytes(b"")
    timesteps = [
        {"timestep_index": 0, "performance": None},
        {"timestep_index": 1, "performance": "speech/hello.performance.npz", "frame": 3},
    ]
    (folder / "capture.json").write_text(json.dumps({"timesteps": timesteps}))
    return folder


@pytest.fixture
def head(add_plain_head, tmp_path):
    """A head with an avatar and a speech model, both from files."""
    obj = add_plain_head()
    for name in ("avatar", "model"):
        (tmp_path / f"{name}.safetensors").write_bytes(b"")
    obj.gaussianspeech_avatar.source = str(tmp_path / "avatar.safetensors")
    obj.gaussianspeech_speech.model = "FILE"
    obj.gaussianspeech_speech.model_file = str(tmp_path / "model.safetensors")
    return obj


@pytest.fixture
def ordered(blender, jobs, addon, monkeypatch):
    """Call the operator and give the options of what it would have started."""
    specs, future = [], addon("engine_link.future")
    message = addon("jobs.client").Message("result", body={"job": {"id": "anna"}, "jobs": []})

    def start(_title, spec):
        specs.append(spec)
        return future.CompletedFuture(message)

    def order(training="joint", **options) -> dict[str, str]:
        client = addon("jobs.session").current_client(blender.context)
        monkeypatch.setattr(client, "start", start)
        monkeypatch.setattr(client, "list", lambda: future.CompletedFuture(message))
        getattr(blender.ops.gaussianspeech, f"train_{training}")(**options)
        assert specs[-1].command == f"train {training}"
        words = list(specs[-1].options)
        if training == "avatar":
            words.remove("default")  # The preset.
        return dict(zip(words[::2], words[1::2], strict=True))

    return order


def test_it_begins_with_the_heads_own_avatar_and_model(ordered, capture, head, tmp_path):
    assert ordered(data=str(capture)) == {
        "--data": str(capture),
        "--avatar": str(tmp_path / "avatar.safetensors"),
        "--speech-model": str(tmp_path / "model.safetensors"),
        "--name": "anna",
    }


def test_what_ships_goes_by_its_name(ordered, capture, add_plain_head):
    add_plain_head().gaussianspeech_avatar.source = "default"
    options = ordered(data=str(capture))
    assert (options["--avatar"], options["--speech-model"]) == ("default", "starter")


def test_avatar_and_model_may_be_others_than_the_heads(ordered, capture, head, tmp_path):
    (tmp_path / "other.safetensors").write_bytes(b"")
    other = str(tmp_path / "other.safetensors")
    options = ordered(data=str(capture), avatar="default", speech_model=other)
    assert (options["--avatar"], options["--speech-model"]) == ("default", other)


def test_with_both_chosen_it_needs_no_head(ordered, capture):
    assert ordered(data=str(capture), avatar="default", speech_model="starter")


def test_its_rounds_are_the_usual_number_unless_given(ordered, capture, head):
    assert "--rounds" not in ordered(data=str(capture))
    assert ordered(data=str(capture), rounds=3)["--rounds"] == "3"


def test_a_capture_of_flame_gets_the_heads_file(ordered, capture, head):
    assert "--head" not in ordered(data=str(capture))
    head.gaussianspeech_head.source = "/models/flame2023.pkl"
    assert "--head" not in ordered(data=str(capture))
    (capture / "flame_param").mkdir()
    assert ordered(data=str(capture))["--head"] == "/models/flame2023.pkl"


def test_an_avatar_of_a_flame_capture_is_trained_with_the_heads_file(ordered, capture, head):
    head.gaussianspeech_head.source = "/models/flame2023.pkl"
    assert "--head" not in ordered("avatar", data=str(capture))
    (capture / "flame_param").mkdir()
    assert ordered("avatar", data=str(capture))["--head"] == "/models/flame2023.pkl"


def test_the_preferences_device_holds_for_the_pictures_too(blender, ordered, capture, head):
    preferences = blender.context.preferences.addons[PACKAGE].preferences
    preferences.device = "CPU"
    try:
        options = ordered(data=str(capture))
    finally:
        preferences.device = "AUTO"
    assert (options["--device"], options["--backend"]) == ("cpu", "cpu")


def remove(name):
    return lambda capture: (capture / name).unlink()


def write(text):
    return lambda capture: (capture / "capture.json").write_text(text)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove("transforms_train.json"), r"no multi-view capture"),
        (remove("capture.json"), r"does not say what is spoken: it has no capture\.json"),
        (write('{"timesteps": [{"performance": null}]}'), r"Nothing is said in"),
        (write('{"half'), r"capture\.json cannot be read"),
        (write("[]"), r"capture\.json is no JSON object"),
        (remove("speech/hello.wav"), r"hello\.wav is missing"),
        (remove("speech/hello.performance.npz"), r"hello\.performance\.npz is missing"),
    ],
)
def test_a_capture_without_speech_is_refused(ordered, capture, head, spoil, message):
    spoil(capture)
    with pytest.raises(RuntimeError, match=message):
        ordered(data=str(capture))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"avatar": "/none.safetensors"}, r"There is no avatar .*none\.safetensors"),
        ({"avatar": ""}, "No avatar is chosen"),
        ({"speech_model": "/none.safetensors"}, r"There is no speech model .*none\.safetensors"),
        ({"speech_model": ""}, "No speech model is chosen"),
    ],
)
def test_a_file_that_is_not_there_is_named(ordered, capture, head, options, message):
    with pytest.raises(RuntimeError, match=message):
        ordered(data=str(capture), **options)


def test_an_avatar_of_harmonics_is_refused(ordered, capture, head, tmp_path):
    (tmp_path / "point_cloud.ply").write_bytes(b"ply")
    with pytest.raises(RuntimeError, match="follow no face"):
        ordered(data=str(capture), avatar=str(tmp_path / "point_cloud.ply"))


def test_a_head_without_an_avatar_is_refused(ordered, capture, head):
    head.gaussianspeech_avatar.source = ""
    with pytest.raises(RuntimeError, match=f"'{head.name}' has no avatar"):
        ordered(data=str(capture))


def test_a_head_that_speaks_by_rules_refines_the_learned_model(ordered, capture, head):
    head.gaussianspeech_speech.model = "rules"
    assert ordered(data=str(capture))["--speech-model"] == "starter"


def test_files_of_another_machine_are_not_looked_for(blender, ordered, head):
    preferences = blender.context.preferences.addons[PACKAGE].preferences
    preferences.engine_command = "ssh gpu gaussianspeech serve"
    head.gaussianspeech_avatar.source = "/there/avatar.safetensors"
    options = ordered(data="/there/anna", speech_model="/there/model.safetensors")
    assert options["--data"] == "/there/anna"
    assert options["--avatar"] == "/there/avatar.safetensors"
    assert options["--speech-model"] == "/there/model.safetensors"


@pytest.mark.one_blender
def test_it_starts_and_shows_why_it_cannot_continue(
    engine_ready, jobs, listed, addon, capture, add_plain_head
):
    add_plain_head().gaussianspeech_avatar.source = "default"
    engine_ready.ops.gaussianspeech.train_joint(data=str(capture), title="both", rounds=2)
    watcher = addon("jobs.session").watcher
    until(lambda: not listed() or not watcher.job("both").running)
    job = watcher.job("both")
    assert (job.kind, job.state, job.data) == ("joint", "failed", str(capture))
    assert "transforms_train.json" in job.message


def test_a_person_is_trained_stage_by_stage(ordered, capture):
    options = ordered(
        "person", data=str(capture), title="Anna", licence="CC0", steps=9, rounds=2, preset="quick"
    )
    assert options == {
        "--data": str(capture),
        "--name": "Anna",
        "--licence": "CC0",
        "--preset": "quick",
        "--avatar-steps": "9",
        "--joint-rounds": "2",
    }


def test_a_person_needs_views(blender, jobs, tmp_path):
    with pytest.raises(RuntimeError, match=r"transforms_train\.json"):
        blender.ops.gaussianspeech.train_person(data=str(tmp_path))


def test_a_person_is_made_of_one_video(blender, jobs, addon, tmp_path, monkeypatch):
    film, text = tmp_path / "my face.mp4", tmp_path / "said.txt"
    specs = []

    def refused(_client, name, spec):
        specs.append((name, spec.command, spec.options))
        future = Future()
        future.set_exception(addon("engine.core.errors").GaussianSpeechError("Not today."))
        return future

    monkeypatch.setattr(addon("jobs.client").JobsClient, "start", refused)
    start = blender.ops.gaussianspeech.person_from_video
    for given, reason in (("", "No video is chosen"), (str(film), "There is no video")):
        with pytest.raises(RuntimeError, match=reason):
            start(filepath=given)
    film.write_bytes(b"")
    with pytest.raises(RuntimeError, match="There is no text"):
        start(filepath=str(film), said=str(text))
    assert not specs
    text.write_text("Hello.")
    settings = blender.context.scene.gaussianspeech_training
    settings.kind, settings.video, settings.said = "VIDEO", str(film), str(text)
    settings.licence, settings.video_preset, settings.title = "CC0", "quick", ""
    settings.spoken = " de "
    column, button = Drawn(), Drawn()
    pressed = addon("jobs.new_panel")._draw_video(column, button, blender.context, settings)
    assert button.enabled
    with pytest.raises(RuntimeError, match="Not today"):
        start(**vars(pressed))
    options = (str(film), "--name", "my face", "--text", str(text), "--language", "de")
    options = (*options, "--licence", "CC0", "--preset", "quick")
    assert specs == [("my face", "train person", options)]
    assert column.placeholders["title"] == "my face"
    settings.video = ""
    addon("jobs.new_panel")._draw_video(column, button, blender.context, settings)
    assert not button.enabled


def test_a_person_is_made_of_several_takes(blender, jobs, addon, tmp_path, monkeypatch):
    """As the file browser gives them."""
    specs = []

    def refused(_client, name, spec):
        specs.append((name, spec.options[:2]))
        future = Future()
        future.set_exception(addon("engine.core.errors").GaussianSpeechError("Not today."))
        return future

    monkeypatch.setattr(addon("jobs.client").JobsClient, "start", refused)
    films = [tmp_path / name for name in ("monday.mp4", "tuesday.mp4")]
    start = blender.ops.gaussianspeech.person_from_video
    given = {
        "filepath": str(films[0]),
        "directory": str(tmp_path),
        "files": [{"name": film.name} for film in films],
    }
    films[0].write_bytes(b"")
    with pytest.raises(RuntimeError, match=r"There is no video .*tuesday\.mp4"):
        start(**given)
    films[1].write_bytes(b"")
    with pytest.raises(RuntimeError, match="Not today"):
        start(**given)
    assert specs == [("monday", tuple(map(str, films)))]


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_videos_are_called_as_they_were_chosen(blender, jobs, addon, tmp_path, monkeypatch):
    """Links too: their targets may be of one name, and what is refused is known by its own."""
    asked = []

    def refused(_client, _name, spec):
        asked.append(spec.options[:2])
        future = Future()
        future.set_exception(addon("engine.core.errors").GaussianSpeechError("Not today."))
        return future

    monkeypatch.setattr(addon("jobs.client").JobsClient, "start", refused)
    films = [tmp_path / name for name in ("monday.mp4", "tuesday.mp4")]
    for film in films:
        (tmp_path / film.stem).mkdir()
        (tmp_path / film.stem / "video.mp4").write_bytes(b"")
        film.symlink_to(tmp_path / film.stem / "video.mp4")
    with pytest.raises(RuntimeError, match="Not today"):
        blender.ops.gaussianspeech.person_from_video(
            filepath=str(films[0]),
            directory=str(tmp_path),
            files=[{"name": film.name} for film in films],
        )
    assert asked == [tuple(map(str, films))]


@pytest.mark.one_blender
def test_the_engine_refuses_what_is_no_video(engine_ready, jobs, listed, tmp_path):
    film = tmp_path / "ada.mp4"
    film.write_bytes(b"no film")
    with pytest.raises(RuntimeError, match="is no video that can be read"):
        engine_ready.ops.gaussianspeech.person_from_video(filepath=str(film))
    assert listed() == []
