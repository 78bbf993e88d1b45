"""Performances of several instruments."""

import note_seq
from magenta.models.music_vae import data_hierarchical

from lc_music_vae.families.family import Family


class Performance(Family):
    """A window contains all tracks together, as they were played."""

    converters = (data_hierarchical.MultiInstrumentPerformanceConverter,)
    fitting = "in which two to eight instruments play, of at most 64 events each"

    def as_heard(self, note_sequence):
        """Returns the NoteSequence with its notes lengthened by the sustain pedal."""
        return note_seq.apply_sustain_control_changes(note_sequence)
