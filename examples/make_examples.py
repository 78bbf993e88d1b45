"""Writes ode_to_joy.mid: the theme of Beethoven's Ninth Symphony, note by note from the score.

Source: Ludwig van Beethoven, Symphony No. 9 in D minor, op. 125 (1824), fourth movement, Allegro assai: the theme as
violoncellos and basses bring it at bar 92, here an octave higher, its second half repeated as the orchestra does.
"""

import os

import note_seq

PITCHES = {"A3": 57, "D": 62, "E": 64, "F#": 66, "G": 67, "A": 69}
QUARTERS = {"q": 1.0, "e": 0.5, "d": 1.5, "h": 2.0}  # quarter, eighth, dotted quarter, half

FIRST = "F#q F#q Gq Aq | Aq Gq F#q Eq | Dq Dq Eq F#q | "
THEME = FIRST + "F#d Ee Eh | " + FIRST + "Ed De Dh | "
# The third line ends with a note that is tied over the bar: one half note that starts on the fourth beat.
MIDDLE = "Eq Eq F#q Dq | Eq F#e Ge F#q Dq | Eq F#e Ge F#q Eq | Dq Eq A3q F#h | "
LAST = "F#q Gq Aq | Aq Gq F#q Eq | Dq Dq Eq F#q | Ed De Dh | "


def ode_to_joy() -> note_seq.NoteSequence:
    """Returns the 24 bars of the theme, 4/4, at 120 quarters per minute."""
    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    sequence.time_signatures.add(numerator=4, denominator=4)
    sequence.key_signatures.add(key=2)
    time = 0.0
    for token in (THEME + MIDDLE + LAST + MIDDLE + LAST).replace("|", " ").split():
        seconds = QUARTERS[token[-1]] / 2
        sequence.notes.add(pitch=PITCHES[token[:-1]], velocity=80, start_time=time, end_time=time + seconds)
        time += seconds
    sequence.total_time = time
    return sequence


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    note_seq.note_sequence_to_midi_file(ode_to_joy(), os.path.join(here, "ode_to_joy.mid"))
