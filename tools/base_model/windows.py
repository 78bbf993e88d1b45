"""Cuts melodies into the two-bar windows of `cat-mel_2bar_small`, with magenta's own converter.

    python -m tools.base_model.windows melodies.jsonl windows.npz [--held_out=0.05]

Writes `train` and `held_out`, int8 [n, 32] melody events, and `made_of`, JSON: the version of music21, the file's
SHA-256, and of each source its melodies, those held out, and the windows of all. Which melodies are held out depends on
their titles and notes alone. A window of theirs that is in `train` too, at any pitch, is in neither: it would measure
memory.
"""

import argparse
import copy
import hashlib
import json
import sys

import note_seq
import numpy as np
from magenta.models.music_vae import configs as music_vae_configs

from tools.base_model import events, provenance

MUSIC_VAE = "cat-mel_2bar_small"
_QPM = 120.0


def note_sequence(notes):
    """Returns a NoteSequence at 120 quarters a minute of [start, end, pitch] in quarters."""
    sequence = note_seq.NoteSequence(ticks_per_quarter=220)
    sequence.tempos.add(qpm=_QPM)
    sequence.time_signatures.add(numerator=4, denominator=4)
    for start, end, pitch in notes:
        sequence.notes.add(start_time=start * 60 / _QPM, end_time=end * 60 / _QPM, pitch=pitch, velocity=80)
    sequence.total_time = max(end for _, end, _ in notes) * 60 / _QPM
    return sequence


def converter():
    """Returns magenta's converter of the config, set to keep every window of a melody."""
    made = copy.deepcopy(music_vae_configs.CONFIG_MAP[MUSIC_VAE].data_converter)
    made.set_mode("train")
    made.max_tensors_per_notesequence = None
    return made


def windows_of(notes, made):
    """Returns the distinct windows of a melody, int8 [n, 32], in the order of their events."""
    tensors = made.to_tensors(note_sequence(notes)).inputs
    found = sorted({tuple(np.argmax(tensor, 1).tolist()) for tensor in tensors})
    return np.array(found, np.int8).reshape(-1, events.STEPS)


def is_held_out(melody, share):
    """Returns whether a melody is held out: a function of its title and notes."""
    digest = hashlib.sha256(json.dumps([melody["title"], melody["notes"]]).encode()).digest()
    return int.from_bytes(digest[:4], "big") < share * 2**32


def split(melodies, share):
    """Returns the distinct windows to train on, those that are held out, and counts by source."""
    made = converter()
    parts, counts = ({}, {}), {}
    for melody in melodies:
        found = windows_of(melody["notes"], made)
        held_out = is_held_out(melody, share)
        count = counts.setdefault(melody["source"], {"melodies": 0, "held_out": 0, "windows": 0})
        count["melodies"] += 1
        count["held_out"] += held_out
        count["windows"] += len(found)
        parts[held_out].update((tuple(window), None) for window in found.tolist())
    kept, held_out = (np.array(list(part), np.int64).reshape(-1, events.STEPS) for part in parts)
    known = set(map(tuple, events.relative(kept).tolist()))
    new = [tuple(row) not in known for row in events.relative(held_out).tolist()]
    return kept.astype(np.int8), held_out[np.array(new, bool)].astype(np.int8), counts


def main(argv):
    """Writes the windows, and says how many there are."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("melodies")
    flags.add_argument("output")
    flags.add_argument("--held_out", type=float, default=0.05, help="share of the melodies")
    given = flags.parse_args(argv)
    with open(given.melodies) as lines:
        made_of = json.loads(next(lines))
        train, held_out, counts = split(map(json.loads, lines), given.held_out)
    made_of.update(sources=counts, melodies_sha256=provenance.sha256(given.melodies))
    np.savez_compressed(given.output, train=train, held_out=held_out, made_of=json.dumps(made_of))
    print("%d windows to train, %d held out" % (len(train), len(held_out)))


if __name__ == "__main__":
    main(sys.argv[1:])
