# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import zipfile
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.commands.farm import farm
from engine.core.errors import BadInputError
from engine.farm import chunks

FRAMES = st.integers(-1000, 1000)


@given(first=FRAMES, count=st.integers(1, 500), size=st.integers(1, 600))
def test_every_frame_is_in_one_chunk_of_at_most_the_size(first, count, size):
    found = chunks(first, first + count - 1, size)
    frames = [frame for start, stop in found for frame in range(start, stop + 1)]
    assert frames == list(range(first, first + count))
    assert max(stop - start + 1 for start, stop in found) <= size


def test_a_command_for_each_chunk_enables_the_extension_before_the_scene(tmp_path, capsys):
    scene, package = tmp_path / "my scene.blend", tmp_path / "e.zip"
    scene.touch()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("blender_manifest.toml", "")
        archive.writestr("blender_addon/standalone.py", "")
    assert farm(scene, tmp_path / "farm", frames="1-5", chunk=2, extension=package, json=True) == 0
    assert json.loads(capsys.readouterr().out)["commands"] == 3
    lines = (tmp_path / "farm" / "commands.txt").read_text("utf-8").splitlines()
    words = shlex.split(lines[1])
    assert words.index("--python") < words.index(str(scene)) < words.index("--render-anim")
    assert words[words.index("--frame-start") + 1 :][:3] == ["3", "--frame-end", "4"]
    script = words[words.index("--python") + 1]
    assert {one.name for one in (tmp_path / "farm").iterdir()} == {
        *("commands.txt", "enable_extension.py", "gaussianspeech.zip"),
        "gaussianspeech_render.js",
    }
    assert script == str(tmp_path / "farm" / "enable_extension.py")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"frames": "1"}, "not FIRST-LAST"),
        ({"frames": "-5-9"}, "not FIRST-LAST"),
        ({"frames": "9-1"}, "no chunks"),
        ({"frames": "1-9", "chunk": 0}, "no chunks"),
        ({"frames": "1-9", "extension": "scene.blend"}, "not the extension's zip"),
    ],
)
def test_what_cannot_be_is_refused(tmp_path, options, says):
    scene = tmp_path / "scene.blend"
    scene.touch()
    if "extension" in options:
        options = options | {"extension": tmp_path / options["extension"]}
    with pytest.raises(BadInputError, match=says):
        farm(scene, tmp_path / "farm", **options)
    with pytest.raises(BadInputError, match="no scene"):
        farm(tmp_path / "none.blend", tmp_path / "farm", frames="1-9")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
def test_the_job_type_makes_a_task_for_each_chunk(tmp_path):
    """With stand-ins for what Flamenco's Manager gives job types."""
    program = tmp_path / "job.js"
    program.write_text(
        (files("engine.farm") / "gaussianspeech_render.js").read_text("utf-8")
        + """
        const author = {
            Task: (name, type) => ({ name, type, commands: [],
                                     addCommand(c) { this.commands.push(c); } }),
            Command: (name, parameters) => ({ name, parameters }),
        };
        const frameChunker = () => ["1-20", "21"];
        const settings = { frames: "1-21", blendfile: "/s.blend", scene: "Talk",
                           enable_script: "/farm/enable_extension.py" };
        for (const one of JOB_TYPE.settings) {
            if (!("default" in one || one.key in settings)) throw one.key;
        }
        const tasks = [];
        compileJob({ settings, addTask: (task) => tasks.push(task) });
        console.log(JSON.stringify(tasks));
        """,
        "utf-8",
    )
    said = subprocess.run(["node", program], capture_output=True, text=True, check=True)
    first, second = json.loads(said.stdout)
    assert (first["name"], first["type"]) == ("render-1-20", "blender")
    parameters = first["commands"][0]["parameters"]
    assert parameters["argsBefore"][-2:] == ["--python", "/farm/enable_extension.py"]
    assert parameters["args"] == ["--scene", "Talk", "--render-frame", "1..20"]
    assert second["commands"][0]["parameters"]["args"][-1] == "21"
