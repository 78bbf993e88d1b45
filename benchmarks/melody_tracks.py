"""Measures how well the melody is found: precision and recall of the chosen notes against the track called MELODY.

Needs a folder of MIDI files with a track of that name (as in POP909). The track names are removed before the search.
Each file is measured twice: with separate tracks, and with all tracks merged into one, in which a melody line is
searched.

    python benchmarks/melody_tracks.py folder
"""

import copy
import os
import sys

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)


def precision_and_recall(sequence, expected):
    """Returns precision and recall of the notes of the chosen track, compared by start and pitch."""
    from lc_music_vae import data
    from lc_music_vae.music.examples import Song

    score = data.WindowConverter("cat-mel_2bar_small").score(Song("song", sequence))
    found = {(n.start, n.pitch) for n in score.tracks[0].notes}
    return len(found & expected) / len(found), len(found & expected) / len(expected), score.choice


def main():
    """Prints one row per file, and the means."""
    from lc_music_vae import data
    from lc_music_vae.music import examples
    from lc_music_vae.options import Reading

    totals = []
    print("| file | apart: precision | recall | merged: precision | recall |")
    print("| --- | --- | --- | --- | --- |")
    for path in examples.find(sys.argv[1]):
        (song,) = examples.read(path)
        labelled = {info.instrument for info in song.note_sequence.instrument_infos if info.name == "MELODY"}
        if not labelled:
            continue
        score = data.WindowConverter("cat-mel_2bar_small", Reading("all")).score(song)
        expected = {(n.start, n.pitch) for t in score.tracks if t.number in labelled for n in t.notes}
        apart = song.note_sequence
        del apart.instrument_infos[:]
        merged = copy.deepcopy(apart)
        for note in merged.notes:
            note.instrument = 0
        row = precision_and_recall(apart, expected)[:2] + precision_and_recall(merged, expected)[:2]
        totals.append(row)
        print("| %s | %.2f | %.2f | %.2f | %.2f |" % ((os.path.basename(path),) + row))
    print("| mean | %.2f | %.2f | %.2f | %.2f |" % tuple(sum(column) / len(totals) for column in zip(*totals)))


if __name__ == "__main__":
    main()
