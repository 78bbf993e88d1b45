"""What a run leaves to look at and listen to: MIDI, sheet, sound, page."""
