"""MIDI files of outputs. The chords that they were decoded with are markers, which sequencers show above the bars."""

import io
from typing import Any

from lc_music_vae.errors import InputError

_MIN_QPM, _MAX_QPM = 3.6, 60_000_000  # quarters per minute: MIDI has 24 bits for the microseconds of a quarter


def content(sequence: Any) -> bytes:
    """Returns a NoteSequence as a MIDI file.

    Raises:
        InputError: MIDI cannot represent its tempo.
    """
    import note_seq
    import pretty_midi

    from lc_music_vae.music import chords

    for tempo in sequence.tempos:
        if not _MIN_QPM <= tempo.qpm <= _MAX_QPM:
            raise InputError(
                "a tempo of %g quarters a minute cannot be written: MIDI has %s to %d; give music with another"
                % (tempo.qpm, _MIN_QPM, _MAX_QPM)
            )
    midi = note_seq.note_sequence_to_pretty_midi(sequence)
    symbols = chords.symbols(sequence)
    midi.text_events += [pretty_midi.Text(symbol.text, symbol.time) for symbol in symbols]
    written = io.BytesIO()  # note_seq's own function does not close the file itself
    midi.write(written)
    return _texts_as_markers(written.getvalue()) if symbols else written.getvalue()


def _texts_as_markers(midi: bytes) -> bytes:
    """Returns a MIDI file whose texts are markers: pretty_midi writes texts only, and sequencers hardly show these."""
    import mido

    file = mido.MidiFile(file=io.BytesIO(midi))
    for track in file.tracks:
        track[:] = [
            mido.MetaMessage("marker", text=event.text, time=event.time) if event.type == "text" else event
            for event in track
        ]
    written = io.BytesIO()
    file.save(file=written)
    return written.getvalue()
