# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the add-on runs on Blender's main thread and ``main_thread.py`` does not run, and why."""

OPERATORS = {
    "gaussianspeech.cancel": "sets a flag, and is there only while a request is under way",
    "gaussianspeech.cancel_set_up": "ends a process, and is there only while the engine is set up",
    "gaussianspeech.remove_engine": "would delete an environment; it renames the folder, and a "
    "thread deletes it",
    "gaussianspeech.viewport_render": "draws one frame at a tick, as long as a viewport takes for "
    "it, and lets Blender go on between two",
}
"""Operators."""

CALLBACKS = {
    "gaussianspeech.*.cancel": "Blender calls it as it quits: what a task does when it is stopped",
    "gaussianspeech.*.check": "of Blender's dialogs, which call it as somebody types",
    "*.poll": "of operators and panels that are shown only in a state that the walk is never in",
    "GAUSSIANSPEECH_MT_*": "a menu is drawn when it is opened, by a mouse",
    "GAUSSIANSPEECH_PT_*": "a section that is closed, or of another editor",
    "* as poll": "of a search field, when somebody opens it",
    "* as search": "of a search field, when somebody types",
    "*.menus.* in *": "an entry of a menu of Blender, when a mouse opens it",
    "*._draw_add_menu in *": "the same",
    "speech.properties._set_muted as set": "the switch of a strip, one property of Blender",
    "preferences.*": "a path that is made absolute, as somebody types it",
}
"""Handlers, timers, draw handlers, message-bus and property callbacks; patterns."""
