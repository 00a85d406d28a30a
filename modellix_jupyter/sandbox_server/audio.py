"""Sounds: a little tune for each prompt, in a WAV file."""

import io
import math
import wave
from array import array

from modellix_jupyter.sandbox_server.drawing import Artwork
from modellix_jupyter.sandbox_server.seeding import stream

_RATE = 16_000
_NOTE_SECONDS = 0.22
_FEWEST, _MOST = 6, 32
# Any order of the pentatonic scale sounds well; these are semitones above the lowest note.
_SCALE = (0, 2, 4, 7, 9, 12, 14, 16, 19)
_LOWEST_HERTZ = 261.63
# How loud each overtone is, and how fast the note dies away.
_VOICES = {
    "flute": ((1.0, 0.12, 0.04), 2.0),
    "bell": ((1.0, 0.0, 0.5, 0.0, 0.25), 9.0),
    "organ": ((0.8, 0.5, 0.3, 0.2), 0.6),
}


def wav(artwork: Artwork) -> bytes:
    """Compose a tune.

    Parameters
    ----------
    artwork
        Its style is the instrument, its prompt's length decides the number of notes.

    Returns
    -------
    bytes
        A WAV file: mono, 16 bits, 16 kHz.
    """
    rng = stream("tune", artwork.key)
    many = min(max(len(artwork.prompt) // 4, _FEWEST), _MOST)
    place = rng.randrange(4)
    samples = array("h")
    for number in range(many):
        last = number == many - 1
        place = 0 if last else min(max(place + rng.randint(-2, 2), 0), len(_SCALE) - 1)
        samples.extend(_note(artwork.style, _SCALE[place], 3.0 if last else rng.choice((1, 1, 2))))
    target = io.BytesIO()
    with wave.open(target, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_RATE)
        file.writeframes(samples.tobytes())
    return target.getvalue()


def _note(voice: str, semitones: int, beats: float) -> "array[int]":
    """Return the samples of one note, which begins and ends in silence so that it never clicks."""
    overtones, decay = _VOICES[voice]
    pitch = math.tau * _LOWEST_HERTZ * 2 ** (semitones / 12) / _RATE
    length = round(_RATE * _NOTE_SECONDS * beats)
    edge = _RATE // 100
    full = 22_000 / sum(overtones)
    samples = array("h")
    for at in range(length):
        fade = min(1.0, at / edge, (length - at) / (edge * 4))
        loud = full * fade * math.exp(-decay * at / _RATE)
        tone = sum(w * math.sin(pitch * (k + 1) * at) for k, w in enumerate(overtones) if w)
        samples.append(int(loud * tone))
    return samples
