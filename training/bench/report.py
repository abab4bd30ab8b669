# SPDX-License-Identifier: GPL-3.0-or-later
"""A benchmark's results on disk: JSON, a table in Markdown, plots; and two runs side by side."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.core.errors import BadInputError
from engine.core.files import atomic_write, write_text
from engine.core.json_values import JsonObject, read_json
from training.bench.parts import Result
from training.run.machine import machine_type

FORMAT = "gaussianspeech-bench-1"
FELL = 0.2
"""Part of a ratio by which it falls before it is listed: what two runs on a shared machine differ
by."""
_REMEDY = "Give the bench.json that 'gaussianspeech bench' wrote."


def write(folder: Path, machine: dict[str, Any], result: Result, *, quick: bool) -> Path:
    """Write ``bench.json``, ``bench.md`` and a picture for each curve; the JSON's path."""
    content = {"format": FORMAT, "quick": quick, "machine": machine, **result.to_json()}
    path = folder / "bench.json"
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    for curve in result.curves:
        _plot(folder / f"{curve.name}.png", vars(curve))
    write_text(folder / "bench.md", markdown(content))
    return path


def read(path: Path) -> dict[str, Any]:
    """A run that was written.

    Raises:
        BadInputError: it is none.
    """
    about = read_json(path, _REMEDY)
    if about.text("format") != FORMAT:
        raise about.wrong("it is no run of the benchmark")
    for figure in about.groups("figures"):
        _check(figure)
    about.group("machine")
    return {**about.values, "quick": about.flag("quick", default=False)}


def _check(figure: JsonObject) -> None:
    for name in ("name", "what", "unit", "reference"):
        figure.text(name)
    for name in ("value", "reference_value", "ratio"):
        figure.number(name, low=0.0)


def machine_line(machine: dict[str, Any]) -> str:
    """The machine in one sentence."""
    libraries = ", ".join(f"{name} {number}" for name, number in machine["libraries"].items())
    gpu = machine.get("gpu") or "no GPU"
    load = machine.get("load_before")
    said = "" if load is None else f" Load before the start: {load:.1f}."
    return (
        f"{machine['processor']}, vectors of {machine['vector_bits']} bits, "
        f"{machine['cores_used']} of {machine['cores']} cores, {machine['memory_gb']} GB, {gpu}; "
        f"{machine['system']}, Python {machine['python']}, GaussianSpeech "
        f"{machine['gaussianspeech']}, {libraries}.{said}"
    )


def table(figures: list[dict[str, Any]]) -> str:
    """Figures beside their references, in Markdown."""
    rows = ["| what | least | reference | its least | times as fast |", "|---|--:|---|--:|--:|"]
    rows += [
        f"| {one['what']} | {number(one['value'])} {one['unit']} | {one['reference']} | "
        f"{number(one['reference_value'])} {one['unit']} | {number(one['ratio'])} |"
        for one in figures
    ]
    return "\n".join(rows)


def number(value: float) -> str:
    """Three digits that count, without an exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def markdown(content: dict[str, Any]) -> str:
    """The page of a run."""
    lines = ["# Benchmark", "", machine_line(content["machine"])]
    if content["quick"]:
        lines += ["", "A quick run: few repetitions, small sizes."]
    lines += ["", table(content["figures"])]
    lines += ["", *(f"Left out: {name}: {why}." for name, why in content["left_out"].items())]
    for curve in content["curves"]:
        lines += ["", f"![{curve['what']}]({curve['name']}.png)"]
    return "\n".join(lines) + "\n"


def _plot(path: Path, curve: dict[str, Any]) -> None:
    from matplotlib.figure import Figure as Drawing

    drawing = Drawing(figsize=(5, 3.2), layout="constrained")
    axes = drawing.add_subplot()
    axes.plot(curve["x"], curve["y"], marker="o")
    axes.set(title=curve["what"], xlabel=curve["x_label"], ylabel=curve["y_label"], ylim=(0, None))
    axes.set_xlim(0, None)
    axes.grid(alpha=0.3)
    with atomic_write(path) as temporary:
        drawing.savefig(temporary, dpi=110)


def check_comparable(before: dict[str, Any], machine: dict[str, Any], *, quick: bool) -> None:
    """See that a run can be compared with one that is about to start.

    Args:
        before: a run of :func:`read`.
        machine: of the new one.
        quick: whether that is a quick one.

    Raises:
        BadInputError: they are of different types of machine, or one is quick and one is not.
    """
    if machine_type(before["machine"]) != machine_type(machine):
        raise BadInputError(
            "The runs are of different machines: "
            f"{machine_type(before['machine'])} and {machine_type(machine)}.",
            "Compare runs of the same processor, cores and GPU.",
        )
    if before["quick"] != quick:
        raise BadInputError("One of the runs is quick.", "Compare runs of the same kind.")


def fallen(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Figures whose ratio to their reference fell by more than a fifth, a sentence each.

    Args:
        before: a run of :func:`read`.
        now: one that is comparable (:func:`check_comparable`).
    """
    earlier = {one["name"]: one for one in before["figures"]}
    found = []
    for one in now["figures"]:
        known = earlier.get(one["name"])
        if known is None or known["reference"] != one["reference"]:
            continue
        if one["ratio"] < (1 - FELL) * known["ratio"]:
            found.append(
                f"{one['what']}: {number(one['ratio'])} × {one['reference']}, was "
                f"{number(known['ratio'])}"
            )
    return found
