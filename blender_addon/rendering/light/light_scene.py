# SPDX-License-Identifier: GPL-3.0-or-later
"""The scene that renders the light on a main scene's avatars, kept in step with it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import bpy

from ...avatars.properties import avatar_path, shown_name
from ...status import set_message
from ..compositor import TAG
from ..freeing import free
from ..properties import composite_of
from ..rendered_heads import composited_layer
from .light_linking import differs as linking_differs
from .light_linking import follow_light_linking
from .proxies import (
    CAPTURE,
    SETTINGS,
    is_current,
    light_is_known,
    make_hull,
    make_receiver,
    remove_proxy,
    remove_unused,
)

HULLS = "GaussianSpeech Hair Shadows"
"""Name of the collection of hulls in the main scene."""

SAMPLES = 32
"""A pixel, at most: the light is denoised, and detail is the avatar's."""

_warned: set[str] = set()
"""Avatars of which it was said that they have no stored light."""


def keep_light_scene(scene: bpy.types.Scene, heads: Collection[bpy.types.Object]) -> None:
    """Have receivers and hulls of these heads and of no others, and no light scene for none.

    Args:
        scene: the main scene.
        heads: those of its rendered heads that it lights.

    Raises:
        BadInputError: an avatar's file cannot be read.
    """
    composite = composite_of(scene)
    if not heads:
        remove_light_scene(scene)
        return
    if composite.light_scene is None:
        composite.light_scene = _new_scene(scene)
    if composite.hulls is None:
        composite.hulls = bpy.data.collections.new(HULLS)
        scene.collection.children.link(composite.hulls)
    light_scene = composite.light_scene
    changed = keep_proxies(light_scene.collection.objects, heads, _receiver)
    changed |= keep_proxies(composite.hulls.objects, heads, make_hull)
    changed |= follow_light_linking(scene, _proxies(composite))
    follow_engine(scene, light_scene, _own_settings(scene))
    if changed:
        # A render that has begun already would otherwise crash Blender 5.2.
        light_scene.view_layers[0].update()
        scene.view_layers[0].update()


def differs(scene: bpy.types.Scene, heads: Collection[bpy.types.Object]) -> bool:
    """Whether :func:`keep_light_scene` would make or remove something."""
    composite = composite_of(scene)
    if composite.light_scene is None or composite.hulls is None:
        return bool(heads)
    light_scene = composite.light_scene
    return (
        any(
            proxies_differ(objects, heads)
            for objects in (light_scene.collection.objects, composite.hulls.objects)
        )
        or engine_differs(scene, light_scene, _own_settings(scene))
        or linking_differs(scene, _proxies(composite))
    )


def _proxies(composite: bpy.types.PropertyGroup) -> list[bpy.types.Object]:
    """Receivers and hulls."""
    objects = [*composite.light_scene.collection.objects, *composite.hulls.objects]
    return [obj for obj in objects if obj.gaussianspeech_light_proxy.head is not None]


def _own_settings(scene: bpy.types.Scene) -> dict[str, Any]:
    """Of Cycles' settings those that a light scene has for itself."""
    samples = {"samples": min(scene.cycles.samples, SAMPLES)} if hasattr(scene, "cycles") else {}
    return {"use_denoising": True, **samples}


def remove_light_scene(scene: bpy.types.Scene) -> None:
    """Remove the light scene, its proxies, and what they share."""
    composite = composite_of(scene)
    light_scene, composite.light_scene = composite.light_scene, None
    hulls, composite.hulls = composite.hulls, None
    if hulls is not None:
        hulls.hide_render = True
    free(partial(_remove, light_scene, hulls))


def _remove(light_scene: bpy.types.Scene | None, hulls: bpy.types.Collection | None) -> None:
    for owner in (light_scene.collection if light_scene else None, hulls):
        for obj in list(owner.objects) if owner else ():
            if obj.type == "MESH":
                remove_proxy(obj)
    if hulls is not None:
        bpy.data.collections.remove(hulls)
    if light_scene is not None:
        bpy.data.scenes.remove(light_scene)
        remove_unused()


def remove_scene(light_scene: bpy.types.Scene) -> None:
    """Remove a light scene at once, with its receivers."""
    _remove(light_scene, None)


def _new_scene(scene: bpy.types.Scene) -> bpy.types.Scene:
    light_scene = new_scene_before(scene, f"{scene.name} Light", "light")
    layer = light_scene.view_layers[0]
    for name in (CAPTURE, SETTINGS):
        aov = layer.aovs.add()
        aov.name, aov.type = name, "COLOR"
    layer.update_render_passes()
    return light_scene


