"""Generating MIDI files: what `midime_generate.py` calls.

Everything that can be wrong without a model is checked before TensorFlow is imported.
"""

import itertools
import logging
import math
import os
import re
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae.checkpoints import model_files, run_dir
from lc_music_vae.errors import InputError
from lc_music_vae.music import examples, source
from lc_music_vae.showing import outputs, page
from lc_music_vae.showing.audio import find_engine
from lc_music_vae.showing.outputs import Output

logger = logging.getLogger(__name__)

MODES = ("sample", "interpolate", "reconstruct", "similar", "walk")
_INPUTS = {"sample": 0, "interpolate": 2, "reconstruct": 1, "similar": 1, "walk": 0}
_LATENTS = {"sample": 1, "interpolate": 2, "reconstruct": 0, "similar": 1, "walk": 1}
_MOST_OUTPUTS = 10000  # and what is decoded at once: beyond, it is a slip of the keyboard that would fill the memory
_LEAST_OUTPUTS = {"interpolate": 2, "walk": 2}
_FARTHEST = 1000  # of a point's numbers: N(0, I) has none beyond 10, and such as 1e39 no decoder makes notes of
_FAR = 2.0  # see TrainedModel.distances
_MOST_DRAWN = 400  # on one sheet: 18,000 pixels high
_MOST_LINES = 16  # of what is said of single outputs; all of it is in the index


class _Input(NamedTuple):
    """One of a mode's inputs: bars of a music file, or a point of the small latent instead.

    Attributes:
        name: What it is called in messages and on the sheet.
        number: 1 or 2, as in the flags' names.
        path: The music file, or None.
        bars: First and last of its bars, from 1, or None.
        latent: The point, or None.
    """

    name: str
    number: int
    path: Optional[str]
    bars: Optional[Tuple[int, int]]
    latent: Optional[List[float]]


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
    num_outputs: Optional[int] = None,
    output_dir: Optional[str] = None,
    max_batch_size: int = 64,
    temperature: float = 0.5,
    seed: Optional[int] = None,
    qpm: Optional[float] = None,
    program: Optional[int] = None,
    melody_track: str = "auto",
    metre: str = "any",
    similarity: float = 0.8,
    latent: Optional[str] = None,
    latent_2: Optional[str] = None,
    audio: bool = False,
) -> List[str]:
    """Generates MIDI files with a trained model.

    Args:
        mode: 'sample', 'interpolate', 'reconstruct', 'similar' or 'walk'.
        run_path: Folder of a training (--run_dir), or None with `checkpoint_file`.
        checkpoint_file: The small VAE's bundle, prefix or folder, or None.
        config: Name in the registry, where the files do not say it.
        vae_checkpoint_file: MusicVAE's checkpoint, where it is not the one that training used.
        vae_config: Name of the MusicVAE config; may be left out.
        input_midi_1: Start of an interpolation, the window to vary, or the song to reconstruct.
        input_midi_2: End of an interpolation.
        input_bars_1: Bars of `input_midi_1` to take, from 1, as in '5-6'; None if it holds one window.
        input_bars_2: The same of `input_midi_2`.
        num_outputs: Samples, or steps of the interpolation or of each dimension's walk, both ends included. None is 8,
            or 1 for samples at `latent`.
        output_dir: Folder to write to; None is `generated` in the run's folder.
        max_batch_size: The most windows that are decoded at once.
        temperature: Softmax temperature of the decoder, above 0.
        seed: Seed of everything random; None draws one, and says which.
        qpm: Tempo of what is written, in quarters per minute; None is that of the songs that were trained on.
        program: General MIDI program, from 0, of melodies; None is that of those songs.
        melody_track: Which track of the inputs is read: 'auto', 'all', or a number or name.
        metre: 'any', or '4/4' to leave out what is under other time signatures in the inputs.
        similarity: How near variations stay to the input, from 0 to 1.
        latent: A point of the small latent, numbers with commas between: the one to decode, to walk around, or one to
            start from in place of `input_midi_1`.
        latent_2: The same in place of `input_midi_2`.
        audio: Whether each output is rendered as WAV too.

    Returns:
        The MIDI files that were written, in order, and their picture.

    Raises:
        InputError: Something given is not usable.
    """
    if mode not in MODES:
        raise InputError("--mode=%s must be one of %s" % (mode, ", ".join(MODES)))
    if num_outputs is None:
        num_outputs = 1 if mode == "sample" and latent else 8
    _check_numbers(mode, num_outputs, max_batch_size, temperature, seed, similarity)
    _check_style(mode, qpm, program)
    inputs = _check_inputs(mode, (input_midi_1, input_midi_2), (input_bars_1, input_bars_2), (latent, latent_2))
    engine = find_engine() if audio else None
    examples.start_reading()  # for the inputs, and for the page afterwards: it is ready before TensorFlow is
    found = model_files.find(run_path, checkpoint_file, config, vae_checkpoint_file, vae_config)
    shards = run_dir.at(run_path).shards() if run_path else []
    if output_dir is None:
        if run_path is None:
            raise InputError("--output_dir is needed with --checkpoint_file: the folder to write to")
        output_dir = run_dir.at(run_path).generated
    folder = outputs.make_folder(output_dir)
    if seed is None:
        seed = int.from_bytes(os.urandom(4), "little")
        logger.info("--seed=%d", seed)

    songs = [_read_one(given.path) for given in inputs if given.path]
    windows = []
    if mode != "reconstruct":
        from lc_music_vae import data

        converter = data.WindowConverter(found.music_vae, melody_track, metre)
        of_files = [given for given in inputs if given.path]
        windows = [_pick_window(converter, *pair, found.config, folder) for pair in zip(songs, of_files)]

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
        metre,
    ) as model:
        if mode == "reconstruct":
            made = [Output(inputs[0].name, model.reconstruct(songs[0].note_sequence, temperature))]
        else:
            where, titles = _where(mode, model, _ends(model, inputs, windows), num_outputs, similarity, seed)
            if mode == "interpolate":
                titles[0] += ": start, %s" % inputs[0].name
                titles[-1] += ": end, %s" % inputs[1].name
            sequences = model.decode(where, temperature)
            nearest = _nearest(model, sequences, shards)
            made = [Output(*parts) for parts in zip(titles, sequences, where, nearest)]
    given = converter.to_note_sequences([w.outputs for w in windows]) if windows else []
    sheet = _draw(mode, made, songs, given, num_outputs)
    settings: Dict[str, Any] = {"seed": seed, "temperature": temperature, "inputs": [given.name for given in inputs]}
    if mode == "similar":
        settings["similarity"] = similarity
    paths = outputs.write(folder, found.config, mode, made, sheet, settings, engine)
    _say(made)
    logger.info("wrote %d file%s: %s", len(made), "" if len(made) == 1 else "s", outputs.pattern(paths[:-1]))
    logger.info("all on one sheet: %s", paths[-1])
    logger.info("to look at and listen to: %s", os.path.join(folder, page.PAGE))
    return paths


