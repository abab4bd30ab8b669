# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual that comes with the add-on is whole without the internet."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from blender_addon.standalone import addon_module

pytest.importorskip("bpy", reason="Blender's Python module (bpy) is not installed")
manual = addon_module("setup.manual")

_EMPTY = {"meta", "img"}


class Page(HTMLParser):
    """What a page holds; each element that is opened must be closed."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids, self.links, self.text = set(), [], ""
        self._open = []
        self.feed(path.read_text("utf-8"))
        assert not self._open

    def handle_starttag(self, tag, attrs):
        known = dict(attrs)
        self.ids.add(known.get("id"))
        self.links += [known[name] for name in ("href", "src") if name in known]
        if tag not in _EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def root(installed, addon):
    """The folder of the installed add-on."""
    return addon("setup.requirements").ROOT


def test_every_link_of_what_is_shipped_leads_to_a_file_that_is_shipped(root):
    texts = list(root.rglob("*.md"))
    assert root / manual.FIRST in texts
    missing = [
        f"{path.relative_to(root)}: {target}"
        for path in texts
        for target in re.findall(r"\]\(([^()\s#]+)[^()\s]*\)", path.read_text("utf-8"))
        if not re.match("[a-z]+:", target) and not (path.parent / target).exists()
    ]
    assert not missing


def test_every_page_is_whole_and_every_link_leads_somewhere(root, tmp_path):
    first = manual.write_manual(root, tmp_path / "manual")
    pages = {path: Page(path) for path in first.parent.glob("*.html")}
    assert len(pages) > 20
    assert sum(link.endswith(".jpg") for link in pages[first].links) >= 10
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme not in ("", "file"):
                continue
            target = Path(unquote(parts.path)) if parts.path else path
            assert target.exists(), f"{path.name}: {link}"
            if parts.fragment:
                assert parts.fragment in pages[target].ids, f"{path.name}: {link}"


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("# A *b* `<c>`", '<h1 id="a-b-c">A <em>b</em> <code>&lt;c&gt;</code></h1>'),
        ("one\ntwo & **three**", "<p>one two &amp; <strong>three</strong></p>"),
        ("[`a_b`](x.md#y)", '<p><a href="x.md#y"><code>a_b</code></a></p>'),
        ("![a < b](p.jpg)", '<p><img src="p.jpg" alt="a &lt; b"></p>'),
        ("```sh\na *b* | c\n```", "<pre><code>a *b* | c</code></pre>"),
        (
            "| a | b |\n|---|---|\n| `x` | \\| |",
            "<table><tr><th>a</th><th>b</th></tr><tr><td><code>x</code></td><td>|</td></tr></table>",
        ),
        ("- a\n  b\n- c\n  - d", "<ul><li>a b</li><li>c\n<ul><li>d</li></ul></li></ul>"),
        ("1. a\n2. b\n\nc", "<ol><li>a</li><li>b</li></ol>\n<p>c</p>"),
        ("2 * 3 * 4, a_b_c", "<p>2 * 3 * 4, a_b_c</p>"),
    ],
)
def test_markdown_becomes_html(text, made):
    page = manual.to_page(text, lambda target: target)
    assert page.partition("<body>\n")[2] == f"{made}\n</body></html>\n"


def test_a_disk_that_cannot_be_written_is_named(addon, tmp_path, installed):
    blocked = tmp_path / "manual"
    blocked.write_text("a file")
    with pytest.raises(addon("setup.ops").BadInputError, match="cannot be written"):
        addon("setup.ops")._write_pages(blocked)
