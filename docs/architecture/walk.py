# SPDX-License-Identifier: GPL-3.0-or-later
"""Draws ``docs/images/walk.svg``: one recording from the sound strip to the F-curves.

The functions of :data:`WALK` are parsed; a box is a call of the project's own code in one of them,
in the order of the code, with the first line of its docstring. Where both sides of an ``if`` call
something they stand side by side; what follows a ``return`` is such a side. Run it after the code
has changed::

    python docs/architecture/walk.py

``--check`` writes nothing and exits with 1 where the picture is no longer that of the code, which
``tests/engine/motion/test_walk.py`` asks for as well.
"""

from __future__ import annotations

import ast
import sys
import textwrap
from dataclasses import dataclass
from html import escape
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURE = ROOT / "docs" / "images" / "walk.svg"
WALK = (
    ("Blender", "blender_addon/speech/ops.py", "LinesTask._begin_line"),
    ("engine", "engine/serving/speech.py", "_load"),
    ("engine", "engine/motion/predict.py", "predict"),
    ("engine", "engine/serving/speech.py", "_shape_keys"),
    ("Blender", "blender_addon/speech/ops.py", "LinesTask.bake_reply"),
)
"""Process, file and function; a sound strip goes in at the first, F-curves come out of the last."""
SHOWN = (
    "engine/audio/",
    "engine/recognition/",
    "engine/heads/",
    "engine/motion/",
    "blender_addon/speech/",
)
"""Where the functions lie that get a box; errors, progress and connections get none."""

_WIDTH, _LEFT, _HEAD, _GAP, _LINE = 900, 20, 34, 14, 17
_COLORS = {"Blender": "#fff3e6", "engine": "#f2f5fa"}


@dataclass(frozen=True)
class Step:
    """A call: its name, what it does, and the file of what is called."""

    name: str
    about: str
    file: str


@dataclass(frozen=True)
class Branch:
    """Two ways: what is asked, and the steps where it holds and where it does not."""

    test: str
    yes: tuple[Step | Branch, ...]
    no: tuple[Step | Branch, ...]


