"""Performances of several instruments."""

from typing import Dict

import note_seq
import numpy as np
from magenta.models.music_vae import data_hierarchical

from lc_music_vae.families.family import Family
from lc_music_vae.music import chords
from lc_music_vae.music.source import QPM


class Performance(Family):
    """A window contains all tracks together, as they were played."""

    converters = (data_hierarchical.MultiInstrumentPerformanceConverter,)
    controlled_by = chords.CHORDS
    fitting = "in which two to eight instruments play, of at most 64 events each"

    def as_heard(self, note_sequence):
        """Returns the NoteSequence with its notes lengthened by the sustain pedal."""
        return note_seq.apply_sustain_control_changes(note_sequence)

    def chords_in(self, decoded, controls):
        """Returns each chord where its first event is, of any instrument.

        It is the events that have chords here, and when an event is depends on those before it. No chord is left out:
        it also stands at the first event of each instrument.
        """
        if not self.facts.writer.from_tensors([decoded])[0].notes:
            return []
        (sequence,) = self.facts.converter.from_tensors([decoded], [controls])
        first: Dict[str, float] = {}
        for symbol in chords.symbols(sequence):
            first.setdefault(symbol.text, symbol.time * QPM / 60)
        return [chords.Chord(start, figure) for figure, start in first.items() if figure != note_seq.NO_CHORD]

    def controls_of_chords(self, figures):
        """Returns a window for each chord, which is that of the whole bar.

        The first event of each instrument names its program; no chord stands there in magenta's training.
        """
        instruments, events = int(np.prod(self.facts.converter.length_shape)), self.facts.events_per_instrument
        one_bar = np.repeat(chords.one_hot(figures)[:, None], instruments * events, axis=1)
        one_bar[:, ::events] = chords.one_hot([note_seq.NO_CHORD])
        return one_bar
