# SPDX-License-Identifier: GPL-3.0-or-later
"""Meshes: glTF and VRM, as a head and as a character, and what trimesh reads."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from engine.characters.gltf_file import open_gltf
from engine.characters.speaking import find_mapping
from engine.heads.gltf_mesh import read_shaped_mesh
from engine.heads.mesh_file import load_mesh_head
from engine.heads.retarget import MOUTH_SHAPES
from tests.engine.gltf_files import arkit_character, vrm_character
from tests.fuzz.harness import Harness
from tests.fuzz.structure import damage_glb, damage_header, damage_json, damage_lines


def _characters(folder: Path) -> None:
    arkit_character().written(folder / "a.glb")
    vrm_character(0).written(folder / "b.glb")
    vrm_character(1).written(folder / "c.glb")


def _texts(folder: Path) -> None:
    arkit_character().written(folder / "a.gltf")
    vrm_character(1).written(folder / "c.gltf")


def _read_character(path: Path) -> None:
    character = open_gltf(path)
    find_mapping(character)


def _read_head(path: Path) -> None:
    found = read_shaped_mesh(path, (), MOUTH_SHAPES)
    assert np.isfinite(found.vertices).all()
    assert np.isfinite(found.offsets).all()


def _export(kind: str, folder: Path) -> None:
    mesh = trimesh.creation.icosphere(subdivisions=2, radius=0.1)
    mesh = trimesh.util.concatenate([mesh, mesh])
    mesh.export(folder / f"a.{kind}")


def _small_head(path: Path) -> None:
    head = load_mesh_head(path)
    assert np.isfinite(head.template).all()
    assert head.faces.min() >= 0
    assert head.faces.max() < head.vertex_count


def _plain(kind: str, mutate: object, memory: int = 160) -> Harness:
    return Harness(
        f"mesh_{kind}",
        f"a.{kind}",
        lambda folder: _export(kind, folder),
        _small_head,
        mutate,
        memory=memory,
        cost=10,
    )


HARNESSES = (
    Harness("gltf_head", "a.glb", _characters, _read_head, damage_glb, memory=320, cost=10),
    Harness(
        "gltf_character", "a.glb", _characters, _read_character, damage_glb, memory=320, cost=10
    ),
    Harness("gltf_text", "a.gltf", _texts, _read_character, damage_json, memory=320, cost=10),
    _plain("obj", damage_lines),
    _plain("ply", damage_header((b"end_header\n",))),
    _plain("stl", damage_header((b"\0\0\0\0",))),
    _plain("off", damage_lines),
)
