# SPDX-License-Identifier: GPL-3.0-or-later
"""``head.load`` and ``person.load``."""

from __future__ import annotations

from engine.serving.cache import Heads
from engine.serving.request import Reply, Request


class HeadMethods:
    """Methods about heads.

    Args:
        heads: the loaded ones.
    """

    def __init__(self, heads: Heads) -> None:
        self._heads = heads

    def load(self, request: Request) -> Reply:
        """The geometry, expressions, regions and landmarks of a head."""
        name, uv = request.params.text("head", "default"), request.params.text("uv", "")
        request.params.no_others()
        return self._reply(name, uv, request)

    def person(self, request: Request) -> Reply:
        """A person: the head, and which avatar and speech model are theirs."""
        from engine.persons import person_at

        path, uv = request.params.text("person", "default"), request.params.text("uv", "")
        request.params.no_others()
        person = person_at(path)
        reply = self._reply(person.avatar, uv, request)
        about = {
            "name": person.name,
            "avatar": person.avatar,
            "speech_model": person.speech_model,
            "licences": dict(person.licences),
        }
        return Reply(reply.body | about, reply.arrays)

    def _reply(self, name: str, uv: str, request: Request) -> Reply:
        from engine.motion.shape_keys import key_bounds

        request.progress(0.0, "loading the head")
        head = self._heads.get(name)
        if uv:
            # Deferred: FLAME's modules, which the default head does without.
            from engine.heads.flame_uv import with_template_uv

            head = with_template_uv(head, uv)
        arrays = {
            "template": head.template,
            "faces": head.faces,
            "uv": head.uv,
            "uv_faces": head.uv_faces,
            "expression_basis": head.expression_basis,
        }
        if head.source.kind == "flame":
            skeleton = head.skeleton
            arrays |= {
                "joint/parents": skeleton.parents,
                "joint/positions": skeleton.positions,
                "joint/weights": skeleton.weights,
                "joint/pose_basis": skeleton.pose_basis,
            }
        arrays |= {f"region/{name}": indices for name, indices in head.regions.items()}
        arrays |= {f"landmark/{name}": indices for name, indices in head.landmarks.items()}
        return Reply(
            {
                "id": head.id,
                "expression_names": list(head.expression_names),
                "expression_ranges": key_bounds(head).T.tolist(),
                "regions": list(head.regions),
                "landmarks": list(head.landmarks),
                "joints": list(head.skeleton.names),
                "provenance": dict(head.provenance),
            },
            arrays,
        )
