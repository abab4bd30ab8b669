# SPDX-License-Identifier: GPL-3.0-or-later
"""The manual as pages for a web browser, made of the Markdown files that come along. No bpy.

Few computers have a program that shows Markdown with its pictures. Of CommonMark and its tables the
files use headings, paragraphs, lists, tables, code, emphasis, links and pictures.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

Link = Callable[[str], str]
"""From where a link leads, as written, to where it leads on the page."""

FIRST = "docs/user-guide.md"
_FILES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "docs/*.md")
_HEADING = re.compile(r"(#{1,6}) +(.*)")
_ITEM = re.compile(r"([-*]|\d+\.) +")
_FENCE = "```"
_INLINE = re.compile(
    r"(?P<ticks>`+)(?P<code>.+?)(?P=ticks)"
    r"|(?P<picture>!?)\[(?P<text>(?:`[^`]*`|[^\[\]])*)\]\((?P<target>[^()\s]*)\)"
    r"|\*\*(?P<strong>.+?)\*\*|\*(?P<emphasis>[^*\s][^*]*)\*|\\(?P<escaped>[^\w\s])",
    re.DOTALL,
)
_STYLE = """
body { max-width: 50em; margin: 2em auto; padding: 0 1em; font: 16px/1.5 sans-serif; }
img { max-width: 100%; }
table { border-collapse: collapse; }
td, th { border: 1px solid #aaa; padding: 0.2em 0.5em; text-align: left; vertical-align: top; }
pre, code { background: #8882; }
pre { padding: 0.5em; overflow-x: auto; }
"""


def write_manual(root: Path, folder: Path) -> Path:
    """Write the manual's pages; pictures stay where they are.

    Args:
        root: of the installed add-on.
        folder: where the pages go; it is made.

    Returns:
        The first page.

    Raises:
        OSError: a page cannot be read or written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    sources = [path for pattern in _FILES for path in sorted(root.glob(pattern))]
    pages = {path.resolve(): folder / f"{path.stem}.html" for path in sources}
    for path, page in pages.items():
        page.write_text(to_page(path.read_text("utf-8"), _links_of(path, pages)), "utf-8")
    return pages[(root / FIRST).resolve()]


def _links_of(path: Path, pages: dict[Path, Path]) -> Link:
    """Links of a file: other files of the manual are pages, what else lies beside it is a file."""

    def link(target: str) -> str:
        if re.match(r"[a-z]+:|#", target):
            return target
        name, mark, part = target.partition("#")
        found = (path.parent / name).resolve()
        return pages.get(found, found).as_uri() + mark + part

    return link


def to_page(text: str, link: Link) -> str:
    """A whole page of Markdown text."""
    lines = text.splitlines()
    title = next((found[2] for line in lines if (found := _HEADING.fullmatch(line))), "")
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>'
        f"{html.escape(title)}</title><style>{_STYLE}</style></head>\n<body>\n"
        + "\n".join(_blocks(lines, link))
        + "\n</body></html>\n"
    )


def _blocks(lines: Sequence[str], link: Link) -> Iterator[str]:
    at = 0
    while at < len(lines):
        line, begin = lines[at], at
        at += 1
        if line.startswith(_FENCE):
            at = _until(lines, at, lambda line: line.startswith(_FENCE)) + 1
            code = "\n".join(lines[begin + 1 : at - 1])
            yield f"<pre><code>{html.escape(code)}</code></pre>"
        elif heading := _HEADING.fullmatch(line):
            level = len(heading[1])
            yield f'<h{level} id="{anchor(heading[2])}">{_inline(heading[2], link)}</h{level}>'
        elif line.startswith("|"):
            at = _until(lines, at, lambda line: not line.startswith("|"))
            yield _table(lines[begin:at], link)
        elif _ITEM.match(line):
            at = _until(lines, at, lambda line: bool(line) and not _goes_on(line))
            yield _list(lines[begin:at], link)
        elif line.strip():
            at = _until(lines, at, lambda line: not line.strip() or _begins_block(line))
            yield f"<p>{_inline(' '.join(lines[begin:at]), link)}</p>"


def _until(lines: Sequence[str], at: int, ends: Callable[[str], bool]) -> int:
    """The first line from ``at`` on that ends a block, or their number."""
    return next((i for i in range(at, len(lines)) if ends(lines[i])), len(lines))


def _goes_on(line: str) -> bool:
    """Whether a line belongs to the list before it."""
    return line.startswith("  ") or bool(_ITEM.match(line))


def _begins_block(line: str) -> bool:
    return line.startswith((_FENCE, "|")) or bool(_HEADING.fullmatch(line) or _ITEM.match(line))


def _list(lines: Sequence[str], link: Link) -> str:
    starts = [i for i, line in enumerate(lines) if _ITEM.match(line)]
    items = []
    for begin, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        width = len(_ITEM.match(lines[begin])[0])
        inside = [lines[begin][width:]]
        inside += [
            line.removeprefix(" " * min(width, _indent(line))) for line in lines[begin + 1 : end]
        ]
        content = "\n".join(_blocks(inside, link))
        items.append(f"<li>{content.removeprefix('<p>').replace('</p>', '', 1)}</li>")
    kind = "ol" if lines[0][0].isdigit() else "ul"
    return f"<{kind}>{''.join(items)}</{kind}>"


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _table(lines: Sequence[str], link: Link) -> str:
    rows = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in lines]
    head, body = rows[0], rows[2:]
    return (
        f"<table>{_row(head, 'th', link)}{''.join(_row(row, 'td', link) for row in body)}</table>"
    )


def _row(cells: Sequence[str], kind: str, link: Link) -> str:
    return f"<tr>{''.join(f'<{kind}>{_inline(c.strip(), link)}</{kind}>' for c in cells)}</tr>"


def _inline(text: str, link: Link) -> str:
    """Text with code, emphasis, links and pictures."""
    parts, at = [], 0
    for found in _INLINE.finditer(text):
        parts += [html.escape(text[at : found.start()]), _marked(found, link)]
        at = found.end()
    return "".join([*parts, html.escape(text[at:])])


def _marked(found: re.Match[str], link: Link) -> str:
    if found["code"] is not None:
        return f"<code>{html.escape(found['code'].strip())}</code>"
    if found["target"] is not None:
        target = html.escape(link(found["target"]))
        if found["picture"]:
            return f'<img src="{target}" alt="{html.escape(found["text"])}">'
        return f'<a href="{target}">{_inline(found["text"], link)}</a>'
    for kind, tag in (("strong", "strong"), ("emphasis", "em")):
        if found[kind] is not None:
            return f"<{tag}>{_inline(found[kind], link)}</{tag}>"
    return html.escape(found["escaped"])


def anchor(heading: str) -> str:
    """The name by which links find a heading, as GitHub makes it."""
    kept = re.sub(r"[^\w\s-]", "", heading.casefold())
    return re.sub(r"\s", "-", kept.strip())
