# SPDX-License-Identifier: GPL-3.0-or-later
"""Persons: an avatar with its head, and how it speaks, in one folder (docs/persons.md)."""

from engine.persons.person import DEFAULT_PERSON, Person, load_person, person_at, save_person

__all__ = ["DEFAULT_PERSON", "Person", "load_person", "person_at", "save_person"]
