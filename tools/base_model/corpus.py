"""Reads public-domain melodies with music21 and writes them as one line of JSON each.

Run with the Python that has music21 (requirements.txt beside this file); it needs nothing of the toolkit:

    python corpus.py melodies.jsonl [--abc=FOLDER ...]

The first line holds the version of music21. Each other line holds `source` (a key of SOURCES, or `abc:` and the
folder's name), `title`, and `notes`: a list of [start, end, MIDI pitch] with times in quarters. Time 0 is the line of a
bar of four quarters. Only tunes in 4/4, 2/2 or 2/4 throughout are kept; two bars of 2/4 are one bar here. Repeats are
not played twice. Where notes begin together, the highest is the melody. Each voice of a chorale is its own melody.
"""

import argparse
import glob
import json
import logging
import multiprocessing
import os
import sys

# Where music21 keeps them, and what they are. All music is traditional or long out of copyright; the README of the
# weights says who encoded it. music21's Essen folk songs are left out: they are not for commercial use.
SOURCES = {
    "airdsAirs": "Aird, A Selection of Scotch, English, Irish and Foreign Airs (1782)",
    "oneills1850": "O'Neill, Music of Ireland (1903)",
    "ryansMammoth": "Ryan's Mammoth Collection (1883)",
    "miscFolk": "American fife tunes and Northumbrian Minstrelsy (1882)",
    "nottingham-dataset": "Nottingham Music Database, two tunes",
    "bach": "J. S. Bach, chorales",
}
METRES = {"4/4": 4.0, "2/2": 4.0, "2/4": 2.0}  # quarters in a bar


def melody(notes, bar, first_bar):
    """Returns a melody as [start, end, pitch], where time 0 is the line of a bar that is as long as the others.

    Args:
        notes: (start, length, pitches) of each note or chord, in quarters from the start, in order; notes of length 0
            are grace notes, and left out.
        bar: Length of a bar in quarters.
        first_bar: Length of the first bar; if it is shorter than the others, it is an upbeat.
    """
    shift = bar - first_bar if 0 < first_bar < bar else 0.0
    found = []
    for start, length, pitches in notes:
        if not length:
            continue
        start += shift
        if found and found[-1][0] == start:
            found[-1][2] = max([found[-1][2], *pitches])
        else:
            found.append([start, start + length, max(pitches)])
    return [[round(start, 4), round(end, 4), pitch] for start, end, pitch in found]


def melody_of(part):
    """Returns the melody of a music21 part in one of METRES, or None if it has another metre or several."""
    import music21  # only this reading needs it, and what the toolkit runs in does not have it

    flat = part.flatten()
    metres = {signature.ratioString for signature in flat.getElementsByClass(music21.meter.TimeSignature)}
    if len(metres) != 1 or not metres <= set(METRES):
        return None
    bar = METRES[metres.pop()]
    first = part.getElementsByClass(music21.stream.Measure).first()
    notes = [n for n in flat.stripTies().notes if not isinstance(n, music21.harmony.Harmony)]
    timed = [(float(n.offset), float(n.duration.quarterLength), [p.midi for p in n.pitches]) for n in notes]
    return melody(timed, bar, bar if first is None else float(first.duration.quarterLength))


def melodies_of(path):
    """Returns (title, notes) of each melody in a file, and how many parts or tunes it had that are none."""
    import music21

    found, left_out = [], 0
    try:
        parsed = music21.converter.parse(path)
    except Exception as e:  # whatever music21 trips over is counted and said
        logging.warning("%s: %s", path, e)
        return [], 1
    for score in parsed.scores if isinstance(parsed, music21.stream.Opus) else [parsed]:
        title = (score.metadata and score.metadata.title) or os.path.basename(path)
        for part in score.parts:
            try:
                notes = melody_of(part)
            except Exception as e:
                logging.warning("%s, %s: %s", path, title, e)
                notes = None
            if notes:
                found.append((title, notes))
            else:
                left_out += 1
    return found, left_out


def _read(job):
    return job[0], melodies_of(job[1])


def main(argv):
    """Writes the melodies, and says of each source how many."""
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("output")
    flags.add_argument("--abc", action="append", default=[], help="a folder of more ABC files")
    flags.add_argument("--processes", type=int, default=2)
    given = flags.parse_args(argv)
    import music21

    root = os.path.join(os.path.dirname(music21.__file__), "corpus")
    jobs = []
    for source in SOURCES:
        pattern = "bwv*.mxl" if source == "bach" else "*.abc"
        jobs += [(source, path) for path in sorted(glob.glob(os.path.join(root, source, pattern)))]
    for folder in given.abc:
        paths = sorted(glob.glob(os.path.join(folder, "**", "*.abc"), recursive=True))
        if not paths:
            raise SystemExit("--abc=%s holds no .abc file; give the folder that holds them" % folder)
        jobs += [("abc:" + os.path.basename(os.path.abspath(folder)), path) for path in paths]
    counts = {}
    with multiprocessing.Pool(given.processes) as pool, open(given.output + ".part", "w") as written:
        written.write(json.dumps({"music21": music21.__version__}) + "\n")
        for source, (found, left_out) in pool.imap(_read, jobs):
            kept, others = counts.get(source, (0, 0))
            counts[source] = kept + len(found), others + left_out
            for title, notes in found:
                written.write(json.dumps({"source": source, "title": title, "notes": notes}) + "\n")
    os.replace(given.output + ".part", given.output)
    for source, (kept, others) in counts.items():
        print("%s: %d melodies; %d left out" % (source, kept, others))


if __name__ == "__main__":
    main(sys.argv[1:])
