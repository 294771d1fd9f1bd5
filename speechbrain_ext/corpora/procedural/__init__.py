"""Sounds and rooms made by code: seeded, at any sample rate."""

from speechbrain_ext.corpora.procedural.events import (
    EVENT_CLASSES,
    make_event,
)
from speechbrain_ext.corpora.procedural.noise import (
    HELD_OUT_KINDS,
    NOISE_KINDS,
    make_noise,
)
from speechbrain_ext.corpora.procedural.rooms import (
    Room,
    make_room,
)

__all__ = [
    "EVENT_CLASSES",
    "HELD_OUT_KINDS",
    "NOISE_KINDS",
    "Room",
    "make_event",
    "make_noise",
    "make_room",
]
