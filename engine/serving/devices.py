# SPDX-License-Identifier: GPL-3.0-or-later
"""What the engine can compute on."""

from __future__ import annotations

from typing import Any

import torch


def list_devices() -> list[str]:
    """``cpu``, and ``cuda:0`` … with their names where torch can use them."""
    devices = ["cpu"]
    if torch.cuda.is_available():
        devices += [
            f"cuda:{index} {torch.cuda.get_device_name(index)}"
            for index in range(torch.cuda.device_count())
        ]
    return devices


def list_backends() -> list[dict[str, Any]]:
    """The splatting backends: ``name``, ``available``, and the ``reason`` where they are not."""
    from engine.splatting.registry import available_backends

    return [
        {"name": name, "available": available, "reason": reason}
        for name, available, reason, _ in available_backends()
    ]
