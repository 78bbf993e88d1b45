"""The files of a run to look at and listen to: MIDI files, sheet, sound, page."""
