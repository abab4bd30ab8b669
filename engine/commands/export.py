# SPDX-License-Identifier: GPL-3.0-or-later
"""``gaussianspeech export``: avatars and performances in the formats of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro
from tyro.extras import SubcommandApp

from engine.commands.console import existing_folder, print_result, print_warnings, progress_bar
from engine.core.errors import BadInputError
from engine.heads.head import Head

app = SubcommandApp()
app.__doc__ = "Write performances and avatars for other tools."


@app.command
def avatar(
    avatar: Annotated[str, tyro.conf.Positional],
    *,
    out: Path,
    head: str | None = None,
    performance: Path | None = None,
    json: bool = False,
) -> int:
    """Write an avatar for GaussianAvatars' viewer (.ply), or as a file of this program.

    Beside a .ply of a FLAME head lies its flame_param.npz.

    Args:
        avatar: "default", the path of an avatar (.safetensors or .ply), or a person's folder.
        out: OUT.ply or OUT.safetensors.
        head: the file that the avatar's head is made from, such as the FLAME model, where it is not
            found by itself; the head of an avatar that does not carry one.
        performance: a .performance.npz of that FLAME head, or a flame_param.npz whose poses are
            taken, for the flame_param.npz beside OUT.ply; by default the poses of an avatar of
            GaussianAvatars, else a still face.
        json: print the result as JSON.
    """
    from engine.avatar import save_avatar
    from engine.avatar.gaussian_avatars import save_point_cloud
    from engine.avatar.with_head import load_with_head

    kind = out.suffix.lower()
    if kind not in {".ply", ".safetensors"}:
        raise BadInputError(f"The kind of {out} is unknown.", "End it in .ply or .safetensors.")
    body, face = load_with_head(avatar, head)
    print_warnings(body.warnings)
    result: dict[str, object] = {"file": out, "gaussians": body.count}
    if kind == ".safetensors":
        save_avatar(body, out)
    else:
        result |= _write_motion(
            out.with_name("flame_param.npz"), face, performance, Path(avatar), head or avatar
        )
        fit = save_point_cloud(body, out)
        result |= {"color_error_rms": fit.rms, "color_error_max": fit.worst}
    print_result(result, as_json=json)
    return 0


@app.command
def curves(
    performance: Annotated[Path, tyro.conf.Positional],
    *,
    out: Path,
    json: bool = False,
) -> int:
    """Write a performance's ARKit weights for Unreal, Audio2Face's importers and others.

    Args:
        performance: a .performance.npz of the default head, or of one with ARKit expressions.
        out: OUT.csv as Live Link Face records it, or OUT.json.
        json: print the result as JSON.
    """
    from engine.motion.interchange.curve_files import write_curves
    from engine.motion.interchange.face_curves import curves_of
    from engine.motion.performance import Performance

    found = curves_of(Performance.load(performance))
    write_curves(found, out)
    print_result({"file": out, "frames": found.frames, "fps": found.fps}, as_json=json)
    return 0


@app.command
def flame(
    performance: Annotated[Path, tyro.conf.Positional],
    *,
    out: Path,
    head: str,
    json: bool = False,
) -> int:
    """Write the parameters of a FLAME head's performance, as GaussianAvatars reads them.

    Args:
        performance: a .performance.npz of this FLAME head.
        out: flame_param.npz.
        head: its FLAME file.
        json: print the result as JSON.
    """
    from engine.avatar.flame_param import flame_param_of
    from engine.heads import load_head
    from engine.heads.flame_param import save_flame_param
    from engine.motion.performance import Performance

    motion, error = flame_param_of(Performance.load(performance), load_head(head), head)
    save_flame_param(motion, out)
    result = {"flame_param": out, "frames": motion.frames, "vertex_error_m": error}
    print_result(result, as_json=json)
    return 0


@app.command
def splats(
    performance: Annotated[Path, tyro.conf.Positional],
    *,
    out: Path,
    avatar: str = "default",
    head: str | None = None,
    retarget: bool = False,
    axes: Literal["y-up", "z-up", "y-down"] = "y-up",
    sh_degree: Literal[0, 1, 2, 3] = 3,
    overwrite: bool = False,
    json: bool = False,
) -> int:
    """Write a plain 3D Gaussian Splatting .ply of every frame, for Blender, SuperSplat and others.

    Args:
        performance: a .performance.npz of 'gaussianspeech animate', or GaussianAvatars'
            flame_param.npz.
        out: the folder for frame_00001.ply and so on.
        avatar: "default", the path of an avatar file, or a person's folder.
        head: the file that the avatar's head is made from, such as the FLAME model, where it is not
            found by itself; the head of an avatar that does not carry one.
        retarget: carry a performance of the default head over to the avatar's head.
        axes: y-up as heads are; z-up as Blender; y-down as captured scenes, which many viewers
            turn up.
        sh_degree: of the harmonics fitted to an avatar's colour network; 0 is quickest. The files
            have the fields of degree 3 all the same, as every viewer reads them.
        overwrite: replace frames that are there.
        json: print the result as JSON.
    """
    from engine.avatar.flame_motion import load_motion
    from engine.avatar.with_head import load_with_head
    from engine.motion.retargeting import onto_head
    from engine.rendering.splat_frames import write_splat_frames

    body, face = load_with_head(avatar, head)
    print_warnings(body.warnings)
    played = load_motion(performance, face, head or avatar, body.identity)
    with progress_bar(str(out)) as progress:
        played = onto_head(played, face, carry=retarget, progress=progress)
        fit = write_splat_frames(
            existing_folder(out),
            played,
            face,
            body,
            progress,
            axes=axes,
            degree=sh_degree,
            overwrite=overwrite,
        )
    print_warnings(played.warnings)
    facts = {"folder": out, "frames": played.frames, "gaussians": body.count}
    print_result(facts | {"color_error_rms": fit.rms, "color_error_max": fit.worst}, as_json=json)
    return 0


@app.command
def character(
    performances: Annotated[tuple[Path, ...], tyro.conf.Positional],
    *,
    character: Path,
    out: Path,
    mapping: Path | None = None,
    json: bool = False,
) -> int:
    """Let a character of your own play performances: its file with an animation for each.

    Args:
        performances: .performance.npz of 'gaussianspeech animate', or motion of a captured face: a
            .csv of Live Link Face, or a .json of ARKit weights.
        character: .glb, .gltf or .vrm with shape keys or bones; .blend or .fbx with the 'blender'
            extra.
        out: the new file, of the character's kind.
        mapping: what its shape keys and bones show, a file of the panel or of 'export mapping';
            their names say it without.
        json: print the result as JSON.
    """
    from engine.commands.characters import SpeakingCharacter
    from engine.motion.interchange.curve_files import is_curve_file, read_curves
    from engine.motion.interchange.face_curves import curves_of
    from engine.motion.performance import Performance

    if not performances:
        raise BadInputError("No performance was given.", "Name one or more.")
    speaking = SpeakingCharacter(character, mapping, out)
    for path in performances:
        curves = read_curves(path) if is_curve_file(path) else curves_of(Performance.load(path))
        speaking.add(curves, path.stem.removesuffix(".performance"))
    facts, left_out = speaking.write()
    print_warnings(left_out)
    print_result(facts, as_json=json)
    return 0


@app.command
def mapping(
    character: Annotated[Path, tyro.conf.Positional], *, out: Path, json: bool = False
) -> int:
    """Write what the shape keys and bones of a character show by their names, as JSON to be edited.

    Rows are [shape key, pose, amount], or [bone, channel, pose, value] with rotations in degrees.
    Beside them the file lists the keys without one, the bones, and all poses and channels.

    Args:
        character: .glb, .gltf or .vrm; .blend or .fbx with the 'blender' extra.
        out: OUT.json, for --mapping and the panel's Load Mapping.
        json: print the result as JSON.
    """
    from engine.characters import find_mapping, open_character
    from engine.motion.characters.bones import CHANNELS
    from engine.motion.characters.mapping_file import save_mapping
    from engine.motion.characters.poses import pose_names

    opened = open_character(character)
    found = find_mapping(opened)
    tables = {} if found is None else found.tables
    rigs = {} if found is None else found.bones
    parts, names = opened.parts, [rig.name for rig in opened.rigs]
    mapped = {(number, row.key) for number, rows in tables.items() for row in rows}
    unmapped = {
        part.name: [key for key in part.keys if (number, key) not in mapped]
        for number, part in enumerate(parts)
    }
    most = max(parts, key=lambda part: len(part.keys), default=None)
    main = next((names[number] for number in rigs), most.name if most else "".join(names[:1]))
    if found is not None and found.main is not None:
        main = parts[found.main].name
    notes = {
        "unmapped": unmapped,
        "bones": {rig.name: [bone.name for bone in rig.bones] for rig in opened.rigs},
        "poses": pose_names(),
        "channels": CHANNELS,
    }
    shapes = {parts[number].name: rows for number, rows in tables.items()}
    moved = {names[number]: rows for number, rows in rigs.items()}
    save_mapping(out, main, shapes, moved, notes)
    if found is None:
        print_warnings([f"No name is known: write rows into 'objects' of {out}."])
    facts = {"mapping": out, "names": None if found is None else found.source, "main": main}
    print_result(facts, as_json=json)
    return 0


def _write_motion(
    path: Path, head: Head, performance: Path | None, source: Path, near: str
) -> dict[str, object]:
    """Write ``flame_param.npz`` where the head is FLAME; what to print of it.

    Args:
        path: of the file.
        head: whose identity it gets.
        performance: what it plays; that of the avatar's own file by default.
        source: the avatar's file.
        near: what the head was loaded from.
    """
    from engine.avatar.flame_param import flame_param_of
    from engine.heads.flame_param import FlameParam, is_flame, load_flame_param, save_flame_param
    from engine.heads.registry import flame_param_of_file
    from engine.motion.performance import Performance

    if not is_flame(head):
        if performance is not None:
            raise BadInputError(
                f"Head '{head.id}' has no FLAME parameters.", "Leave --performance out."
            )
        print_warnings([f"head '{head.id}' is not FLAME: GaussianAvatars' viewer cannot move it."])
        return {}
    error = 0.0
    motion = FlameParam.of(head)
    given = flame_param_of_file(performance or source)
    if given is not None:
        motion = load_flame_param(given).of_person(motion)
    elif performance is not None:
        motion, error = flame_param_of(Performance.load(performance), head, near)
    save_flame_param(motion, path)
    return {"flame_param": path, "frames": motion.frames, "vertex_error_m": error}
