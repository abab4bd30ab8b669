# SPDX-License-Identifier: GPL-3.0-or-later
"""What a panel draws, without a window."""

from __future__ import annotations

from types import SimpleNamespace


class Drawn:
    """A layout that keeps what is drawn into it."""

    def __init__(self):
        self.properties, self.pressed, self.enabled = set(), SimpleNamespace(), True
        self.placeholders, self.shown = {}, []
        self.alert = self.scale_y = self.use_property_split = self.active = None

    def prop(self, _data, name, **how):
        self.properties.add(name)
        self.placeholders[name] = how.get("placeholder")

    def operator(self, *_name, text="", **_how):
        self.shown.append(text)
        return self.pressed

    def label(self, text="", **_how):
        self.shown.append(text)

    def progress(self, **_how):
        pass

    def row(self, **_how):
        return self

    column = split = box = row
