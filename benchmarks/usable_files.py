"""Counts songs that give windows: with magenta's own converter, with --metre=4/4 and with --metre=any.

Magenta's converter reads every track and splits songs at each tempo change. The toolkit reads the melody track. The
first row is for files as note_seq reads them, the others for files that were repaired first (`midi.py`).

    python benchmarks/usable_files.py folder [folder ...]
"""

import copy
import os
import sys
import warnings

REPO = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, REPO)

CONFIG = "cat-mel_2bar_small"


def magentas(paths):
    """Returns the number of windows that magenta's converter makes from each song."""
    import note_seq
    from magenta.models.music_vae import configs

    from lc_music_vae.music import examples

    converter = copy.deepcopy(configs.CONFIG_MAP[CONFIG].data_converter)
    converter.max_tensors_per_notesequence = None
    counts = []
    for path in paths:
        try:
            if path.lower().endswith(examples.MIDI):
                sequences = [note_seq.midi_file_to_note_sequence(path)]
            else:
                sequences = [song.note_sequence for song in examples.read(path)]
            counts += [len(converter.to_tensors(sequence).inputs) for sequence in sequences]
        except (note_seq.MIDIConversionError, examples.InputError):
            counts.append(0)
    return counts


def ours(paths, metre):
    """Returns the number of windows of each song with --metre=`metre`."""
    from lc_music_vae import data
    from lc_music_vae.music import examples
    from lc_music_vae.options import Reading

    converter = data.WindowConverter(CONFIG, Reading(metre=metre))
    counts = []
    for path in paths:
        try:
            counts += [len(converter.windows(converter.score(song))) for song in examples.read(path)]
        except examples.InputError:
            counts.append(0)
    return counts


def rows(folder):
    """Returns one row per method: folder, how it is read, songs, songs that give windows, windows."""
    from lc_music_vae.music import examples

    paths = examples.find(folder)
    ways = [("magenta's converter", magentas(paths))]
    ways += [("`--metre=%s`" % metre, ours(paths, metre)) for metre in ("4/4", "any")]
    name = os.path.basename(os.path.abspath(folder))
    return [(name, how, len(counts), sum(map(bool, counts)), sum(counts)) for how, counts in ways]


def main():
    """Prints three rows per folder."""
    warnings.simplefilter("ignore")
    print("| folder | read by | songs | give windows | windows |")
    print("| --- | --- | --- | --- | --- |")
    for folder in sys.argv[1:]:
        for row in rows(folder):
            print("| %s | %s | %d | %d | %d |" % row)


if __name__ == "__main__":
    main()