def _check_numbers(
    mode: str, num_outputs: int, max_batch_size: int, temperature: float, seed: Optional[int], similarity: float
) -> None:
    least = _LEAST_OUTPUTS.get(mode, 1)
    if num_outputs < least:
        raise InputError("--num_outputs=%d must be %d or more in mode %s" % (num_outputs, least, mode))
    if num_outputs > _MOST_OUTPUTS:
        raise InputError("--num_outputs=%d must be %d or fewer" % (num_outputs, _MOST_OUTPUTS))
    if max_batch_size < 1:
        raise InputError("--max_batch_size=%d must be 1 or more" % max_batch_size)
    if max_batch_size > _MOST_OUTPUTS:
        raise InputError("--max_batch_size=%d must be %d or fewer" % (max_batch_size, _MOST_OUTPUTS))
    if not 1e-6 <= temperature <= 1e6:  # beyond, float32 makes NaN of what the decoder draws from
        raise InputError("--temperature=%s must be a number above 0; 0.001 is as good as none" % temperature)
    if not 0 <= similarity <= 1:
        raise InputError("--similarity=%s must be from 0 to 1" % similarity)
    if seed is not None and not 0 <= seed < 2**32:
        raise InputError("--seed=%d must be from 0 to %d" % (seed, 2**32 - 1))


def _check_style(mode: str, qpm: Optional[float], program: Optional[int]) -> None:
    if mode == "reconstruct" and (qpm is not None or program is not None):
        raise InputError(
            "--%s: a reconstruction keeps the song's own; leave it out" % ("program" if qpm is None else "qpm")
        )
    if qpm is not None and not source.MIN_QPM <= qpm <= source.MAX_QPM:
        raise InputError("--qpm=%s must be from %d to %d quarters a minute" % (qpm, source.MIN_QPM, source.MAX_QPM))
    if program is not None and not 0 <= program <= 127:
        raise InputError("--program=%d must be from 0 to 127" % program)


