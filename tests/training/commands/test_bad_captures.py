# SPDX-License-Identifier: GPL-3.0-or-later
"""What people hand to a training by mistake: the right result, or one line before it starts."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import save_file

from engine.avatar import save_avatar
from engine.avatar.gaussian_avatars import save_point_cloud
from engine.avatar.with_head import load_with_head
from engine.heads.carried_head import FIRST_FORMAT, FORMAT
from engine.heads.flame import load_flame
from engine.heads.flame_param import load_flame_param, save_flame_param
from engine.jobs import folder as jobs
from tests.engine.heads.flame_people import model_arrays
from tests.training.data.flame_sequences import UNION, write_flame_sequences
from training.avatar.config import AvatarSettings
from training.avatar.model import from_avatar
from training.cli import main
from training.data.multiview import MultiViewCapture

pytestmark = pytest.mark.usefixtures("one_thread", "without_report")


@pytest.fixture(scope="module")
def without_report():
    """A report on a FLAME head lays the default head onto it, which takes longer than training."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.evaluation.avatar.write_report", lambda _folder, _data: None)
        yield


@pytest.fixture(scope="module")
def filmed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("filmed") / "306"
    return write_flame_sequences(folder, names=("SEN-01", "SEN-02"), filmed=1)


@pytest.fixture
def copied(filmed, tmp_path):
    """A copy of the sequences, to be spoilt; its union."""
    return shutil.copytree(filmed.data.parent, tmp_path / "306") / UNION


@pytest.fixture(scope="module")
def avatar(filmed):
    """The person's avatar, with a colour network."""
    settings = replace(AvatarSettings(), latent=4, hidden=8)
    head = load_with_head_of(filmed)
    path = filmed.model.with_name("ada.safetensors")
    save_avatar(from_avatar(filmed.avatar, settings, head).avatar(), path)
    return path


def load_with_head_of(filmed):
    person = filmed.truth
    return load_flame(filmed.model, shape=person.shape, static_offset=person.static_offset[0])


def train_avatar(data, out, *options):
    words = ["train", "avatar", "--data", str(data), "--out", str(out)]
    quick = ["--steps", "1", "--latent", "4", "--hidden", "8", "--backend", "cpu"]
    return main([*words, *map(str, options), "default", *quick, "--threads", "1"])


def started(data, out, avatar, *options):
    """``--initial`` is an option of the preset."""
    words = ["train", "avatar", "--data", str(data), "--out", str(out), *map(str, options)]
    quick = ["--steps", "1", "--latent", "4", "--hidden", "8", "--backend", "cpu"]
    return main([*words, "default", *quick, "--threads", "1", "--initial", str(avatar)])


def refusal(code, out, capsys):
    """The one line of a refusal, which leaves no job behind."""
    assert code == 2
    assert not out.exists()
    said = capsys.readouterr().err.strip().splitlines()
    return said[-1]


def of_first_version(path, head_id, to):
    """The file as 0.1.0 wrote it."""
    with safe_open(path, framework="pt") as file:
        kept = {n: file.get_tensor(n) for n in file.keys() if not n.startswith("head.")}  # noqa: SIM118
        about = json.loads(file.metadata()[FORMAT]) | {"head": head_id}
    save_file(kept, to, {FIRST_FORMAT: json.dumps(about)})
    return to


def test_a_version_1_avatar_is_gone_on_from_with_a_note(filmed, avatar, tmp_path, capsys):
    old = of_first_version(avatar, load_with_head_of(filmed).id, tmp_path / "old.safetensors")
    out = tmp_path / "job"
    assert started(filmed.data, out, old, "--head", filmed.model) == 0
    assert "note: old.safetensors is of version 1" in capsys.readouterr().out
    made = load_with_head(out / "avatar.safetensors")
    assert np.array_equal(made.head.template, load_with_head_of(filmed).template)


def test_a_version_1_avatar_does_not_say_the_head_of_recordings(filmed, avatar, tmp_path, capsys):
    old = of_first_version(avatar, load_with_head_of(filmed).id, tmp_path / "old.safetensors")
    out = tmp_path / "job"
    words = ["train", "speech", "--data", str(filmed.data), "--head", str(old), "--from", "none"]
    said = refusal(main([*words, "--preset", "starter", "--out", str(out)]), out, capsys)
    assert "version 1" in said


def test_a_folder_of_gaussian_avatars_is_gone_on_from(filmed, tmp_path):
    folder = tmp_path / "theirs"
    folder.mkdir()
    save_point_cloud(filmed.avatar, folder / "point_cloud.ply")
    save_flame_param(filmed.truth, folder / "flame_param.npz")
    for number, given in enumerate((folder / "point_cloud.ply", folder)):
        out = tmp_path / f"job-{number}"
        assert started(filmed.data, out, given, "--head", filmed.model) == 0
        assert load_with_head(out / "avatar.safetensors").avatar.count >= 10_000


