# SPDX-License-Identifier: GPL-3.0-or-later
import base64
import contextlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import BadInputError
from engine.gltf import mesh_nodes, read_document, read_geometry
from engine.gltf.meshopt import decode
from tests.engine.gltf_files import GltfFile, ball

# Packed by meshoptimizer 1.3 itself from what the functions below make.
PACKED = {
    "WHOLE_0": (
        "oP/6/68AJigoKCgoKCgoJigmKCYmJiYmJCYkJCQkJCIkIiIgIiAgHiAeHhweHBwaGhoaGBgYFhYWFBQSFBIQEBAQDg"
        "wOyqqIhmREIgABETVVV5e5uw0NDQ8PERERERMVExUVFxcXGRkZGRsbGx0dHR0fHx8hHyEhISMhIyMjJSMlJSMlJyUl"
        "JyUnJyUnJycnJycnJScnJycnJScnJyUnJSUlJyMlJSMlIyMjIyEhISEhHx8fHx0fHRsdGxsZGRkZFxcXFRUVExMTER"
        "EPEQ0PDQ0LCwsJl3dVMzEQACIkZIaIqsrs7xAVQFUBAAAAIAAAAgAAAACABAAAAAEAAAAQAAAEAAABAAAAEAAAABAA"
        "/////wACBgoOEhYaHiKbKi4yizo+QntKc1JWZ15fZldTckt6Qz+GNzMvlicjHxsXrg8LBwMABAgMEK0YHCAkKJUwND"
        "iFQER5THFUWGVgXWhVUXRJfEE9OYwxLSmcIR0ZFRENCQUBAgYKDhIWGh4imyouMos6PkJ7SnNSVmdeX2ZXU3JLekM/"
        "hjczL5YnIx8bF64PCwcDAAQIDBCtGBwgJCiVMDQ4hUBEeUxxVFhlYF1oVVF0SXxBPTmMMS0pnCEdGRURDQkFAQIGCg"
        "4SFhoeIpsqLjKLOj5Ce0pzUlZnXl9mV1NyS3pDP4Y3My+WJyMfGxeuDwsHAwAECAwQrRgcICQolTAAAAAAPw4SEBIS"
        "FBIWFBYWGBgYGhoaGhwcHB4eHh4gICAgIiIiIiIkJCQkJCYkJiYmAAAAABEAAAACgAAAAC80OIVARHlMcVRYZWBdaF"
        "VRdEl8QT05jDEtKZwhHRkVEdlRJq7//wAAEhYaHgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="
    ),
    "WHOLE_1": (
        "obn/+v+vACYoKCgoKCgoKCYoJigmJiYmJiQmJCQkJCQiJCIiICIgIB4gHh4cHhwcGhoaGhgYGBYWFhQUEhQSEBAQEA"
        "4MDsqqiIZkRCIAARE1VVeXubsNDQ0PDxERERETFRMVFRcXFxkZGRkbGxsdHR0dHx8fIR8hISEjISMjIyUjJSUjJScl"
        "JSclJyclJycnJycnJyUnJycnJyUnJyclJyUlJScjJSUjJSMjIyMhISEhIR8fHx8dHx0bHRsbGRkZGRcXFxUVFRMTEx"
        "ERDxENDw0NCwsLCZd3VTMxEAAiJGSGiKrK7O8QAAIGCg4SFhoeIpsqLjKLOj5Ce0pzUlZnXl9mV1NyS3pDP4Y3My+W"
        "JyMfGxeuDwsHAwAECAwQrRgcICQolTA0OIVARHlMcVRYZWBdaFVRdEl8QT05jDEtKZwhHRkVEQ0JBQECBgoOEhYaHi"
        "KbKi4yizo+QntKc1JWZ15fZldTckt6Qz+GNzMvlicjHxsXrg8LBwMABAgMEK0YHCAkKJUwNDiFQER5THFUWGVgXWhV"
        "UXRJfEE9OYwxLSmcIR0ZFRENCQUBAgYKDhIWGh4imyouMos6PkJ7SnNSVmdeX2ZXU3JLekM/hjczL5YnIx8bF64PCw"
        "cDAAQIDBCtGBwgJCiVMLsOEhASEhQSFhQWFhgYGBoaGhocHBweHh4eICAgICIiIiIiJCQkJCQmJCYmJjQ4hUBEeUxx"
        "VFhlYF1oVVF0SXxBPTmMMS0pnCEdGRURDQkFAQIGCg4SFhoeAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB"
    ),
    "FLOATS_1": (
        "oT8/qgDc98OjF5T6rFVsuGxIqKu/wSsNtsVaguWS346ImtjFPmpp14Ec4Q0wpU8fL2xOY1PscZXlzTLKzLdQagAszF"
        "PFPZGpO6sEW2xJBUqTwcF/Fu6AcusiW/1RkWHhfsJ1NYC4fA8TA0CP3Oze83ZmS35AZ76MbXUwpADG/IxqVi4qJiIc"
        "FhAKBAEHDRUZHyMpLUVna98tqT6qamYwKigkHBgSDAYABQ0TFx0jJys5ZWm/a6iuykUCAHsAcAL+AQAHAf8BAM6cep"
        "h0zj1mhUw9jYz6ew6JY6Kju2U0gFLYhhZjwf4ixWKdYHzaSVna09v/nmYqGp5mhfmSBwnzx7x7AMh1c/YwToVS+E/R"
        "nl7n9HdfQ/SJjOCxXl3hHT6TT/b9gzTz12locFbfn6P3mUdHzQotofHmVdJcRcY4AAUPGSErMzlrifso2vyKajo0LC"
        "IaEAQDDxkhKzM5bYf/0jb8iGo8MiwkGBAEAw8ZIysxO2uJ/4KK+opqUQAY+AcGAPkGgAH6BQAAAAAAAAAAAAAAAAAA"
        "AIA/AAAAPwEBAA=="
    ),
    "EXPONENTIAL": (
        "oP8AMgRT2XpbrHFW/2cakv2RJVDQnwbEX5xB+3QQKTUTOLCtHvMirZ4Eg/+QJEe7yD5j6BLfCM6XJR42JB0AAAAAqg"
        "7s7MqohkIAEzd3m729/d0PvbmXdTMABGZqquzu7u4AAEQAAAAQAAAgAAEQAAAAfwCyHmPB8+uhCeIkNzkm5Aed5+29"
        "XSS4qxdoyPjypA7fIzo4JeUEmuTquFgnvaYSbf///QDL/fOpDdwiOTcq5usAPgMFCQkNDQ8PERMREQ8P3ZlTAEaq7v"
        "8QEv////yqZCE1EhISEhAQEAkJDQ0PEREREREPDwAAAABRAAABACAAAAAAAQAAARAAAAAAATAAAAAgAAEQAAAAAAAA"
        "AAAAAAAAAAAAAAAAAAAAAAAAAADzACAA8wAQAPM="
    ),
    "TRIANGLES": (
        "4f7//ySPT/4Uf27/Jn9P/yV/T/8l////JP///yP///4T////JP///yT///////////7//hOPbv8of03/JX9O/yV/T/"
        "8l/0op/yozOh8vFQ4KIQgfARs0Bh8FLTYIHwcz7xM2/xUXNB8FJf8HRiu/LAEfKRv/DjwF/wY9MEH/LzQB/wI5IB8Y"
        "Of8CHgr/CSkuHwYl/6AawhnrGf/1CuUC0CP/0wWwA4MT/+4M8RCiIf9E7gztLf/4EqcdgBf/9BCKFZsL/7ExqDyHMP"
        "+ZGRv/HCcqQSEfARUkHwIbJh8BISoGHwUnAHaHVmd4qYZliWiYAWkAAA=="
    ),
    "INDICES": (
        "0QCVAVNVZ3VfYRQLDV8/QQ8RKzETFT89BRMvMSUjK1UDBTsVKQNTVTEvN3ULDWctPQsSAREPW6QBDhAFWSEPngFALC"
        "ouaAoMViA4CloNV1lzcVNVAgUDUxuUAQoMA2ERD5oBHRsRb2kDBXNBMS9DiAEyMG48FBJSXAwKPjgIDMk0+GZTwkm3"
        "G9RB+TvGBKcfqgyHCOAgzUPkGv9B6jXfFM4M6U/8S90TmnntFcAYq5MBaTc5T1U7PWdlBTsvMQcJKykDBS81AwMnKR"
        "0bK0UFAzMdGQVDRRUTN1EDBUcxGQNXWREPQ2ELDVtBHQsAAAAA"
    ),
}
PACKED = {name: base64.b64decode(text) for name, text in PACKED.items()}


