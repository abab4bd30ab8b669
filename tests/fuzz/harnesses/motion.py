# SPDX-License-Identifier: GPL-3.0-or-later
"""Performances, curves of ARKit weights and parameters of FLAME."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from engine.heads import load_head
from engine.heads.flame_layouts import load_flame_layout
from engine.heads.flame_param import FlameParam, load_flame_param, save_flame_param
from engine.motion.arkit import ARKIT_NAMES
from engine.motion.face.prosody import Accent, Prosody, Tone
from engine.motion.interchange.arkit_json import read_arkit_json, write_arkit_json
from engine.motion.interchange.face_curves import FaceCurves
from engine.motion.interchange.live_link import read_live_link, write_live_link
from engine.motion.joint_pose import JointPose
from engine.motion.performance import Performance
from engine.phonemes import Phone, Word
from tests.fuzz.harness import Harness
from tests.fuzz.structure import damage_json, damage_lines, damage_npz
from training.data.captured_motion import CapturedHead
from training.data.motion_files import own_face, read_any_motion


def _performance(frames: int = 6) -> Performance:
    rng = np.random.default_rng(0)
    return Performance(
        fps=25.0,
        weights=rng.random((frames, 3), np.float32),
        basis=rng.standard_normal((3, 5, 3)).astype(np.float32),
        expression=rng.random((frames, 2), np.float32),
        expression_names=("jawOpen", "mouthClose"),
        head="default",
        source_sha256="ab" * 32,
        model="rules",
        phones=(Phone("SIL", 0.0, 0.1), Phone("B", 0.1, 0.25)),
        words=(Word("Bé!", 0.1, 0.25),),
        language="fr",
        head_rotation=rng.random((frames, 3), np.float32),
        prosody=Prosody((Accent(0.5, 0.25),), (Tone(0.0, 1.0, -0.5, 0.125),)),
        pose=JointPose(np.zeros((frames, 2, 3), np.float32), np.zeros((frames, 2, 3), np.float32)),
    )


def _performances(folder: Path) -> None:
    _performance().save(folder / "a.npz")
    _performance(1).save(folder / "b.npz", dense=True)


def _read_performance(path: Path) -> None:
    performance = Performance.load(path)
    frames = min(performance.frames, 64)
    offsets = performance.offsets(0, frames)
    assert np.isfinite(offsets).all()
    performance.still(0)


def _curves(frames: int = 5) -> FaceCurves:
    rng = np.random.default_rng(0)
    return FaceCurves(
        30.0,
        np.round(rng.random((frames, 52), np.float32), 3),
        np.round(0.2 * rng.random((frames, 3), np.float32), 3),
    )


def _frames(folder: Path) -> None:
    """As BEAT writes them, and as apps do."""
    times = [0.0, 0.033, 0.067, 0.1]
    beat = {
        "names": list(ARKIT_NAMES),
        "frames": [{"time": time, "weights": [0.25] * len(ARKIT_NAMES)} for time in times],
    }
    app = {"fps": 60, "frames": [{"blendShapes": {"jawOpen": 0.2, "x": 1}} for _ in times]}
    for name, content in (("a", beat), ("b", app)):
        (folder / f"{name}.json").write_text(json.dumps(content), "utf-8")


def _checked(curves: FaceCurves) -> None:
    assert np.isfinite(curves.weights).all()
    assert np.isfinite(curves.head_rotation).all()


def _flame_params(folder: Path) -> None:
    param = FlameParam.neutral(6, 4)
    save_flame_param(param, folder / "a.npz")


def _other_layouts(folder: Path) -> None:
    """FLAME's parameters as VHAP and DiffPoseTalk have them."""
    rng = np.random.default_rng(0)
    expr, pose = (rng.random((4, n), np.float32) for n in (50, 6))
    np.savez(folder / "a.npz", expr=expr, jaw_pose=pose[:, 3:], rotation=pose[:, :3], fps=25.0)
    np.savez(folder / "b.npz", exp=expr, pose=pose, shape=np.zeros((4, 100), np.float32))


def _moved_heads(folder: Path) -> None:
    """Motion of the default head as other programs write it."""
    head = load_head("default")
    weights = np.zeros((3, len(head.expression_names)), np.float32)
    weights[:, head.expression_index("jawOpen")] = (0.0, 0.3, 0.1)
    vertices = head.deform(weights)
    np.savez_compressed(folder / "a.npz", fps=30.0, vertices=vertices)
    np.savez_compressed(folder / "b.npz", fps=30.0, expression=weights)


def _vertex_files(folder: Path) -> None:
    head = load_head("default")
    vertices = np.repeat(head.template[None], 2, axis=0)
    np.save(folder / "a.npy", vertices)
    np.save(folder / "b.npy", vertices.reshape(2, -1))


def _read_any(path: Path) -> None:
    who = CapturedHead.of(load_head("default"))
    motion = read_any_motion(path, who, 30.0, own_face(path, who))
    assert np.isfinite(motion.weights @ motion.basis.reshape(len(motion.basis), -1)).all()


HARNESSES = (
    Harness("flame_layout", "a.npz", _other_layouts, load_flame_layout, damage_npz, cost=6),
    Harness(
        "any_motion", "a.npz", _moved_heads, _read_any, damage_npz, memory=400, seconds=4, cost=60
    ),
    Harness("vertex_npy", "a.npy", _vertex_files, _read_any, memory=400, seconds=4, cost=60),
    Harness(
        "performance", "a.performance.npz", _performances, _read_performance, damage_npz, cost=6
    ),
    Harness(
        "arkit_json",
        "a.json",
        lambda folder: write_arkit_json(_curves(), folder / "a.json"),
        lambda path: _checked(read_arkit_json(path)),
        damage_json,
        memory=600,
        cost=4,
    ),
    Harness(
        "arkit_frames",
        "a.json",
        _frames,
        lambda path: _checked(read_arkit_json(path)),
        damage_json,
        memory=600,
        cost=4,
    ),
    Harness(
        "arkit_csv",
        "a.csv",
        lambda folder: write_live_link(_curves(), folder / "a.csv"),
        lambda path: _checked(read_live_link(path)),
        damage_lines,
        memory=600,
        cost=4,
    ),
    Harness("flame_param", "flame_param.npz", _flame_params, load_flame_param, damage_npz, cost=6),
)