def new_scene_before(scene: bpy.types.Scene, name: str, kind: str) -> bpy.types.Scene:
    """A scene that renders what is in it with all of another round it, over nothing.

    Args:
        scene: the other.
        name: of the scene.
        kind: what it is for, kept as its tag.
    """
    made = bpy.data.scenes.new(name)
    made[TAG] = kind
    made.background_set = scene
    render = made.render
    render.film_transparent, render.use_compositing, render.use_sequencer = True, False, False
    return made


def proxies_differ(
    objects: Iterable[bpy.types.Object], heads: Collection[bpy.types.Object]
) -> bool:
    """Whether :func:`keep_proxies` would make or remove something."""
    return _differing(objects, heads) != ([], set())


def _differing(
    objects: Iterable[bpy.types.Object], heads: Collection[bpy.types.Object]
) -> tuple[list[bpy.types.Object], set[bpy.types.Object]]:
    """Proxies that are to go, and heads that lack one."""
    proxies = [obj for obj in objects if obj.type == "MESH"]
    kept: set[bpy.types.Object] = set()
    gone = []
    for proxy in proxies:
        head = proxy.gaussianspeech_light_proxy.head
        if head in heads and head not in kept and is_current(proxy):
            kept.add(head)
        else:
            gone.append(proxy)
    return gone, set(heads) - kept


def keep_proxies(
    objects: Any,
    heads: Collection[bpy.types.Object],
    make: Callable[[bpy.types.Object], bpy.types.Object],
) -> bool:
    """Have a proxy of each head in a collection, and no others.

    Args:
        objects: of the collection.
        heads: that are to have one.
        make: one of a head.

    Returns:
        Whether anything was made or removed.
    """
    gone, missing = _differing(objects, heads)
    for proxy in gone:
        remove_proxy(proxy)
    for head in sorted(missing, key=lambda obj: obj.name):
        objects.link(make(head))
    return bool(gone or missing)


def _receiver(head: bpy.types.Object) -> bpy.types.Object:
    receiver = make_receiver(head)
    if not light_is_known(receiver):
        _warn(head)
    return receiver


def _warn(head: bpy.types.Object) -> None:
    """Say once of each avatar that its light is a guess."""
    path = avatar_path(head.gaussianspeech_avatar.source)
    if path not in _warned:
        _warned.add(path)
        name = shown_name(head.gaussianspeech_avatar.source)
        text = f"{name} ('{head.name}') is an avatar without a stored light; even light is assumed"
        set_message(bpy.context, text)
        print(f"Warning: {text}", flush=True)


def follow_engine(
    scene: bpy.types.Scene, other: bpy.types.Scene, own: Mapping[str, Any] = MappingProxyType({})
) -> None:
    """Have a scene render as the main scene does.

    Args:
        scene: the main scene.
        other: that follows it.
        own: settings of Cycles that it has for itself.
    """
    for target, name, value in _engine_changes(scene, other, own):
        setattr(target, name, value)


def engine_differs(
    scene: bpy.types.Scene, other: bpy.types.Scene, own: Mapping[str, Any] = MappingProxyType({})
) -> bool:
    """Whether :func:`follow_engine` would change something."""
    return any(_engine_changes(scene, other, own))


def _engine_changes(
    scene: bpy.types.Scene, other: bpy.types.Scene, own: Mapping[str, Any]
) -> Iterator[tuple[Any, str, Any]]:
    """What of which settings is to have which value."""
    # Blender 5.1 and later let a view layer have a world of its own.
    world = getattr(composited_layer(scene), "world_override", None) or scene.world
    if other.world != world:
        yield other, "world", world
    if other.render.engine != scene.render.engine:
        yield other.render, "engine", scene.render.engine
    for group in ("cycles", "cycles_curves", "eevee"):
        if hasattr(scene, group):
            yield from _group_changes(
                getattr(scene, group), getattr(other, group), own if group == "cycles" else {}
            )


def _group_changes(
    source: Any, target: Any, own: Mapping[str, Any]
) -> Iterator[tuple[Any, str, Any]]:
    for item in source.bl_rna.properties:
        name = item.identifier
        if item.is_readonly or name in ("rna_type", "name"):
            continue
        value = own.get(name, getattr(source, name))
        if getattr(target, name) != value:
            yield target, name, value
