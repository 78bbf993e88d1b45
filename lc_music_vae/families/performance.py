"""Performances of several instruments."""

import note_seq
import numpy as np
from magenta.models.music_vae import data_hierarchical

from lc_music_vae.families.family import Family
from lc_music_vae.music import chords


class Performance(Family):
    """A window contains all tracks together, as they were played."""

    converters = (data_hierarchical.MultiInstrumentPerformanceConverter,)
    controlled_by = chords.CHORDS
    fitting = "in which two to eight instruments play, of at most 64 events each"

    def as_heard(self, note_sequence):
        """Returns the NoteSequence with its notes lengthened by the sustain pedal."""
        return note_seq.apply_sustain_control_changes(note_sequence)

    def controls_of_chords(self, figures):
        """Returns a window for each chord, which is that of the whole bar.

        The first event of each instrument names its program; no chord stands there in magenta's training.
        """
        instruments, events = int(np.prod(self.facts.converter.length_shape)), self.facts.events_per_instrument
        one_bar = np.repeat(chords.one_hot(figures)[:, None], instruments * events, axis=1)
        one_bar[:, ::events] = chords.one_hot([note_seq.NO_CHORD])
        return one_bar
