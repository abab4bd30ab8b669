# SPDX-License-Identifier: GPL-3.0-or-later
"""TextGrid files in their two forms, and tiers of words and phones for them."""

from __future__ import annotations

WORDS = ("words", [("", 0, 0.2), ("map", 0.2, 0.6), ("", 0.6, 1)])
PHONES = (
    "phones",
    [("", 0, 0.2), ("M", 0.2, 0.3), ("AE1", 0.3, 0.5), ("P", 0.5, 0.6), ("sil", 0.6, 1)],
)


def short_form(*tiers, end=1):
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "0", str(end), "<exists>"]
    lines.append(str(len(tiers)))
    for name, intervals in tiers:
        lines += ['"IntervalTier"', quoted(name), "0", str(end), str(len(intervals))]
        for text, start, stop in intervals:
            lines += [str(start), str(stop), quoted(text)]
    return "\n".join(lines) + "\n"


def long_form(*tiers, end=1):
    lines = [
        'File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0 ",
        f"xmax = {end} ", "tiers? <exists> ", f"size = {len(tiers)} ", "item []: ",
    ]  # fmt: skip
    for number, (name, intervals) in enumerate(tiers, 1):
        lines += [
            f"    item [{number}]:", '        class = "IntervalTier" ',
            f"        name = {quoted(name)} ", "        xmin = 0 ", f"        xmax = {end} ",
            f"        intervals: size = {len(intervals)} ",
        ]  # fmt: skip
        for i, (text, start, stop) in enumerate(intervals, 1):
            lines += [
                f"        intervals [{i}]:", f"            xmin = {start} ",
                f"            xmax = {stop} ", f"            text = {quoted(text)} ",
            ]  # fmt: skip
    return "\n".join(lines) + "\n"


def quoted(text):
    return '"' + text.replace('"', '""') + '"'
