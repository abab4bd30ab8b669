# SPDX-License-Identifier: GPL-3.0-or-later
"""What pip is asked for: the engine's libraries, and the torch that fits the GPU. No bpy."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from ...engine.core import platforms
from ...engine.core.errors import BadInputError

ROOT = Path(__file__).resolve().parents[2]
"""The extension's folder, with ``pyproject.toml`` and ``constraints.txt``."""

TORCH_INDEX = "https://download.pytorch.org/whl"
"""Where the CPU and CUDA builds of torch lie; see https://pytorch.org/get-started/locally."""

CPU = "cpu"
"""The build of torch that runs on any processor."""

CUDA_BUILDS = (((13, 0), "cu130"), ((12, 6), "cu126"))
"""The oldest CUDA version of a driver that runs each build, the newest build first."""

_EXTRA = re.compile(r"""extra\s*==\s*['"]([\w-]+)['"]""")


@dataclass(frozen=True)
class Parts:
    """What is installed beside the engine itself.

    Attributes:
        english: Whisper's English model, 75 MB.
        training: what training and evaluation need.
        cuda: the rasteriser for NVIDIA GPUs.
    """

    english: bool = True
    training: bool = False
    cuda: bool = False

    @property
    def extras(self) -> list[str]:
        """The names in ``pyproject.toml``."""
        chosen = {"english": self.english, "training": self.training, "gpu": self.cuda}
        return [name for name, wanted in chosen.items() if wanted]


def requirements(parts: Parts) -> list[str]:
    """The requirements of the engine and of what was chosen, as pip reads them.

    From the extension's ``pyproject.toml``, or from the metadata where pip installed the project.
    """
    listed = ROOT / "pyproject.toml"
    if listed.is_file():
        project = tomllib.loads(listed.read_text("utf-8"))["project"]
        optional = project["optional-dependencies"]
        return [
            *project["dependencies"],
            *(line for name in parts.extras for line in optional[name]),
        ]
    lines = []
    for line in importlib.metadata.requires("gaussianspeech") or []:
        requirement, _, marker = line.partition(";")
        extra = _EXTRA.search(marker)
        if extra is None or extra.group(1) in parts.extras:
            lines.append(requirement.strip())
    return lines


def pip_command(python: str) -> str:
    """The command that installs the engine's libraries into a Python, for a terminal."""
    return platforms.join_command([python, "-m", "pip", "install", *requirements(Parts())])


def constraints() -> Path | None:
    """The file with the versions that the tests run with; ``None`` where there is none."""
    path = ROOT / "constraints.txt"
    return path if path.is_file() else None


def torch_index(build: str) -> str | None:
    """The package index of a build of torch (``cpu``, ``cu130``); ``None`` for PyPI's own."""
    # macOS has one build, with Metal, and it is on PyPI.
    return None if platforms.MACOS else f"{TORCH_INDEX}/{build}"


def fitting_build() -> str:
    """The build of torch for this machine: of CUDA where an NVIDIA driver is recent enough."""
    version = driver_cuda_version()
    if version is not None:
        for oldest, build in CUDA_BUILDS:
            if version >= oldest:
                return build
    return CPU


def chosen_build(choice: str) -> str:
    """The build of torch for ``AUTO``, ``CPU`` or ``CUDA``; may wait for the NVIDIA driver.

    Raises:
        BadInputError: ``CUDA`` is asked for, and no driver runs it.
    """
    build = CPU if choice == "CPU" else fitting_build()
    if choice == "CUDA" and build == CPU:
        raise BadInputError(
            "No NVIDIA GPU with a driver for CUDA 12.6 or newer was found.",
            "Install NVIDIA's driver, or choose Processor.",
        )
    return build


def driver_cuda_version() -> tuple[int, int] | None:
    """The newest CUDA that the NVIDIA driver runs; ``None`` without a GPU or driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        options = {"capture_output": True, "text": True, "timeout": 20, "check": True}
        text = platforms.run([program], **options).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r"CUDA Version:\s*(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None
