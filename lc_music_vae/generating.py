"""Generating MIDI files: what `midime_generate.py` calls.

Everything that can be wrong without a model is checked before TensorFlow is imported.
"""

import itertools
import logging
import math
import os
import re
import time
from typing import Any, List, Optional, Sequence, Tuple

from lc_music_vae import examples, files, model_files, run_dir
from lc_music_vae.errors import InputError

logger = logging.getLogger(__name__)

MODES = ("sample", "interpolate", "reconstruct")


def generate(
    mode: str,
    run_path: Optional[str] = None,
    checkpoint_file: Optional[str] = None,
    config: Optional[str] = None,
    vae_checkpoint_file: Optional[str] = None,
    vae_config: Optional[str] = None,
    input_midi_1: Optional[str] = None,
    input_midi_2: Optional[str] = None,
    input_bars_1: Optional[str] = None,
    input_bars_2: Optional[str] = None,
    num_outputs: int = 8,
    output_dir: Optional[str] = None,
    max_batch_size: int = 64,
    temperature: float = 0.5,
    seed: Optional[int] = None,
    qpm: Optional[float] = None,
    program: Optional[int] = None,
    melody_track: str = "auto",
) -> List[str]:
    """Generates MIDI files with a trained model.

    Args:
        mode: 'sample', 'interpolate' or 'reconstruct'.
        run_path: Folder of a training (--run_dir), or None with `checkpoint_file`.
        checkpoint_file: The small VAE's bundle, prefix or folder, or None.
        config: Name in the registry, where the files do not say it.
        vae_checkpoint_file: MusicVAE's checkpoint, where it is not the one that training used.
        vae_config: Name of the MusicVAE config; may be left out.
        input_midi_1: Start of an interpolation, or the song to reconstruct.
        input_midi_2: End of an interpolation.
        input_bars_1: Bars of `input_midi_1` to take, from 1, as in '5-6'; None if it holds one window.
        input_bars_2: The same of `input_midi_2`.
        num_outputs: Samples, or steps of the interpolation, both ends included.
        output_dir: Folder to write to; None is `generated` in the run's folder.
        max_batch_size: The most windows that are decoded at once.
        temperature: Softmax temperature of the decoder, above 0.
        seed: Seed of everything random; None draws one, and says which.
        qpm: Tempo of what is written, in quarters per minute; None is that of the songs that were trained on.
        program: General MIDI program, from 0, of melodies; None is that of those songs.
        melody_track: Which track of the inputs is read: 'auto', 'all', or a number or name.

    Returns:
        The files that were written, in order.

    Raises:
        InputError: Something given is not usable.
    """
    if mode not in MODES:
        raise InputError("--mode=%s must be one of %s" % (mode, ", ".join(MODES)))
    _check_numbers(mode, num_outputs, max_batch_size, temperature, seed)
    _check_style(mode, qpm, program)
    inputs = _check_inputs(mode, (input_midi_1, input_midi_2), (input_bars_1, input_bars_2))
    found = model_files.find(run_path, checkpoint_file, config, vae_checkpoint_file, vae_config)
    if output_dir is None:
        if run_path is None:
            raise InputError("--output_dir is needed with --checkpoint_file: the folder to write to")
        output_dir = run_dir.at(run_path).generated
    folder = _make_folder(output_dir)
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "little")
        logger.info("--seed=%d", seed)

    songs = [_read_one(path) for path, _ in inputs]
    ends = []
    if mode == "interpolate":
        from lc_music_vae import data

        converter = data.WindowConverter(found.music_vae, melody_track)
        for number, (song, (_, bars)) in enumerate(zip(songs, inputs), 1):
            ends.append(_pick_window(converter, song, bars, number, found.config, folder))

    from lc_music_vae.trained_model import TrainedModel

    with TrainedModel(
        run_path,
        checkpoint_file,
        config,
        vae_checkpoint_file,
        vae_config,
        max_batch_size,
        seed,
        qpm,
        program,
        melody_track,
    ) as model:
        if mode == "sample":
            sequences = model.sample(num_outputs, temperature, seed)
        elif mode == "interpolate":
            sequences = model.interpolate_windows(ends, num_outputs, temperature)
        else:
            sequences = [model.reconstruct(songs[0].note_sequence, temperature)]
    paths = _write(sequences, folder, "%s_%s" % (found.config, mode))
    logger.info("wrote %d file%s: %s", len(paths), "" if len(paths) == 1 else "s", _pattern(paths))
    logger.info("all on one sheet: %s", _draw(mode, sequences, songs, paths))
    return paths


