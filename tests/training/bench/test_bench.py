# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json

import pytest
import torch

from engine.avatar import splats
from engine.core.errors import BadInputError
from engine.heads.default import load_default_head
from engine.rendering.frames import portrait_camera
from engine.splatting.backend import BlendSettings
from engine.splatting.cpu.backend import CpuBackend
from training.bench import parts
from training.bench.figures import Part, in_turn
from training.bench.report import fallen, read
from training.bench.scenes import avatar_of, joined, plain_render
from training.commands.bench import bench


class Clock:
    """A clock that naps alone move on, so that they are as long as they are meant to be."""

    def __init__(self):
        self.now = 0.0

    def perf_counter(self):
        return self.now

    def nap(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr("training.bench.figures.time", clock)
    return clock


@pytest.fixture
def two_parts(monkeypatch, clock):
    """A part that can run here and one that cannot, in place of the real ones."""

    def quick(part):
        part.compare("a.nap", "a nap", lambda: clock.nap(0.002), "sleep", lambda: clock.nap(0.02))
        part.grow("a.curve", "Growth", ("people", "ms"), {1.0: 1.0, 2.0: 4.0})

    table = {"a": (quick, None), "b": (quick, "no_such_library")}
    monkeypatch.setattr(parts, "PARTS", table)
    monkeypatch.setattr("training.bench.PARTS", table)


def test_a_run_is_written_as_json_table_and_plots_and_compared(two_parts, tmp_path, capsys):
    assert bench(tmp_path / "one", quick=True, json=True) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["left_out"] == {"b": "no_such_library is not installed"}
    run = read(tmp_path / "one" / "bench.json")
    (figure,) = run["figures"]
    assert figure["value"] == pytest.approx(2)
    assert figure["reference_value"] == pytest.approx(20)
    assert figure["ratio"] == pytest.approx(10)
    assert run["machine"]["processor"]
    page = (tmp_path / "one" / "bench.md").read_text("utf-8")
    assert "| a nap | " in page
    assert "Left out: b" in page
    assert (tmp_path / "one" / "a.curve.png").read_bytes().startswith(b"\x89PNG")

    for factor, code in ((1.3, 1), (1.2, 0), (0.1, 0)):
        figures = [figure | {"ratio": factor * figure["ratio"]}]
        stored = tmp_path / "stored.json"
        stored.write_text(json.dumps(run | {"figures": figures}), "utf-8")
        assert bench(tmp_path / "two", quick=True, compare=stored) == code
        assert ("slower: a nap" in capsys.readouterr().err) == bool(code)


def test_runs_that_cannot_be_compared_are_refused_at_once(two_parts, tmp_path, monkeypatch):
    bench(tmp_path, quick=True)
    run = read(tmp_path / "bench.json")
    another = run | {"machine": run["machine"] | {"processor": "another"}}
    (tmp_path / "another.json").write_text(json.dumps(another), "utf-8")
    monkeypatch.setattr(
        Part, "compare", lambda *_given: pytest.fail("It was measured all the same.")
    )
    with pytest.raises(BadInputError, match="quick"):
        bench(tmp_path / "new", compare=tmp_path / "bench.json")
    with pytest.raises(BadInputError, match="different machines"):
        bench(tmp_path / "new", quick=True, compare=tmp_path / "another.json")
    other = run["figures"][0] | {"reference": "another", "ratio": 0.0}
    assert fallen(run, run | {"figures": [other]}) == []
    for text in ("{}", '{"format": "gaussianspeech-bench-1"}', "[]"):
        (tmp_path / "bad.json").write_text(text, "utf-8")
        with pytest.raises(BadInputError, match=r"bad\.json"):
            read(tmp_path / "bad.json")
    with pytest.raises(BadInputError, match="no part 'c'"):
        bench(tmp_path, parts=("c",))


def test_works_run_by_turns():
    order = []
    in_turn(lambda: order.append("a"), lambda: order.append("b"), 2)
    assert order == ["a", "b"] * 3


def test_figures_are_divided_and_in_their_unit(tmp_path, clock):
    figure = Part(tmp_path).compare(
        *("a.b", "naps", lambda: clock.nap(0.01), "none", lambda: None),
        unit="ms per nap",
        per=2,
        runs=1,
    )
    assert figure.value == pytest.approx(5)


def test_the_least_of_some_runs_counts_and_the_first_is_no_run(tmp_path, clock):
    mine, theirs = iter((0.001, 0.5, 0.2, 0.3)), iter((0.001, 0.3, 0.4, 0.6))
    figure = Part(tmp_path).compare(
        *("a.b", "naps", lambda: clock.nap(next(mine)), "others", lambda: clock.nap(next(theirs))),
        unit="s",
        runs=3,
    )
    assert (figure.value, figure.reference_value) == pytest.approx((0.2, 0.3))


def test_plain_splatting_draws_what_the_rasteriser_does():
    head = load_default_head()
    camera = portrait_camera(head, 48, 64)
    with torch.inference_mode():
        one = splats(avatar_of(head, 200), torch.from_numpy(head.template))
        scene = joined([one, one])
        ours = CpuBackend().render(scene, camera).rgb
        plain = plain_render(scene, camera, BlendSettings())
    # Sums of float32 in another order; a splat at the cut of 1/255 may fall on either side.
    assert (ours - plain).abs().mean() < 1e-4
    assert plain.max() > 0.2


def test_a_blender_that_does_not_end_is_left_out(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "TIMEOUT", 0.01)
    monkeypatch.setattr(parts.importlib.util, "find_spec", lambda _name: object())
    result = parts.run_parts(["blender"])
    assert result.left_out == {"blender": "Blender did not end within 0.01 s."}
