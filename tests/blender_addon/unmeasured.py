# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the add-on runs on Blender's main thread and ``main_thread.py`` does not run, and why."""

_TYPED = "of a field, when somebody clicks into it: only a mouse does"
_ENDED = "the same function as gaussianspeech.predict.cancel, which is measured"
_RENDER = "of a render: in a window Blender calls it in the render's thread"
_DRAWS = "draws one frame at a tick, as long as a viewport takes for it"

OPERATORS = {"gaussianspeech.viewport_render": f"{_DRAWS}, and lets Blender work between two"}
"""Operators."""

_OF_TASKS = (
    *("add_head", "add_person", "bind_avatar", "check_engine", "copy_avatar", "doctor"),
    *("follow_timeline", "import_motion", "lines_from_folder", "lines_from_strips", "load_motion"),
    *("load_poses", "recognize_again", "speak_strip", "update_line", "update_lines"),
    *("live_stop", "rebake", "report_problem", "write_export"),
)
CALLBACKS = {
    "characters.properties._is_main as poll": _TYPED,
    "characters.properties._poses as search": _TYPED,
    "characters.properties._properties as search": _TYPED,
    "speech.properties._sound_strips as search": _TYPED,
    "gaussianspeech.add_preset.check": "of its dialog, when somebody types",
    "gaussianspeech.add_head.draw": "of Adjust Last Operation, which a mouse opens",
    "gaussianspeech.viewport_render.cancel": "when Blender ends while it draws",
    "rendering.avatar_scene._on_render_frame on render_pre": _RENDER,
    "rendering.avatar_scene._on_render_end on render_cancel": _RENDER,
    "rendering.avatar_scene._on_render_end on render_complete": _RENDER,
    "rendering.avatar_scene._on_render_init on render_init": _RENDER,
    "rendering.pass_times._on_begin on render_pre": _RENDER,
    "rendering.pass_times._on_cancel on render_cancel": _RENDER,
    "rendering.pass_times._on_end on render_post": _RENDER,
} | {f"gaussianspeech.{name}.cancel": _ENDED for name in _OF_TASKS}
"""Handlers, timers, draw handlers, message-bus and property callbacks."""