def whole():
    """(300, 2) int16: more than a block."""
    step = np.arange(300)
    return np.stack([1000 * np.sin(step / 50), step**2 % 97], axis=1).astype("<i2")


def floats():
    """(60, 3) float32."""
    step = np.arange(60)
    return np.stack([np.sin(step / 9), np.cos(step / 7), 0 * step + 0.5], axis=1).astype("<f4")


def triangles():
    """(68, 3): neighbours, then some far from each other, then neighbours again."""
    _, faces = ball()
    far = np.random.RandomState(3).randint(0, 5000, (8, 3))
    return np.concatenate([faces[:40], far, faces[40:60]])


@pytest.mark.parametrize("name", ["WHOLE_0", "WHOLE_1"])
def test_whole_numbers_come_out_as_they_went_in(name):
    assert decode(PACKED[name], 300, 4, "ATTRIBUTES", "NONE") == whole().tobytes()


def test_floats_packed_by_exclusive_or_come_out_as_they_went_in():
    assert decode(PACKED["FLOATS_1"], 60, 12, "ATTRIBUTES", "NONE") == floats().tobytes()


def test_the_exponential_filter_keeps_fifteen_bits():
    data = decode(PACKED["EXPONENTIAL"], 60, 12, "ATTRIBUTES", "EXPONENTIAL")
    found = np.frombuffer(data, "<f4").reshape(60, 3)
    np.testing.assert_allclose(found, floats(), atol=2.0**-14)