def _check_numbers(mode: str, num_outputs: int, max_batch_size: int, temperature: float, seed: Optional[int]) -> None:
    least = 2 if mode == "interpolate" else 1
    if num_outputs < least:
        raise InputError("--num_outputs=%d must be %d or more in mode %s" % (num_outputs, least, mode))
    if max_batch_size < 1:
        raise InputError("--max_batch_size=%d must be 1 or more" % max_batch_size)
    if not (temperature > 0 and math.isfinite(temperature)):
        raise InputError("--temperature=%s must be a number above 0; 0.001 is as good as none" % temperature)
    if seed is not None and not 0 <= seed < 2**32:
        raise InputError("--seed=%d must be from 0 to %d" % (seed, 2**32 - 1))


def _check_style(mode: str, qpm: Optional[float], program: Optional[int]) -> None:
    if mode == "reconstruct" and (qpm is not None or program is not None):
        raise InputError(
            "--%s: a reconstruction keeps the song's own; leave it out" % ("program" if qpm is None else "qpm")
        )
    if qpm is not None and not 10 <= qpm <= 500:
        raise InputError("--qpm=%s must be from 10 to 500 quarters a minute" % qpm)
    if program is not None and not 0 <= program <= 127:
        raise InputError("--program=%d must be from 0 to 127" % program)


def _check_inputs(
    mode: str, paths: Sequence[Optional[str]], bars: Sequence[Optional[str]]
) -> List[Tuple[str, Optional[Tuple[int, int]]]]:
    """Returns the input files that `mode` reads, each with the bars that were asked for."""
    inputs = []
    for number in range(1, {"sample": 0, "reconstruct": 1, "interpolate": 2}[mode] + 1):
        path, text = paths[number - 1], bars[number - 1]
        flag = "--input_midi_%d" % number
        if not path:
            raise InputError("%s is needed in mode %s: a music file" % (flag, mode))
        found = examples.find(path, flag)
        if len(found) != 1:
            raise InputError("%s=%s holds %d music files; give one" % (flag, path, len(found)))
        match = re.match(r"(\d+)-(\d+)$", text or "")
        if text and not (match and 1 <= int(match.group(1)) <= int(match.group(2))):
            raise InputError("--input_bars_%d=%s: expected first and last bar, such as 5-6" % (number, text))
        inputs.append((found[0], (int(match.group(1)), int(match.group(2))) if match else None))
    return inputs


def _make_folder(path: str) -> str:
    folder = os.path.abspath(os.path.expanduser(path))
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError as e:
        raise InputError("--output_dir=%s cannot be made: %s" % (path, e.strerror)) from e
    if not os.access(folder, os.W_OK):
        raise InputError("--output_dir=%s cannot be written to; choose another" % path)
    return folder


def _read_one(path: str) -> examples.Song:
    songs = list(itertools.islice(examples.sources(path), 2))
    if len(songs) != 1:
        raise InputError("%s holds %s songs; give a file with one" % (path, "several" if songs else "no"))
    return examples.load(songs[0])


