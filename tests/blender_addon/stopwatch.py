# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the add-on keeps Blender's main thread: every operator, and every callback, timed.

What other programs take from the thread is taken off (Linux says how long it waited for a
processor), so that the limits hold on a busy machine; waiting for files and for the engine counts.
An operator that a timer calls counts as an operator.
"""

from __future__ import annotations

import functools
import inspect
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

LIMITS = {"operator": 200.0, "slider": 200.0, "callback": 5.0}
"""Milliseconds on the main thread that a step of each kind may take."""

_FEW = 5
"""Calls from which the longest may be one that waited."""

_STEPS = ("execute", "invoke", "modal")
_PARTS = ("begin", "finish")
"""Of an operator that asks the engine: background Blender waits for the answer between the two."""
_OPERATOR_CALLBACKS = ("poll", "draw", "check", "cancel")
_CALLBACKS = ("poll", "draw", "draw_header", "draw_item", "filter_items")
_ENGINE_CALLBACKS = ("update", "view_update", "view_draw")
"""Of a render engine, those that Blender calls on its main thread."""

_PROPERTY_CALLBACKS = {"update": 2, "get": 1, "set": 2, "items": 2, "poll": 2, "search": 3}
"""Callbacks of properties, and their parameters; an update may bake, as long as a slider may."""

_SPACES = ("SpaceView3D", "SpaceSequenceEditor", "SpaceGraphEditor", "SpaceDopeSheetEditor")


class Lap(NamedTuple):
    """Calls of one thing.

    Attributes:
        kind: a key of :data:`LIMITS`.
        name: of the thing.
        calls: how many.
        worst: milliseconds of the longest.
        steady: milliseconds of the longest but for one call, of many for one in fifty, that may
            have waited for another thread to give Python's lock back.
        middle: milliseconds of the median.
    """

    kind: str
    name: str
    calls: int
    worst: float
    steady: float
    middle: float

    @property
    def too_long(self) -> bool:
        """Whether it was over the limit, and not just once or in one of fifty calls."""
        return self.steady > LIMITS[self.kind]


class Stopwatch:
    """Times everything of an add-on that Blender calls, while :meth:`watching`."""

    def __init__(self) -> None:
        self.watched: set[str] = set()
        """Names of the callbacks that would be timed, also of those that were not called."""
        self._times: dict[tuple[str, str], list[float]] = {}
        self._wrapped: dict[Any, Callable[..., Any]] = {}
        self._operators = 0.0
        """Seconds of the operators that the block in work has called."""

    @property
    def laps(self) -> list[Lap]:
        """What was called, the longest in relation to its limit first."""
        made = []
        for (kind, name), unsorted in self._times.items():
            times, calls = sorted(unsorted), len(unsorted)
            steady = times[calls - 1 - max(calls // 50, calls >= _FEW)]
            made.append(Lap(kind, name, calls, times[-1], steady, times[calls // 2]))
        return sorted(made, key=lambda lap: -lap.steady / LIMITS[lap.kind])

    @contextmanager
    def lap(self, kind: str, name: str) -> Iterator[None]:
        """Time a block on the main thread; what operators in a callback take is theirs."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        outer, self._operators = self._operators, 0.0
        start = time.perf_counter() - waited()
        try:
            yield
        finally:
            # Waiting that comes after the clock has been read is not of this block.
            before = waited()
            taken = time.perf_counter() - before - start
            own = taken - self._operators if kind == "callback" else taken
            self._times.setdefault((kind, name), []).append(1000 * own)
            self._operators = outer + (taken if kind == "operator" else self._operators)

    def timed(self, function: Any, name: str) -> Callable[..., Any]:
        """A callback that times itself."""
        self.watched.add(name)
        # Blender gives a handler as many arguments as it takes, and this one takes all.
        parameters = inspect.signature(function).parameters.values()
        taken = (
            None
            if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters)
            else len(parameters)
        )

        @functools.wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            with self.lap("callback", name):
                return function(*arguments[:taken], **options)

        return timed

    def _known(self, function: Any) -> Callable[..., Any]:
        """As :meth:`timed`, the same one for the same function, by which Blender knows it."""
        if function not in self._wrapped:
            self._wrapped[function] = self.timed(function, _name(function))
        return self._wrapped[function]

    @contextmanager
    def watching(self, package: str, enable: Callable[[], tuple[type, ...]]) -> Iterator[None]:
        """Time what Blender calls of an add-on for the length of a block.

        Args:
            package: of the add-on's modules, by which its handlers are known.
            enable: enables the add-on, so that its timers and draw handlers come to be known, and
                returns its classes.
        """
        import bpy

        undo: list[Callable[[], object]] = []
        try:
            self._watch_timers(bpy, undo)
            self._watch_draw_handlers(bpy, undo)
            self._watch_message_bus(bpy, package, undo)
            self._watch_properties(bpy, undo)
            self._watch_kept_properties(package, undo)
            for cls in enable():
                self._watch_class(bpy, cls, undo)
            self._watch_handlers(bpy, package, undo)
            self._watch_menus(bpy, package, undo)
            yield
        finally:
            for step in reversed(undo):
                step()

    def _watch_class(self, bpy: Any, cls: Any, undo: list[Callable[[], object]]) -> None:
        kinds: dict[str, str] = {}
        if issubclass(cls, bpy.types.Operator):
            steps = _PARTS if bpy.app.background and hasattr(cls, "begin") else _STEPS
            kinds = dict.fromkeys(_OPERATOR_CALLBACKS, "callback")
            kinds, label = kinds | dict.fromkeys(steps, "operator"), cls.bl_idname
        elif issubclass(cls, bpy.types.RenderEngine):
            kinds, label = dict.fromkeys(_ENGINE_CALLBACKS, "callback"), cls.__name__
        elif issubclass(cls, (bpy.types.Panel, bpy.types.UIList, bpy.types.Menu)):
            kinds, label = dict.fromkeys(_CALLBACKS, "callback"), cls.__name__
        for method, kind in kinds.items():
            function = getattr(cls, method, None)
            plain = getattr(function, "__func__", function)
            if not hasattr(plain, "__code__"):
                continue
            made: Any = self._method(kind, plain, f"{label}.{method}")
            if plain is not function:
                made = classmethod(made)
            own = cls.__dict__.get(method)
            setattr(cls, method, made)
            if own is None:
                undo.append(functools.partial(delattr, cls, method))
            else:
                undo.append(functools.partial(setattr, cls, method, own))

    def _method(
        self, kind: str, function: Any, name: str, parameters: int | None = None
    ) -> Callable[..., Any]:
        """As :meth:`timed`, anew for each class, and with as many parameters as Blender counts."""
        if kind != "operator":
            self.watched.add(name)

        def timed(*arguments: Any) -> Any:
            with self.lap(kind, name):
                return function(*arguments)

        count = function.__code__.co_argcount if parameters is None else parameters
        names = ", ".join(f"argument_{i}" for i in range(count))
        return eval(f"lambda {names}: timed({names})", {"timed": timed})

    def _watch_timers(self, bpy: Any, undo: list[Callable[[], object]]) -> None:
        timers = bpy.app.timers
        register, unregister, known = timers.register, timers.unregister, timers.is_registered
        timers.register = lambda function, **options: register(self._known(function), **options)
        timers.unregister = lambda function: unregister(self._wrapped.get(function, function))
        timers.is_registered = lambda function: known(self._wrapped.get(function, function))

        def restore() -> None:
            timers.register, timers.unregister, timers.is_registered = register, unregister, known

        undo.append(restore)

    def _watch_draw_handlers(self, bpy: Any, undo: list[Callable[[], object]]) -> None:
        for space in _SPACES:
            cls = getattr(bpy.types, space)
            add = cls.draw_handler_add

            def timed(function: Any, *arguments: Any, add: Any = add) -> Any:
                return add(self.timed(function, _name(function)), *arguments)

            cls.draw_handler_add = staticmethod(timed)
            undo.append(functools.partial(delattr, cls, "draw_handler_add"))

    def _watch_message_bus(self, bpy: Any, package: str, undo: list[Callable[[], object]]) -> None:
        subscribe = bpy.msgbus.subscribe_rna

        def timed(*, notify: Any, **options: Any) -> Any:
            if notify.__module__.startswith(f"{package}."):
                notify = self.timed(notify, f"{_name(notify)} by msgbus")
            return subscribe(notify=notify, **options)

        bpy.msgbus.subscribe_rna = timed
        undo.append(lambda: setattr(bpy.msgbus, "subscribe_rna", subscribe))

    def _watch_properties(self, bpy: Any, undo: list[Callable[[], object]]) -> None:
        """Classes are registered with their annotations evaluated anew: by these functions."""
        for name in dir(bpy.props):
            if name.endswith("Property") and name != "RemoveProperty":
                define = getattr(bpy.props, name)
                setattr(bpy.props, name, functools.partial(self._defined, define))
                undo.append(functools.partial(setattr, bpy.props, name, define))

    def _watch_kept_properties(self, package: str, undo: list[Callable[[], object]]) -> None:
        """Some classes keep their annotations evaluated."""
        classes = sys.modules[f"{package}.blender_addon.registration"].CLASSES
        seen: set[int] = set()
        for base in (base for cls in classes for base in cls.__mro__):
            for kept in getattr(base, "__annotations__", {}).values():
                if hasattr(kept, "keywords") and id(kept) not in seen:
                    seen.add(id(kept))
                    before = dict(kept.keywords)
                    self._defined(kept.keywords.update, **before)
                    undo.append(functools.partial(kept.keywords.update, before))

    def _defined(self, define: Any, *arguments: Any, **options: Any) -> Any:
        for kind, parameters in _PROPERTY_CALLBACKS.items():
            function = options.get(kind)
            if callable(function):
                label = f"{_name(function)} as {kind}"
                lap = "slider" if kind == "update" else "callback"
                options[kind] = self._method(lap, function, label, parameters)
        return define(*arguments, **options)

    def _watch_handlers(self, bpy: Any, package: str, undo: list[Callable[[], object]]) -> None:
        for kind in dir(bpy.app.handlers):
            handlers = getattr(bpy.app.handlers, kind)
            if isinstance(handlers, list):
                self._replace(handlers, package, f"on {kind}", undo)

    def _watch_menus(self, bpy: Any, package: str, undo: list[Callable[[], object]]) -> None:
        for base in (bpy.types.Menu, bpy.types.Header, bpy.types.Panel):
            for cls in base.__subclasses__():
                functions = getattr(getattr(cls, "draw", None), "_draw_funcs", None)
                if functions:
                    self._replace(functions, package, f"in {cls.__name__}", undo)

    def _replace(
        self, functions: list[Any], package: str, where: str, undo: list[Callable[[], object]]
    ) -> None:
        for number, function in enumerate(functions):
            if getattr(function, "__module__", "").startswith(f"{package}."):
                timed = self.timed(function, f"{_name(function)} {where}")
                functions[number] = timed
                undo.append(functools.partial(_put_back, functions, timed, function))


def table(laps: Iterable[Lap]) -> str:
    """The laps as text, one a line."""
    lines = [f"{'ms, worst':>9} {'49 in 50':>8} {'median':>8} {'calls':>6} {'limit':>6}  what"]
    lines += [
        f"{lap.worst:9.2f} {lap.steady:8.2f} {lap.middle:8.2f} {lap.calls:6d} "
        f"{LIMITS[lap.kind]:6.0f}{'!' if lap.too_long else ' '} {lap.name}"
        for lap in laps
    ]
    return "\n".join(lines)


def _name(function: Any) -> str:
    function = getattr(function, "__func__", function)
    module = getattr(function, "__module__", "").partition(".blender_addon.")
    return f"{module[2] or module[0]}.{getattr(function, '__qualname__', repr(function))}"


def _put_back(functions: list[Any], timed: Any, function: Any) -> None:
    if timed in functions:
        functions[functions.index(timed)] = function


def waited() -> float:
    """Seconds for which this thread was ready and had no processor; 0 where nothing says so."""
    if sys.platform != "linux":
        return 0.0
    with open("/proc/thread-self/schedstat", encoding="ascii") as file:  # noqa: PTH123 - quick
        return int(file.read().split()[1]) / 1e9