def _check_inputs(
    mode: str, paths: Sequence[Optional[str]], bars: Sequence[Optional[str]], latents: Sequence[Optional[str]]
) -> List[_Input]:
    """Returns the inputs that were given for `mode`, each a music file or a point."""
    inputs = []
    for number, path, text, latent in zip((1, 2), paths, bars, latents):
        flag = "--latent" if number == 1 else "--latent_2"
        if latent and number > _LATENTS[mode]:
            raise InputError("%s=%s: mode %s does not take it; leave it out" % (flag, latent, mode))
        if latent and number <= _INPUTS[mode] and path:
            raise InputError("give either --input_midi_%d or %s" % (number, flag))
        if latent:
            point = _parse_latent(flag, latent)
            inputs.append(_Input("%s=%s" % (flag, latent), number, None, None, point))
        elif number <= _INPUTS[mode]:
            inputs.append(_find_input(mode, number, path, text))
    return inputs


def _parse_latent(flag: str, text: str) -> List[float]:
    try:
        point = [float(x) for x in text.split(",")]
    except ValueError:
        point = [math.nan]
    if not all(map(math.isfinite, point)):
        raise InputError("%s=%s: expected numbers with commas between, such as 0.3,-1,0,2" % (flag, text))
    if not all(abs(x) <= _FARTHEST for x in point):
        raise InputError(
            "%s=%s: its numbers must be from -%d to %d; few samples are beyond 3" % (flag, text, _FARTHEST, _FARTHEST)
        )
    return point


def _find_input(mode: str, number: int, path: Optional[str], bars: Optional[str]) -> _Input:
    flag = "--input_midi_%d" % number
    if not path:
        instead = ", or --latent%s" % ("" if number == 1 else "_2") if _LATENTS[mode] else ""
        raise InputError("%s is needed in mode %s: a music file%s" % (flag, mode, instead))
    found = examples.find(path, flag)
    if len(found) != 1:
        raise InputError("%s=%s holds %d music files; give one" % (flag, path, len(found)))
    match = re.match(r"(\d+)-(\d+)$", bars or "")
    if bars and not (match and 1 <= int(match.group(1)) <= int(match.group(2))):
        raise InputError("--input_bars_%d=%s: expected first and last bar, such as 5-6" % (number, bars))
    chosen = (int(match.group(1)), int(match.group(2))) if match else None
    return _Input(os.path.basename(found[0]), number, found[0], chosen, None)


def _read_one(path: str) -> examples.Song:
    songs = list(itertools.islice(examples.sources(path), 2))
    if len(songs) != 1:
        raise InputError("%s holds %s songs; give a file with one" % (path, "several" if songs else "no"))
    return examples.load(songs[0])


def _pick_window(converter: Any, song: examples.Song, given: _Input, config: str, folder: str) -> Any:
    """Returns the window of an input: its only one, or the one that starts at the bars given.

    Raises:
        InputError: It holds none, or several; these are written to `folder` for the user to choose from.
    """
    score = converter.score(song)
    flag = "--input_midi_%d" % given.number
    if given.bars is not None:
        return _window_at(converter, score, given.bars, given.number)
    candidates = converter.candidates(score)
    if not candidates:
        said = "%s=%s holds no notes that config %s reads" % (flag, song.name, config)
        raise InputError("; ".join((said,) + score.remarks))
    if len(candidates) == 1:
        return candidates[0]
    sequences = converter.to_note_sequences([w.outputs for w in candidates])
    paths = outputs.write_midi(sequences, folder, "%s_input%d-extractions" % (config, given.number))
    for path, window in zip(paths, candidates):
        place = os.path.basename(path), window.track, window.first_bar + 1, window.last_bar + 1
        logger.info("%s: track %d, bars %d-%d", *place)
    example = candidates[0].first_bar + 1, candidates[0].last_bar + 1
    raise InputError(
        "%s=%s holds %d windows of %d bars, now written as %s; give one, or its bars, as in --input_bars_%d=%d-%d"
        % (flag, song.name, len(candidates), converter.bars, outputs.pattern(paths), given.number, *example)
    )


def _window_at(converter: Any, score: Any, bars: Tuple[int, int], number: int) -> Any:
    text = "--input_bars_%d=%d-%d" % (number, *bars)
    num_bars = len(score.bars) - 1
    if bars[0] > num_bars:
        raise InputError("%s: %s has %d bars" % (text, score.name, num_bars))
    expected = bars[0], converter.last_bar(score, bars[0] - 1) + 1
    if bars != expected:
        raise InputError("%s: one window is bars %d-%d there" % (text, *expected))
    for track in score.tracks:
        window = converter.window(score, track, bars[0] - 1)
        if window is not None:
            logger.info("%s: bars %d-%d of track %s (%s)", score.name, *bars, track.label(), score.choice)
            return window
    said = "%s: no note of %s starts in these bars" % (text, score.name)
    raise InputError("; ".join((said,) + score.remarks))


