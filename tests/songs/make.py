"""Writes minuet_in_g.mid and minuet_in_g.tfrecord: the Menuet in G major, BWV Anh. 114, note by note from the score.

Source: the Notebook for Anna Magdalena Bach (1725), where it is without a name; by Christian Petzold (died 1733). The
repeats are not written out, ornaments are left out, and the bass has one voice.
"""

import os

import note_seq

HERE = os.path.dirname(os.path.abspath(__file__))
QUARTERS = {"e": 0.5, "q": 1.0, "h": 2.0, "d": 3.0}  # eighth, quarter, half, dotted half
SEMITONES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}

OPENING = """D5q G4e A4e B4e C5e | D5q G4q G4q | E5q C5e D5e E5e F#5e | G5q G4q G4q |
             C5q D5e C5e B4e A4e | B4q C5e B4e A4e G4e | """
RIGHT = (
    OPENING
    + "F#4q G4e A4e B4e G4e | A4d | "
    + OPENING
    + """A4q B4e A4e G4e F#4e | G4d |
    B5q G5e A5e B5e G5e | A5q D5e E5e F#5e D5e | G5q E5e F#5e G5e D5e | C#5q B4e C#5e A4q |
    A4e B4e C#5e D5e E5e F#5e | G5q F#5q E5q | F#5q A4q C#5q | D5d |
    D5q G4e F#4e G4q | E5q G4e F#4e G4q | D5q C5q B4q | A4e G4e F#4e G4e A4q |
    D4e E4e F#4e G4e A4e B4e | C5q B4q A4q | B4e D5e G4q F#4q | G4d"""
)
LEFT = """G3h A3q | B3d | C4d | B3d | A3d | G3d | D4q B3q G3q | D4q D3e C4e B3e A3e |
    B3h A3q | G3q B3q G3q | C4d | B3q C4e B3e A3e G3e | A3h F#3q | G3h B3q | C4q D4q D3q | G3h G2q |
    G3d | F#3d | E3q G3q E3q | A3h A2q | A3d | B3q D4q C#4q | D4q F#3q A3q | D4q D3q C4q |
    B3d | C4d | B3q A3q G3q | D4d | D3d | E3q G3q F#3q | G3q B2q D3q | G3q D3q G2q"""


def _pitch(name: str) -> int:
    """Returns the MIDI pitch of a name such as F#4; C4 is 60."""
    return 12 * (int(name[-1]) + 1) + SEMITONES[name[0]] + name.count("#")


def minuet() -> note_seq.NoteSequence:
    """Returns its 32 bars of 3/4, at 120 quarters per minute."""
    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=120)
    sequence.time_signatures.add(numerator=3, denominator=4)
    sequence.key_signatures.add(key=7)
    for instrument, (name, part) in enumerate((("right hand", RIGHT), ("left hand", LEFT))):
        sequence.instrument_infos.add(instrument=instrument, name=name)
        time = 0.0
        for bar, tokens in enumerate(part.split("|")):
            assert time == 1.5 * bar, (name, bar)
            for token in tokens.split():
                end = time + QUARTERS[token[-1]] / 2
                sequence.notes.add(
                    pitch=_pitch(token[:-1]), velocity=80, start_time=time, end_time=end, instrument=instrument
                )
                time = end
    sequence.total_time = time
    return sequence


if __name__ == "__main__":
    import tensorflow.compat.v1 as tf

    note_seq.note_sequence_to_midi_file(minuet(), os.path.join(HERE, "minuet_in_g.mid"))
    with tf.io.TFRecordWriter(os.path.join(HERE, "minuet_in_g.tfrecord")) as writer:
        writer.write(minuet().SerializeToString(deterministic=True))
