# SPDX-License-Identifier: GPL-3.0-or-later
"""Heads: FLAME's pickles and their arrays, FLAME as npz, and head files."""

from __future__ import annotations

import contextlib
import io
import pickle
from functools import cache
from pathlib import Path

import numpy as np
import scipy.sparse

from engine.heads.asset_file import load_head_file, save_head
from engine.heads.flame_file import read_flame, read_masks
from engine.heads.pickled_arrays import PickledArrays
from engine.heads.safe_pickle import PickleError
from tests.engine.heads.flame_files import chumpy, reordered, write_pickle
from tests.engine.heads.small_head import small_head
from tests.fuzz.harness import Harness
from tests.fuzz.pickles import damage_pickle
from tests.fuzz.structure import damage_npz


def _content() -> dict[str, object]:
    rng = np.random.default_rng(0)
    values = rng.random((6, 3))
    return {
        "v": values,
        "f": np.arange(9, dtype=np.uint32).reshape(3, 3),
        "J": scipy.sparse.csc_matrix(np.eye(3, 6)),
        "row": scipy.sparse.csr_matrix(np.eye(3, 6)),
        "list": [1, 2.5, -3],
        "text": "lbs",
        "scalar": np.float32(1.5),
        "fortran": np.asfortranarray(values),
        "big": values.astype(">f4"),
    }


def _pickles(folder: Path) -> None:
    content = _content()
    for protocol in (0, 1, 2, 3, 4, 5):
        (folder / f"new{protocol}.pkl").write_bytes(pickle.dumps(content, protocol))
    values = np.arange(24.0).reshape(2, 3, 4)
    old = {
        "v": chumpy(values),
        "s": reordered("Select", a=chumpy(values), idxs=np.array([3, 1]), preferred_shape=(2,)),
        "r": reordered("Reshape", a=chumpy(values), newshape=(4, 6)),
        "t": reordered("transpose", a=chumpy(values), axes=(2, 1, 0)),
        "J": scipy.sparse.csc_matrix(np.eye(3, 6)),
    }
    for protocol in (0, 1, 2):
        write_pickle(folder / f"old{protocol}.pkl", old, protocol=protocol)


def _read_arrays(path: Path) -> None:
    arrays = PickledArrays(path.read_bytes())
    for name in arrays.names:
        with contextlib.suppress(PickleError):
            assert arrays.get(name).dtype.kind in "biufcSU"


def _masks(folder: Path) -> None:
    masks = {"lips": np.array([1, 2, 4]), "face": np.arange(40)}
    np.savez(folder / "a.npz", **masks)


def _masks_pickle(folder: Path) -> None:
    masks = {"lips": np.array([1, 2, 4]), "face": np.arange(40)}
    for protocol in (0, 2, 4):
        (folder / f"{protocol}.pkl").write_bytes(pickle.dumps(masks, protocol))


@cache
def _flame() -> dict[str, np.ndarray]:
    """As small as a FLAME model can be: nearly all of it zeros."""
    kintree = np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32)
    weights = np.zeros((5023, 5), np.float16)
    weights[:, 0] = 1
    return {
        "v_template": np.zeros((5023, 3), np.float16),
        "f": np.zeros((9976, 3), np.uint16),
        "shapedirs": np.zeros((5023, 3, 400), np.uint8),
        "posedirs": np.zeros((5023, 3, 36), np.uint8),
        "J_regressor": np.zeros((5, 5023), np.uint8),
        "kintree_table": kintree,
        "weights": weights,
        "vt": np.zeros((4, 2), np.float32),
        "ft": np.zeros((9976, 3), np.uint16),
    }


def _flames(folder: Path) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, **_flame())
    (folder / "a.npz").write_bytes(stream.getvalue())


def _read_flame(path: Path) -> None:
    model = read_flame(path)
    assert np.isfinite(model.v_template).all()
    assert np.isfinite(model.shapedirs).all()


def _heads(folder: Path) -> None:
    save_head(small_head(), folder / "a.npz")


def _read_head(path: Path) -> None:
    head = load_head_file(path)
    assert np.isfinite(head.expression_basis).all()
    repr(head.id.encode())


HARNESSES = (
    Harness(
        "pickle",
        "model.pkl",
        _pickles,
        _read_arrays,
        damage_pickle,
        errors=(PickleError,),
        memory=128,
        cost=3,
    ),
    Harness(
        "masks_pickle", "masks.pkl", _masks_pickle, read_masks, damage_pickle, memory=128, cost=3
    ),
    Harness("masks_npz", "masks.npz", _masks, read_masks, damage_npz, memory=160, cost=3),
    Harness("flame_npz", "flame.npz", _flames, _read_flame, damage_npz, memory=320, cost=200),
    Harness("head", "head.npz", _heads, _read_head, damage_npz, memory=200, cost=8),
)
