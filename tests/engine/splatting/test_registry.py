# SPDX-License-Identifier: GPL-3.0-or-later
import importlib.util
import shutil
import sys
import types
from pathlib import Path

import pytest
import torch
from scenes import camera_of, splats_of

from engine.core.errors import BadInputError, MissingDependencyError
from engine.serving.doctor import examine
from engine.splatting import registry
from engine.splatting.cpu.backend import CpuBackend
from engine.splatting.gsplat_backend import GsplatBackend

ON_PATH = None


def pretend(monkeypatch, *, cuda, gsplat, nvcc, lacking=()):
    """Stand a machine in: what torch, the import system and the path would say there."""
    find = importlib.util.find_spec
    found = types.SimpleNamespace(submodule_search_locations=[])
    there = {"gsplat": gsplat, "ninja": "ninja" not in lacking, "packaging": True}

    def find_spec(name, *rest):
        return (found if there[name] else None) if name in there else find(name, *rest)

    def which(name, path=None):
        if name == "nvcc":
            return name if path == nvcc else None
        return name if name == "g++" and "g++" not in lacking else None

    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    monkeypatch.setattr(shutil, "which", which)
    monkeypatch.setenv("CUDA_HOME", "/opt/cuda")


def test_auto_takes_the_cpu_where_there_is_no_cuda(monkeypatch):
    pretend(monkeypatch, cuda=False, gsplat=True, nvcc=ON_PATH)
    assert isinstance(registry.choose_backend(), CpuBackend)


@pytest.mark.parametrize("nvcc", [ON_PATH, str(Path("/opt/cuda/bin"))])
def test_auto_prefers_gsplat_where_it_can_run(monkeypatch, nvcc):
    pretend(monkeypatch, cuda=True, gsplat=True, nvcc=nvcc)
    assert isinstance(registry.choose_backend(), GsplatBackend)


@pytest.mark.parametrize(
    ("machine", "reason", "remedy"),
    [
        ({"cuda": False, "gsplat": True, "nvcc": ON_PATH}, "no CUDA device", "'cpu' backend"),
        ({"cuda": True, "gsplat": False, "nvcc": ON_PATH}, "not installed", "pip install"),
        ({"cuda": True, "gsplat": True, "nvcc": "nowhere"}, "nvcc", "CUDA toolkit"),
        (
            {"cuda": True, "gsplat": True, "nvcc": ON_PATH, "lacking": ["ninja"]},
            "takes ninja",
            "pip install",
        ),
        (
            {"cuda": True, "gsplat": True, "nvcc": ON_PATH, "lacking": ["g++"]},
            "no C++ compiler",
            "g++",
        ),
    ],
)
def test_asking_for_gsplat_where_it_cannot_run_says_why_and_what_to_do(
    monkeypatch, machine, reason, remedy
):
    pretend(monkeypatch, **machine)
    with pytest.raises(MissingDependencyError) as error:
        registry.choose_backend("gsplat")
    assert reason in error.value.message
    assert remedy in error.value.hint


def test_the_list_names_every_backend_with_its_reason(monkeypatch):
    pretend(monkeypatch, cuda=False, gsplat=False, nvcc="nowhere")
    gsplat, cpu = registry.available_backends()
    assert gsplat[:3] == ("gsplat", False, "PyTorch sees no CUDA device.")
    assert "CUDA build of PyTorch" in gsplat.remedy
    assert cpu == ("cpu", True, "", "")


def splatting_checks():
    return {check.name: check for check in examine() if check.topic == "splatting"}


def test_doctor_says_which_backend_is_used_and_why(monkeypatch):
    pretend(monkeypatch, cuda=False, gsplat=True, nvcc=ON_PATH)
    checks = splatting_checks()
    assert checks["used by 'auto'"].text == "cpu, because gsplat is not available"
    assert "sees no CUDA device" in checks["gsplat"].text
    assert "CUDA build of PyTorch" in checks["gsplat"].remedy


def test_doctor_says_that_a_gpu_is_there_and_that_its_kernels_are_still_to_compile(monkeypatch):
    pretend(monkeypatch, cuda=True, gsplat=True, nvcc=ON_PATH)
    checks = splatting_checks()
    assert checks["used by 'auto'"].text == "gsplat, the fastest there is"
    assert "compiles its kernels before the first picture" in checks["gsplat"].text
    assert checks["gsplat"].level == "warning"


def test_an_unknown_name_is_refused_with_the_choices():
    with pytest.raises(BadInputError, match="auto, gsplat, cpu"):
        registry.choose_backend("opengl")


def test_a_failing_kernel_build_becomes_one_clear_message(monkeypatch):
    pretend(monkeypatch, cuda=True, gsplat=True, nvcc=ON_PATH)
    backend = GsplatBackend(device="cpu")

    def rasterization(**_):
        raise RuntimeError("Ninja is required to load C++ extensions")

    monkeypatch.setitem(sys.modules, "gsplat", types.SimpleNamespace(rasterization=rasterization))
    camera = camera_of(8, 8, shift=0.0, orthographic=False)
    with pytest.raises(MissingDependencyError, match="Ninja is required"):
        backend.render(splats_of("plain", 3, 0), camera)


def test_warming_gsplat_up_announces_the_wait_and_renders_once(monkeypatch):
    pretend(monkeypatch, cuda=True, gsplat=True, nvcc=ON_PATH)
    reported = []

    def rasterization(**arguments):
        reported.append(arguments["width"])
        return torch.zeros(1, 16, 16, 4), torch.zeros(1, 16, 16, 1), {}

    monkeypatch.setitem(sys.modules, "gsplat", types.SimpleNamespace(rasterization=rasterization))
    GsplatBackend(device="cpu").warm_up(lambda _fraction, message: reported.append(message))
    assert "compiled once" in reported[0]
    assert reported[1:] == [16, "gsplat is ready"]