def _pick_window(
    converter: Any, song: examples.Song, bars: Optional[Tuple[int, int]], number: int, config: str, folder: str
) -> Any:
    """Returns the window of an interpolation's input: its only one, or the one that starts at the bars given.

    Raises:
        InputError: It holds none, or several; these are written to `folder` for the user to choose from.
    """
    score = converter.score(song)
    flag = "--input_midi_%d" % number
    if bars is not None:
        return _window_at(converter, score, bars, number)
    candidates = converter.candidates(score)
    if not candidates:
        raise InputError("%s=%s holds no notes that config %s reads" % (flag, song.name, config))
    if len(candidates) == 1:
        return candidates[0]
    sequences = converter.to_note_sequences([w.outputs for w in candidates])
    paths = _write(sequences, folder, "%s_input%d-extractions" % (config, number))
    for path, window in zip(paths, candidates):
        place = converter.bars_of(score, window.first_bar)
        logger.info("%s: track %d, bars %d-%d", os.path.basename(path), window.track, *place)
    example = converter.bars_of(score, candidates[0].first_bar)
    raise InputError(
        "%s=%s holds %d windows of %d bars, now written as %s; give one, or its bars, as in --input_bars_%d=%d-%d"
        % (flag, song.name, len(candidates), converter.bars, _pattern(paths), number, *example)
    )


def _window_at(converter: Any, score: Any, bars: Tuple[int, int], number: int) -> Any:
    text = "--input_bars_%d=%d-%d" % (number, *bars)
    num_bars = len(score.bars) - 1
    if bars[0] > num_bars:
        raise InputError("%s: %s has %d bars" % (text, score.name, num_bars))
    expected = converter.bars_of(score, bars[0] - 1)
    if bars != expected:
        raise InputError("%s: one window is bars %d-%d there" % (text, *expected))
    for track in score.tracks:
        window = converter.window(score, track, bars[0] - 1)
        if window is not None:
            logger.info("%s: bars %d-%d of track %s (%s)", score.name, *bars, track.label(), score.choice)
            return window
    raise InputError("%s: no note of %s starts in these bars" % (text, score.name))


def _write(sequences: Sequence[Any], folder: str, stem: str) -> List[str]:
    """Writes MIDI files named as Magenta names them; moves on by a second rather than overwrite one."""
    n = len(sequences)
    now = time.time()
    while True:
        stamp = time.strftime("%Y-%m-%d_%H%M%S", time.localtime(now))
        paths = [os.path.join(folder, "%s_%s-%03d-of-%03d.mid" % (stem, stamp, i, n)) for i in range(n)]
        if not any(map(os.path.exists, paths + ["%s_%s.png" % (os.path.join(folder, stem), stamp)])):
            break
        now += 1
    for sequence, path in zip(sequences, paths):
        _write_midi(sequence, path)
    return paths


def _draw(mode: str, sequences: Sequence[Any], songs: Sequence[examples.Song], paths: Sequence[str]) -> str:
    """Writes one PNG beside the MIDI files and returns its path."""
    from lc_music_vae import drawing

    numbers = ["%03d" % i for i in range(len(sequences))]
    if mode == "reconstruct":
        heard = {n.instrument for n in sequences[0].notes}
        song = type(sequences[0])(tempos=songs[0].note_sequence.tempos)
        song.notes.extend(n for n in songs[0].note_sequence.notes if n.instrument in heard)
        sheet = drawing.piano_rolls([song, sequences[0]], ["the song", "as the model hears it"], columns=1)
    else:
        if mode == "interpolate":
            numbers[0] += ": start, %s" % os.path.basename(songs[0].name)
            numbers[-1] += ": end, %s" % os.path.basename(songs[1].name)
        sheet = drawing.piano_rolls(sequences, numbers)
    path = re.sub(r"-000-of-\d+\.mid$", ".png", paths[0])
    with files.creating(path) as temporary:
        drawing.save(sheet, temporary)
    return path


def _write_midi(sequence: Any, path: str) -> None:
    import note_seq

    with files.creating(path) as temporary:
        note_seq.note_sequence_to_midi_file(sequence, temporary)


def _pattern(paths: Sequence[str]) -> str:
    return paths[0] if len(paths) == 1 else re.sub(r"-000-of-(\d+)\.mid$", r"-*-of-\1.mid", paths[0])
