# SPDX-License-Identifier: GPL-3.0-or-later
"""Set Up Engine and the doctor in Blender; the installation itself is test_setup_environment's."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.blender_addon.conftest import PACKAGE


@pytest.fixture
def session(blender, addon):
    return addon("setup.session")


@pytest.fixture
def unnamed(blender, monkeypatch, tmp_path, addon, engine_aside):
    """No engine is named, set up or running."""
    for name in ("GAUSSIANSPEECH_PYTHON", "VIRTUAL_ENV", "CONDA_PREFIX"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    preferences = blender.context.preferences.addons[PACKAGE].preferences
    named, preferences.engine_python = preferences.engine_python, ""
    yield preferences
    preferences.engine_python, preferences.engine_command = named, ""


def test_an_engine_is_needed_until_one_is_named_or_set_up(unnamed, session, addon):
    context = addon("setup.session").bpy.context
    assert session.needed(context)
    unnamed.engine_command = "ssh host gaussianspeech serve"
    assert not session.needed(context)
    unnamed.engine_command = ""
    unnamed.engine_python = "/usr/bin/env"
    assert not session.needed(context)


def test_without_leave_to_go_online_and_without_wheels_nothing_begins(
    blender, session, monkeypatch
):
    if blender.app.online_access:
        pytest.skip("this Blender may go online")
    monkeypatch.setattr(session, "set_up", None)
    with pytest.raises(RuntimeError, match="Allow Online Access"):
        blender.ops.gaussianspeech.set_up_engine(build="CPU")


def test_what_was_chosen_is_set_up_and_the_panel_says_so(
    blender, session, addon, monkeypatch, tmp_path
):
    asked = []
    environment, parts = addon("setup.environment"), addon("setup.requirements").Parts

    def set_up(options, _cancelled, report):
        asked.append(options)
        report(0.5, "Downloading torch (190 MB)")
        return environment.SetupRecord(options.build)

    monkeypatch.setattr(session, "set_up", set_up)
    result = blender.ops.gaussianspeech.set_up_engine(
        build="CPU", training=True, wheels=str(tmp_path)
    )
    assert result == {"FINISHED"}
    (options,) = asked
    assert (options.build, options.wheels) == ("cpu", tmp_path)
    assert options.parts == parts(english=True, training=True)
    assert options.folder == addon("engine_link.session").environment_folder()
    status = blender.context.window_manager.gaussianspeech_status
    assert status.message == "The engine is set up (torch for CPU)"


def test_why_a_set_up_failed_is_the_error(blender, session, monkeypatch, tmp_path):
    with pytest.raises(RuntimeError, match="There is no folder of wheels"):
        blender.ops.gaussianspeech.set_up_engine(build="CPU", wheels=str(tmp_path / "nowhere"))
    assert session.under_way() is None


def test_cuda_without_a_gpu_is_refused(blender, addon, monkeypatch, tmp_path):
    monkeypatch.setattr(addon("setup.requirements"), "fitting_build", lambda: "cpu")
    with pytest.raises(RuntimeError, match="No NVIDIA GPU"):
        blender.ops.gaussianspeech.set_up_engine(build="CUDA", wheels=str(tmp_path))


@pytest.fixture
def on_the_path(monkeypatch, tmp_path):
    """A Python on the PATH that is no engine."""
    program = tmp_path / "bin" / "python3"
    program.parent.mkdir()
    program.symlink_to("/bin/false")
    monkeypatch.setenv("PATH", str(program.parent))
    return program


def programs(monkeypatch, engines):
    """The programs of the engines that are made from now on; none of them is started."""
    started = []
    monkeypatch.setattr(engines.EngineClient, "start", lambda self: started.append(self.command[0]))
    return started


def test_an_engine_that_was_set_up_is_used_at_once(
    unnamed, blender, addon, engine_aside, on_the_path, monkeypatch, tmp_path
):
    started = programs(monkeypatch, engine_aside)
    monkeypatch.setattr(engine_aside, "environment_folder", lambda: tmp_path / "environment")
    engine_aside.get_engine(blender.context)
    process = addon("engine_link.process")
    python = process.platforms.environment_program(tmp_path / "environment")
    python.parent.mkdir(parents=True)
    python.touch()
    (tmp_path / "environment" / process.RECORD).write_text("{}")
    engine_aside.get_engine(blender.context)
    assert started == [str(on_the_path), str(python)]


def test_while_the_engine_is_set_up_none_of_the_path_is_started(
    unnamed, blender, session, engine_aside, on_the_path, monkeypatch
):
    started = programs(monkeypatch, engine_aside)
    monkeypatch.setattr(session, "under_way", object)
    with pytest.raises(Exception, match="The engine is being set up"):
        engine_aside.get_engine(blender.context)
    assert started == []
    unnamed.engine_python = "/usr/bin/env"
    engine_aside.get_engine(blender.context)
    assert started == ["/usr/bin/env"]


def test_removing_takes_the_whole_environment(blender, addon):
    folder = addon("engine_link.session").environment_folder()
    assert not blender.ops.gaussianspeech.remove_engine.poll()
    folder.mkdir()
    (folder / "pyvenv.cfg").touch()
    assert blender.ops.gaussianspeech.remove_engine() == {"FINISHED"}
    assert list(folder.parent.glob("environment*")) == []


@pytest.mark.one_blender
def test_the_doctor_asks_blender_and_the_engine(engine_ready, addon):
    assert engine_ready.ops.gaussianspeech.doctor() == {"FINISHED"}
    findings = addon("setup.report").findings()
    topics = {check.topic for check in findings}
    assert topics == {
        "blender",
        "system",
        "libraries",
        "splatting",
        "recognition",
        "assets",
        "folders",
    }
    levels = {check.name: check.level for check in findings}
    assert levels["torch"] == levels["user folder"] == "ok"
    text = addon("setup.ops").as_text(findings)
    assert "[ok] libraries: torch: " in text
    assert len(text.splitlines()) >= len(findings)


def test_the_doctor_says_why_the_engine_does_not_answer(unnamed, blender, addon):
    unnamed.engine_python = "/usr/bin/env"
    assert blender.ops.gaussianspeech.doctor() == {"FINISHED"}
    checks = {check.name: check for check in addon("setup.report").findings()}
    assert checks["process"].level == "error"
    status = blender.context.window_manager.gaussianspeech_status
    assert status.message == "Doctor: 1 error (process)"


def test_a_report_of_a_problem_holds_the_error_the_findings_and_the_logs(
    unnamed, blender, addon, session, monkeypatch, tmp_path
):
    unnamed.engine_python = "/usr/bin/env"
    log = tmp_path / "set-up.log"
    log.write_text("\n".join(f"line {n} in {tmp_path}/wheels" for n in range(500)))
    monkeypatch.setattr(session, "log_path", lambda: log)
    monkeypatch.setattr(addon("setup.ops"), "user_folder", lambda: tmp_path / "add-on")
    status = addon("status")
    status.set_error(blender.context, status.BadInputError("The strip is gone.", "Choose another."))
    assert blender.ops.gaussianspeech.report_problem() == {"FINISHED"}
    text = (tmp_path / "add-on" / "problem.md").read_text(encoding="utf-8")
    assert "The strip is gone. Choose another." in text
    assert "[error] engine: process: " in text
    assert "line 499 in ~/wheels" in text
    assert "line 400 " not in text
    assert str(tmp_path) not in text


@pytest.mark.parametrize(
    ("home", "written"),
    [
        ("/home/jo", "'~/wheels' ~, ~. /home/joan/x"),
        ("/", "'/home/jo/wheels' /home/jo, /home/jo. /home/joan/x"),
    ],
)
def test_the_users_folder_alone_is_written_shortly(addon, monkeypatch, home, written):
    problem = addon("setup.problem")
    monkeypatch.setattr(problem.Path, "home", lambda: Path(home))
    error = "'/home/jo/wheels' /home/jo, /home/jo. /home/joan/x"
    assert f"## Error\n\n{written}\n" in problem.problem_text([], error, [])


def test_a_report_that_cannot_be_written_is_on_the_clipboard_alone(
    unnamed, blender, addon, monkeypatch, tmp_path
):
    unnamed.engine_python = "/usr/bin/env"
    (tmp_path / "add-on").write_text("a file")
    monkeypatch.setattr(addon("setup.ops"), "user_folder", lambda: tmp_path / "add-on")
    assert blender.ops.gaussianspeech.report_problem() == {"FINISHED"}
    assert "cannot be written" in blender.context.window_manager.gaussianspeech_status.message
