# SPDX-License-Identifier: GPL-3.0-or-later
"""Starting a person's training from videos of them."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy_extras.io_utils import ImportHelper

from ...engine.core.errors import BadInputError
from .. import compat
from .client import JobsClient, JobSpec
from .properties import LICENCE, SAID, SPOKEN, VIDEO, VIDEO_PRESET
from .start_ops import StartJobOperator, device_options, rasteriser_options

VIDEO_FILES = "*.mp4;*.mov;*.m4v;*.mkv;*.webm;*.avi;*.mts;*.m2ts;*.mpg;*.3gp"


class GAUSSIANSPEECH_OT_person_from_video(StartJobOperator, bpy.types.Operator, ImportHelper):
    """Train a person from a video, or several takes, in a process of its own."""

    bl_idname = "gaussianspeech.person_from_video"
    bl_label = "Train from Video"
    bl_description = (
        "Make a person of a video in which they talk and slowly turn their head, or of several of "
        "one camera, in a process of its own: the face is tracked, then the avatar and the speech "
        "model are trained. The Training section shows how far it is; the engine needs MediaPipe"
    )
    # Not internal, as the others are: it asks for its file itself.
    bl_options = {"REGISTER"}

    filepath: bpy.props.StringProperty(**VIDEO, options={"SKIP_SAVE", *compat.blend_relative()})
    filter_glob: bpy.props.StringProperty(default=VIDEO_FILES, options={"HIDDEN"})
    # What the file browser gives where several are chosen.
    files: bpy.props.CollectionProperty(
        type=bpy.types.OperatorFileListElement, options={"HIDDEN", "SKIP_SAVE"}
    )
    directory: bpy.props.StringProperty(subtype="DIR_PATH", options={"HIDDEN", "SKIP_SAVE"})
    said: bpy.props.StringProperty(**SAID, options={"SKIP_SAVE", *compat.blend_relative()})
    language: bpy.props.StringProperty(**SPOKEN, options={"SKIP_SAVE"})
    licence: bpy.props.StringProperty(**LICENCE, options={"SKIP_SAVE"})
    preset: bpy.props.EnumProperty(**VIDEO_PRESET, options={"SKIP_SAVE"})
    steps: bpy.props.IntProperty(
        name="Steps",
        description="Steps of the avatar's training; 0 for as many as are usual",
        min=0,
        options={"SKIP_SAVE"},
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        """Ask for the video where none is given."""
        return self.execute(context) if self.filepath else ImportHelper.invoke(self, context, event)

    def draw(self, _context: bpy.types.Context) -> None:
        """Draw what can be chosen beside the file."""
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        for name in ("title", "said", "language", "licence", "preset"):
            layout.prop(self, name)

    def default_title(self) -> str:
        """As the first video."""
        return Path(bpy.path.abspath(self._films()[0].strip())).stem or "person"

    def spec(self, context: bpy.types.Context, client: JobsClient) -> JobSpec:
        """The videos, the name and how the avatar is trained."""
        options = [self._file(film, client, "video") for film in self._films()]
        options += ["--name", self.title.strip() or self.default_title()]
        options += ["--text", self._file(self.said, client, "text")] if self.said.strip() else []
        options += ["--language", self.language.strip()] if self.language.strip() else []
        options += ["--licence", self.licence.strip()] if self.licence.strip() else []
        options += ["--preset", self.preset, *device_options(context), *rasteriser_options(context)]
        options += ["--avatar-steps", str(self.steps)] if self.steps else []
        return JobSpec("train person", tuple(options))

    def _films(self) -> list[str]:
        """Paths of the videos, as they were chosen."""
        names = [item.name for item in self.files if item.name]
        folder = bpy.path.abspath(self.directory)
        return [str(Path(folder, name)) for name in names] or [self.filepath]

    def _file(self, path: str, client: JobsClient, what: str) -> str:
        """A file, as the engine's machine names it."""
        if client.remote and path.strip():
            return path.strip()
        file = Path(bpy.path.abspath(path.strip())) if path.strip() else None
        if file is None or file.is_dir():
            raise BadInputError(f"No {what} is chosen.", f"Choose the file of the {what}.")
        if not file.is_file():
            raise BadInputError(f"There is no {what} {file}.", "Choose another file.")
        # Not where a link leads: takes are called as their files are.
        return str(file.absolute())


CLASSES: tuple[type, ...] = (GAUSSIANSPEECH_OT_person_from_video,)