def _parsed(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def _definition(file: str, name: str) -> ast.FunctionDef | ast.ClassDef | None:
    """A function, class or ``Class.method`` of a file."""
    body: list[ast.stmt] = _parsed(file).body
    found = None
    for part in name.split("."):
        named = [
            node
            for node in body
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == part
        ]
        if not named:
            return None
        found = named[0]
        body = found.body
    return found


def _imported(file: str) -> dict[str, str]:
    """File by name of what a file imports from the project."""
    files = {}
    for node in ast.walk(_parsed(file)):
        if isinstance(node, ast.ImportFrom):
            folder = Path(file).parents[node.level - 1] if node.level else Path()
            path = folder.joinpath(*(node.module or "").split(".")).with_suffix(".py").as_posix()
            if (ROOT / path).is_file():
                files |= {alias.asname or alias.name: path for alias in node.names}
    return files


def _returns(body: list[ast.stmt]) -> bool:
    last = body[-1]
    return isinstance(last, ast.Return) or (isinstance(last, ast.With) and _returns(last.body))


class _Walk:
    """The steps of one function."""

    def __init__(self, file: str) -> None:
        self._file, self._files = file, _imported(file)

    def steps(self, body: list[ast.stmt]) -> tuple[Step | Branch, ...]:
        found: list[Step | Branch] = []
        for number, node in enumerate(body):
            if isinstance(node, ast.If):
                ends = _returns(node.body) and not node.orelse
                otherwise = body[number + 1 :] if ends else node.orelse
                yes, no = self.steps(node.body), self.steps(otherwise)
                branches = (Branch(ast.unparse(node.test), yes, no),) if yes and no else yes or no
                found += [*self._calls(node.test), *branches]
                if ends:
                    break
            elif isinstance(node, ast.With):
                found += self.steps(node.body)
            else:
                found += self._calls(node)
        # The same step in several ways of an early return is one.
        return tuple(dict.fromkeys(found))

    def _calls(self, node: ast.AST) -> list[Step]:
        """Calls in the order in which they are made: arguments first."""
        found = [step for child in ast.iter_child_nodes(node) for step in self._calls(child)]
        if isinstance(node, ast.Call):
            step = self._step(node.func)
            found += [step] if step else []
        return found

    def _step(self, called: ast.expr) -> Step | None:
        if isinstance(called, ast.Name):
            return self._of(self._files.get(called.id, self._file), called.id)
        if isinstance(called, ast.Attribute):
            # A method of a class that the file imports, by its name.
            for name, file in self._files.items():
                if isinstance(_definition(file, name), ast.ClassDef):
                    step = self._of(file, f"{name}.{called.attr}")
                    if step:
                        return step
        return None

    def _of(self, file: str, name: str) -> Step | None:
        definition = _definition(file, name)
        if not file.startswith(SHOWN) or not isinstance(definition, ast.FunctionDef):
            return None
        about = (ast.get_docstring(definition) or "").partition("\n")[0].replace("``", "")
        return Step(name, about, file) if about else None


def _box(step: Step, x: float, y: float, width: float) -> tuple[list[str], float]:
    lines = textwrap.wrap(step.about, int((width - 24) / 6.3))
    height = 2 * _LINE + _LINE * len(lines) + 8
    out = [f'<rect class="box" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/>']
    rows = [("name", step.name), *(("about", line) for line in lines), ("file", step.file)]
    for number, (kind, text) in enumerate(rows):
        at = y + 18 + _LINE * number
        out.append(f'<text class="{kind}" x="{x + 12:g}" y="{at:g}">{escape(text)}</text>')
    return out, y + height


def _column(
    steps: tuple[Step | Branch, ...], x: float, y: float, width: float
) -> tuple[list[str], float]:
    out: list[str] = []
    for number, step in enumerate(steps):
        if number:
            middle = x + width / 2
            out.append(f'<path class="way" d="M{middle:g} {y:g} v{_GAP:g}"/>')
            y += _GAP
        if isinstance(step, Step):
            drawn, y = _box(step, x, y, width)
        else:
            drawn, y = _fork(step, x, y, width)
        out += drawn
    return out, y


def _fork(branch: Branch, x: float, y: float, width: float) -> tuple[list[str], float]:
    sides, rest = [(f"if {branch.test}", branch.yes)], branch.no
    while len(rest) == 1 and isinstance(rest[0], Branch):
        sides.append((f"elif {rest[0].test}", rest[0].yes))
        rest = rest[0].no
    sides.append(("else", rest))
    part = (width - _GAP * (len(sides) - 1)) / len(sides)
    out, ends = [], []
    for number, (label, steps) in enumerate(sides):
        left = x + number * (part + _GAP)
        shown = textwrap.shorten(label, int(part / 7.6), placeholder=" …")
        out.append(f'<text class="test" x="{left + 12:g}" y="{y + 14:g}">{escape(shown)}</text>')
        drawn, end = _column(steps, left, y + 22, part)
        out += drawn
        ends.append(end)
    return out, max(ends)


def drawing() -> str:
    """The picture as SVG."""
    out: list[str] = []
    y = 20.0
    for number, (process, file, name) in enumerate(WALK):
        definition = _definition(file, name)
        if not isinstance(definition, ast.FunctionDef):
            raise SystemExit(f"{file} has no function {name}: WALK has to follow.")
        steps = _Walk(file).steps(definition.body)
        if number:
            out.append(f'<path class="way" d="M{_WIDTH / 2:g} {y:g} v{2 * _GAP:g}"/>')
            y += 2 * _GAP
        drawn, end = _column(steps, 2 * _LEFT, y + _HEAD, _WIDTH - 4 * _LEFT)
        height = end + _GAP - y
        out.append(
            f'<rect class="lane" x="{_LEFT}" y="{y:g}" width="{_WIDTH - 2 * _LEFT}"'
            f' height="{height:g}" fill="{_COLORS[process]}"/>'
        )
        title = f"{process}: {name} in {file}"
        out.append(f'<text class="lane-name" x="{2 * _LEFT}" y="{y + 22:g}">{title}</text>')
        out += drawn
        y += height
    size = f'viewBox="0 0 {_WIDTH} {y + 20:g}" font-family="Helvetica, Arial, sans-serif"'
    return "\n".join([f'<svg xmlns="http://www.w3.org/2000/svg" {size}>', _STYLE, *out, "</svg>\n"])


_STYLE = """\
<title>One recording from the sound strip to the F-curves; made by docs/architecture/walk.py</title>
<defs>
<marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7"
 orient="auto">
<path d="M0 0 L10 5 L0 10 z" fill="#444"/></marker>
<style>
.lane { stroke: #9aa3ad; rx: 10 } .box { fill: #fff; stroke: #5b6570; rx: 6 }
.way { stroke: #444; stroke-width: 1.5; fill: none; marker-end: url(#tip) }
.lane-name { font-size: 14px; font-weight: bold }
.name { font-size: 14px; font-family: monospace; font-weight: bold }
.about { font-size: 13px } .file { font-size: 11.5px; fill: #6a7580 }
.test { font-size: 12.5px; font-family: monospace; fill: #a4530a }
</style>
</defs>
<rect width="100%" height="100%" fill="#fff"/>"""


def main() -> int:
    picture = drawing()
    if "--check" in sys.argv[1:]:
        current = PICTURE.is_file() and PICTURE.read_text(encoding="utf-8") == picture
        if not current:
            print(f"{PICTURE} is not of this code: run {Path(__file__).name}.", file=sys.stderr)
        return 0 if current else 1
    PICTURE.write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