def _ends(model: Any, inputs: Sequence[_Input], windows: Sequence[Any]) -> List[Any]:
    """Returns the inputs' points of the small latent; warns of those that it cannot hold."""
    for given in inputs:
        if given.latent and len(given.latent) != model.encoded_z_size:
            raise InputError(
                "%s: this model's latent has %d numbers, not %d" % (given.name, model.encoded_z_size, len(given.latent))
            )
    means = []
    if windows:
        means, _ = model.encode_windows(windows)
        distances = model.distances(windows)
        of_files = [given for given in inputs if given.path]
        for given, distance in zip(of_files, [] if distances is None else distances):
            if distance > _FAR:
                logger.warning(
                    "--input_midi_%d=%s lies far from the songs that were trained on (%.1f times their own distance): "
                    "the small latent cannot hold it, and what comes out will be more like them than like it",
                    given.number,
                    given.path,
                    distance,
                )
    remaining = iter(means)
    return [given.latent or next(remaining) for given in inputs]


def _where(mode: str, model: Any, ends: Sequence[Any], n: int, similarity: float, seed: int) -> Tuple[Any, List[str]]:
    """Returns the points to decode, float [number of outputs, encoded_z_size], and what each is called."""
    import numpy as np

    from lc_music_vae.models import points

    if mode == "walk":
        way = points.walk(np.array(ends[0]) if ends else model.center, n)
        titles = ["knob %d: %.2f" % (i + 1, way[i, step, i]) for i in range(len(way)) for step in range(n)]
        return way.reshape(-1, model.encoded_z_size), titles
    if mode == "interpolate":
        where = points.slerp(np.array(ends[0]), np.array(ends[1]), n)
    elif mode == "similar":
        where = points.similar(np.array(ends[0]), n, similarity, seed)
    elif ends:
        where = np.repeat([ends[0]], n, 0)
    else:
        where = points.prior_samples(n, model.encoded_z_size, seed)
    return where, ["%03d" % i for i in range(n)]


def _nearest(model: Any, sequences: Sequence[Any], shards: Sequence[str]) -> List[Any]:
    """Returns the training window nearest to each sequence, where the run's folder is at hand."""
    from lc_music_vae import data
    from lc_music_vae.encoding import nearness

    if not shards:
        logger.info("how near these are to the songs that were trained on is known with --run_dir only")
        return [None] * len(sequences)
    # What was trained on is kept as MusicVAE hears it.
    heard = [data.notes_of(sequence) + [0, 0, 12 * model.octaves] for sequence in sequences]
    return nearness.find(heard, shards)


def _draw(mode: str, made: Sequence[Output], songs: Sequence[examples.Song], windows: Sequence[Any], n: int) -> Any:
    """Draws everything on one sheet, what was given before what became of it."""
    from lc_music_vae.showing import piano_rolls

    given, titles, columns = [], [output.title for output in made], piano_rolls.COLUMNS
    if mode == "reconstruct":
        heard = {note.instrument for note in made[0].note_sequence.notes}
        song = type(made[0].note_sequence)(tempos=songs[0].note_sequence.tempos)
        song.notes.extend(note for note in songs[0].note_sequence.notes if note.instrument in heard)
        given, titles, columns = [song], ["the song", "as the model hears it"], 1
    elif mode == "similar" and windows:
        given, titles = windows, ["given: %s" % os.path.basename(songs[0].name)] + titles
    elif mode == "walk":
        columns = n
    sequences = list(given) + [output.note_sequence for output in made]
    if len(sequences) > _MOST_DRAWN:
        logger.info("the sheet shows the first %d of %d", _MOST_DRAWN, len(sequences))
    return piano_rolls.draw(sequences[:_MOST_DRAWN], titles[:_MOST_DRAWN], columns)


def _say(made: Sequence[Output]) -> None:
    """Says of each output where it is from and what it is near to: at most a screenful, but every copy."""
    points = [output for output in made if output.latent is not None]
    for output in points[:_MOST_LINES]:
        near = output.nearest and "; %.0f %% like %s" % (100 * output.nearest.similarity, output.nearest.label())
        logger.info("%s: --latent=%s%s", output.title, ",".join("%.2f" % x for x in output.latent), near or "")
    if len(points) > _MOST_LINES:
        logger.info("... and %d more, all in %s", len(points) - _MOST_LINES, page.INDEX)
    for output in points:
        if output.nearest and output.nearest.copy:
            logger.warning("%s is a copy, note for note: %s", output.title, output.nearest.label())