def test_a_person_on_a_foreign_mesh_is_refused(small_capture, avatar, tmp_path, capsys):
    out = tmp_path / "job"
    said = refusal(started(small_capture, out, avatar), out, capsys)
    assert "ada.safetensors" in said
    assert "default" in said


def test_a_person_is_refused_for_another_mesh_in_the_joint_stage(
    small_capture, avatar, tmp_path, capsys
):
    out = tmp_path / "job"
    words = ["train", "joint", "--data", str(small_capture), "--avatar", str(avatar)]
    code = main([*words, "--speech-model", "starter", "--out", str(out), "--backend", "cpu"])
    assert refusal(code, out, capsys)


@pytest.mark.parametrize("name", ["SEN-01", "SEN-02"])
def test_a_capture_of_two_persons_is_refused(filmed, copied, name, tmp_path, capsys):
    for path in (copied.parent / name / "flame_param").glob("*.npz"):
        param = load_flame_param(path)
        save_flame_param(replace(param, shape=param.shape + np.float32(0.2)), path)
    out = tmp_path / "job"
    code = train_avatar(copied, out, "--head", filmed.model)
    assert "is of another person than the first timestep" in refusal(code, out, capsys)


def test_a_sequence_of_two_persons_is_refused_for_speech(filmed, copied, tmp_path, capsys):
    path = copied.parent / "SEN-01/flame_param/00020.npz"
    param = load_flame_param(path)
    save_flame_param(replace(param, shape=param.shape + np.float32(0.2)), path)
    out = tmp_path / "job"
    words = ["train", "speech", "--data", str(copied.parent / "SEN-01"), "--from", "none"]
    words += ["--head", str(filmed.model), "--preset", "starter", "--out", str(out)]
    said = refusal(main([*words, "--device", "cpu"]), out, capsys)
    assert "00020.npz is of another person than 00000.npz" in said


def with_cameras(union, change):
    for path in union.glob("transforms_*.json"):
        content = json.loads(path.read_text())
        for frame in content["frames"]:
            frame["transform_matrix"] = change(np.array(frame["transform_matrix"])).tolist()
        path.write_text(json.dumps(content))


def test_opengl_axes_are_the_layouts_own_and_opencvs_are_refused(filmed, copied, tmp_path, capsys):
    """As GaussianAvatars' files: y up, z backward. Those of COLMAP and OpenCV look away."""
    assert train_avatar(copied, tmp_path / "sound", "--head", filmed.model) == 0
    with_cameras(copied, lambda matrix: matrix @ np.diag([1.0, -1.0, -1.0, 1.0]))
    out = tmp_path / "job"
    said = refusal(train_avatar(copied, out, "--head", filmed.model), out, capsys)
    assert "does not stand where the pictures show the person" in said
    assert "OpenGL axes" in said


def other_version(path):
    """Other identities and expressions of the same sizes, as FLAME 2020 is to 2023."""
    arrays = model_arrays()
    larger = 1.35 * arrays["shapedirs"][..., ::-1]
    larger[:, 1, :4] += 0.2 * arrays["v_template"][:, 1, None]
    np.savez(path, **(arrays | {"shapedirs": larger}))
    return path


def test_a_version_of_flame_that_is_not_the_avatars_is_refused(filmed, avatar, tmp_path, capsys):
    other = other_version(tmp_path / "generic_model.npz")
    out = tmp_path / "job"
    words = ["train", "joint", "--data", str(filmed.data), "--avatar", str(avatar)]
    words += ["--head", str(other), "--speech-model", "starter", "--out", str(out)]
    said = refusal(main([*words, "--backend", "cpu"]), out, capsys)
    assert "ada.safetensors" in said
    said = refusal(started(filmed.data, out, avatar, "--head", other), out, capsys)
    assert "is of another version of FLAME, flame2023.npz, than generic_model.npz" in said


def test_parameters_under_another_version_of_flame_are_found_by_the_masks(filmed, tmp_path):
    """They do not say which version they are of; a face that reaches beyond the person does."""
    assert not MultiViewCapture.open(filmed.data, head=filmed.model).note
    other = other_version(tmp_path / "generic_model.npz")
    assert train_avatar(filmed.data, tmp_path / "job", "--head", other) == 0
    (note, *_) = jobs.show(tmp_path / "job").status.notes
    assert "beside the person's mask" in note
    assert "another version of FLAME" in note


def test_silhouettes_that_do_not_overlap_the_masks_are_named(filmed, copied, tmp_path, capsys):
    for path in copied.parent.glob("SEN-*/flame_param/*.npz"):
        param = load_flame_param(path)
        moved = param.translation + np.array([0.3, 0, 0], np.float32)
        save_flame_param(replace(param, translation=moved), path)
    out = tmp_path / "job"
    said = refusal(train_avatar(copied, out, "--head", filmed.model), out, capsys)
    assert "SEN-01/images/00000" in said
    assert "% of its vertices lie on the mask" in said
