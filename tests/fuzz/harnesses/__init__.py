# SPDX-License-Identifier: GPL-3.0-or-later
"""Every parser of files and messages from elsewhere, by name."""

from __future__ import annotations

from tests.fuzz.harness import Harness
from tests.fuzz.harnesses import avatars, faces, meshes, motion, records, sounds, texts

HARNESSES: dict[str, Harness] = {
    harness.name: harness
    for module in (records, texts, motion, faces, avatars, meshes, sounds)
    for harness in module.HARNESSES
}