@pytest.mark.parametrize("stride", [2, 4])
def test_triangles_come_out_with_another_corner_first_at_most(stride):
    data = decode(PACKED["TRIANGLES"], 204, stride, "TRIANGLES", "NONE")
    found = np.frombuffer(data, f"<u{stride}").reshape(-1, 3).astype(int)

    def turned(faces):
        first = faces.argmin(axis=1)[:, None]
        return np.take_along_axis(faces, (first + np.arange(3)) % 3, axis=1)

    np.testing.assert_array_equal(turned(found), turned(triangles()))


@pytest.mark.parametrize("stride", [2, 4])
def test_sequences_of_indices_come_out_as_they_went_in(stride):
    data = decode(PACKED["INDICES"], 204, stride, "INDICES", "NONE")
    np.testing.assert_array_equal(np.frombuffer(data, f"<u{stride}"), triangles().ravel())


KINDS = {
    "WHOLE_0": (300, 4, "ATTRIBUTES"),
    "WHOLE_1": (300, 4, "ATTRIBUTES"),
    "FLOATS_1": (60, 12, "ATTRIBUTES"),
    "TRIANGLES": (204, 4, "TRIANGLES"),
    "INDICES": (204, 4, "INDICES"),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_is_cut_off_is_damaged(name):
    for length in range(len(PACKED[name])):
        with pytest.raises(ValueError, match="packed"):
            decode(PACKED[name][:length], *KINDS[name], "NONE")


@settings(max_examples=300, deadline=None)
@given(data=st.data(), name=st.sampled_from(sorted(KINDS)))
def test_whatever_the_bytes_are_they_are_unpacked_or_refused(data, name):
    content = bytearray(PACKED[name])
    for _ in range(data.draw(st.integers(1, 5))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    count, stride, mode = KINDS[name]
    count += data.draw(st.integers(-3, 3))
    with contextlib.suppress(ValueError):
        assert len(decode(bytes(content), count, stride, mode, "NONE")) == count * stride


def packed_file(**changes):
    """A mesh whose positions are packed, with the buffer for readers that cannot unpack them."""
    vertices = np.zeros((60, 3), np.float32)
    file = GltfFile()
    file.mesh(vertices, np.arange(60).reshape(-1, 3), name="face")
    packed = file.json["bufferViews"][file.view(PACKED["FLOATS_1"])]
    entry = packed | {"byteStride": 12, "count": 60, "mode": "ATTRIBUTES"} | changes
    file.json["bufferViews"][0] = {
        "buffer": 1,
        "byteLength": 720,
        "byteStride": 12,
        "extensions": {"EXT_meshopt_compression": entry},
    }
    fallback = {"byteLength": 720, "extensions": {"EXT_meshopt_compression": {"fallback": True}}}
    file.json["buffers"] = [fallback]
    file.json["extensionsRequired"] = ["EXT_meshopt_compression"]
    return file


def test_a_packed_mesh_is_read(tmp_path):
    found = read_document(packed_file().written(tmp_path / "a.glb"))
    np.testing.assert_array_equal(read_geometry(found, mesh_nodes(found)[0]).vertices, floats())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"count": 61}, "another length"),
        ({"mode": "MAGIC"}, "'MAGIC'"),
        ({"filter": "OCTAHEDRAL"}, "'OCTAHEDRAL'"),
        ({"byteLength": 20}, "packed attributes are cut off"),
        ({"byteOffset": 10**6}, "beyond its buffer"),
    ],
)
def test_a_mesh_that_is_packed_wrongly_is_named(tmp_path, changes, message):
    found = read_document(packed_file(**changes).written(tmp_path / "a.glb"))
    with pytest.raises(BadInputError, match=message):
        read_geometry(found, mesh_nodes(found)[0])
