# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of the keys, shapes and pickle types of FLAME's, with an invented head in them."""

import contextlib
import pickle
import struct
import sys
import tracemalloc
import types

import numpy as np
import pytest
import scipy.sparse

from tests.counted_work import calls_of

EYE_HEIGHT, EYE_SIDE, MOUTH_HEIGHT = 0.03, 0.031, -0.035
_COLUMNS, _ROWS = 60, 65
HEAD_VERTICES, EYE_VERTICES = 3931, 546


def _head_surface():
    """An ellipsoid open at the neck: 3,931 vertices, 7,800 triangles."""
    polar = np.linspace(0, 0.85 * np.pi, _ROWS + 1)[1:]
    around = np.linspace(0, 2 * np.pi, _COLUMNS, endpoint=False)
    p, a = np.meshgrid(polar, around, indexing="ij")
    ring = np.stack([0.075 * np.sin(p) * np.sin(a), 0.11 * np.cos(p), 0.09 * np.sin(p) * np.cos(a)])
    points = np.concatenate([[[0, 0.11, 0]], ring.reshape(3, -1).T])
    number = 1 + np.arange(_ROWS * _COLUMNS).reshape(_ROWS, _COLUMNS)
    right = np.roll(number, -1, axis=1)
    faces = [np.stack([np.zeros(_COLUMNS, int), number[0], right[0]], 1)]
    a, b, c, d = number[:-1], number[1:], right[1:], right[:-1]
    faces += [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    points, faces = points.tolist(), np.concatenate(faces).tolist()
    while len(points) < HEAD_VERTICES:  # Each split adds one vertex and two triangles.
        i, j, k = faces.pop(0)
        points.append(np.mean([points[i], points[j], points[k]], axis=0).tolist())
        new = len(points) - 1
        faces += [[i, j, new], [j, k, new], [k, i, new]]
    return np.array(points), np.array(faces)


def _eyeball(side):
    """A sphere of 546 vertices and 1,088 triangles."""
    polar, around = np.linspace(0, np.pi, 19)[1:-1], np.linspace(0, 2 * np.pi, 32, endpoint=False)
    p, a = np.meshgrid(polar, around, indexing="ij")
    ring = np.stack([np.sin(p) * np.sin(a), np.cos(p), np.sin(p) * np.cos(a)]).reshape(3, -1).T
    points = np.concatenate([[[0, 1, 0]], ring, [[0, -1, 0]]])
    number = 1 + np.arange(17 * 32).reshape(17, 32)
    right, last = np.roll(number, -1, axis=1), len(points) - 1
    faces = [
        np.stack([np.zeros(32, int), number[0], right[0]], 1),
        np.stack([np.full(32, last), right[-1], number[-1]], 1),
        np.stack([number[:-1], number[1:], right[1:]], -1).reshape(-1, 3),
        np.stack([number[:-1], right[1:], right[:-1]], -1).reshape(-1, 3),
    ]
    return 0.012 * points + [side * EYE_SIDE, EYE_HEIGHT, 0.06], np.concatenate(faces)


def flame_arrays(seed=0):
    """The arrays of a FLAME model in float64, as its files have them."""
    random = np.random.default_rng(seed)
    head, head_faces = _head_surface()
    (left, eye_faces), (right, _) = _eyeball(1), _eyeball(-1)
    points = np.concatenate([head, left, right])
    first_eye = len(head)
    faces = np.concatenate(
        [head_faces, eye_faces + first_eye, eye_faces + first_eye + EYE_VERTICES]
    )
    weights = np.zeros((len(points), 5))
    below = np.clip((-0.06 - points[:, 1]) / 0.03, 0, 1)
    jaw = (points[:, 1] < MOUTH_HEIGHT) * np.clip(points[:, 2] / 0.04, 0, 1) * (1 - below)
    weights[:, 0], weights[:, 2] = below, jaw
    weights[:, 1] = 1 - below - jaw
    weights[first_eye:] = 0
    weights[first_eye : first_eye + EYE_VERTICES, 3] = 1
    weights[first_eye + EYE_VERTICES :, 4] = 1
    regressor = np.zeros((5, len(points)))
    for joint, height in ((0, -0.09), (1, -0.06), (2, -0.01)):
        near = np.abs(head[:, 1] - height) < 0.004
        regressor[joint, : len(head)][near] = 1 / near.sum()
    regressor[3, first_eye : first_eye + EYE_VERTICES] = 1 / EYE_VERTICES
    regressor[4, first_eye + EYE_VERTICES :] = 1 / EYE_VERTICES
    return {
        "v_template": points,
        "f": faces.astype(np.uint32),
        "shapedirs": 1e-3 * random.standard_normal((len(points), 3, 400)),
        "posedirs": 1e-3 * random.standard_normal((len(points), 3, 36)),
        "J_regressor": regressor,
        "kintree_table": np.array([[2**32 - 1, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
        "weights": weights,
    }


def lips_of(arrays):
    """A band of vertices round the invented mouth."""
    points, weights = arrays["v_template"], arrays["weights"]
    near = (np.abs(points[:, 1] - MOUTH_HEIGHT) < 0.012) & (np.abs(points[:, 0]) < 0.025)
    return np.flatnonzero(near & (points[:, 2] > 0.05) & (weights[:, 3:].sum(1) == 0))


class _Ch:
    """Stands for ``chumpy.ch.Ch`` while a file is written; keeps what chumpy's pickles keep."""

    def __init__(self, x):
        self.__dict__.update(x=x, _dirty_vars=set(), _itr=None, _status="new", lmult=None)


class _Reordering:
    """Stands for a class of ``chumpy.reordering`` likewise."""

    def __init__(self, **state):
        self.__dict__.update(state, _dirty_vars={"a"}, _itr=4)


_Ch.__module__, _Ch.__qualname__, _Ch.__name__ = "chumpy.ch", "Ch", "Ch"
_REORDERINGS = {
    name: type(name, (_Reordering,), {"__module__": "chumpy.reordering"})
    for name in ("Select", "Reshape", "transpose")
}


@contextlib.contextmanager
def chumpy_modules():
    """The module names of chumpy, as the pickler looks the classes up."""
    names = {
        "chumpy": types.ModuleType("chumpy"),
        "chumpy.ch": types.ModuleType("chumpy.ch"),
        "chumpy.reordering": types.ModuleType("chumpy.reordering"),
    }
    names["chumpy.ch"].Ch = _Ch
    names["chumpy.reordering"].__dict__.update(_REORDERINGS)
    sys.modules.update(names)
    try:
        yield
    finally:
        for name in names:
            del sys.modules[name]


PYTHON_2_MODULES = {
    "numpy._core.multiarray": "numpy.core.multiarray",
    "scipy.sparse._csc": "scipy.sparse.csc",
    "builtins": "__builtin__",
    "copyreg": "copy_reg",
}


class Python2Pickler(pickle._Pickler):
    """Writes what cPickle of Python 2 wrote: byte strings and the module names of that time."""

    dispatch = dict(pickle._Pickler.dispatch)  # noqa: RUF012 - the pickler's own way to extend it

    def save_string(self, value):
        data = value.encode("latin-1") if isinstance(value, str) else value
        if self.proto == 0:
            text = "".join(f"\\x{byte:02x}" for byte in data).encode()
            self.write(b"S'" + text + b"'\n")
        elif len(data) < 256:
            self.write(b"U" + struct.pack("<B", len(data)) + data)
        else:
            self.write(b"T" + struct.pack("<i", len(data)) + data)
        self.memoize(value)

    def save_global(self, obj, name=None):
        name = name or obj.__qualname__
        module = PYTHON_2_MODULES.get(obj.__module__, obj.__module__)
        self.write(f"c{module}\n{name}\n".encode())
        self.memoize(obj)

    dispatch[str] = dispatch[bytes] = save_string
    dispatch[type] = dispatch[types.FunctionType] = save_global


def chumpy(value):
    """The value as a chumpy array."""
    return _Ch(value)


def reordered(name, **state):
    """A selection, reshape or transpose of a chumpy array, by the name of its class."""
    return _REORDERINGS[name](**state)


def write_pickle(path, content, *, protocol=2, python2=True):
    """Write a pickle as Python 2 did, or as this Python does."""
    with chumpy_modules(), path.open("wb") as file:
        if python2:
            Python2Pickler(file, protocol).dump(content)
        else:
            pickle.dump(content, file, protocol)


def write_flame_pickle(path, arrays, **options):
    """A FLAME pickle: chumpy arrays, a sparse regressor, and the entries nobody reads."""
    template = arrays["v_template"]
    selected = reordered(
        "Select", a=_Ch(template), idxs=np.arange(template.size), preferred_shape=template.shape
    )
    content = dict(
        arrays,
        v_template=selected,
        shapedirs=_Ch(arrays["shapedirs"]),
        J_regressor=scipy.sparse.csc_matrix(arrays["J_regressor"]),
        J=arrays["J_regressor"] @ arrays["v_template"],
        bs_style="lbs",
        bs_type="lrotmin",
    )
    write_pickle(path, content, **options)


def refusal_within_bounds(read, data, error):
    """The message of the error that reading the data ends in, having checked what that cost."""

    def work():
        with contextlib.suppress(error):
            read(data)

    calls_of(work, most=20 * len(data) + 1000)
    tracemalloc.start()
    try:
        with pytest.raises(error) as refusal:
            read(data)
        assert tracemalloc.get_traced_memory()[1] < 3 * len(data) + 64e6
    finally:
        tracemalloc.stop()
    message = str(refusal.value)
    assert message.isprintable()
    assert len(message) < 130
    return message
