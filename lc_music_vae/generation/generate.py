"""Generates music; called by `midime_generate.py`.

Everything that can be checked without a model is checked before TensorFlow is imported.
"""

import logging
import os
from typing import Any, Dict, List, Optional, Sequence

from lc_music_vae.checkpoints import model_files, run_dir
from lc_music_vae.checkpoints.model_files import ModelFiles
from lc_music_vae.errors import InputError
from lc_music_vae.generation import inputs as inputs_lib
from lc_music_vae.generation.inputs import Given
from lc_music_vae.generation.mode import Mode, Sheet
from lc_music_vae.generation.modes import get_mode
from lc_music_vae.music import examples
from lc_music_vae.options import MAX_PAGE_MB, REDRAW, ModelSource, Options, Reading, Request, Sampling, Sound
from lc_music_vae.showing import outputs, page
from lc_music_vae.showing.audio import find_engine
from lc_music_vae.showing.outputs import Output
from lc_music_vae.system import results

logger = logging.getLogger(__name__)

_MAX_DRAWN = 400  # outputs on one sheet, which is then 18,000 pixels high
_MAX_LINES = 16  # printed about single outputs; the index contains all of them


def generate(
    request: Request,
    source: ModelSource,
    output_dir: Optional[str] = None,
    *,
    sampling: Sampling = Sampling(),
    sound: Sound = Sound(),
    reading: Reading = Reading(),
) -> List[str]:
    """Generates MIDI files with a trained model.

    Args:
        request: What to generate.
        source: The model to use.
        output_dir: Folder to write to; None means `generated` in the run's folder.
        sampling: How points are drawn and decoded.
        sound: How outputs sound.
        reading: How inputs are read.

    Returns:
        Paths of the MIDI files that were written, in order, and of their sheet; or, in mode play, of the page alone.

    Raises:
        InputError: Something given is not usable.
    """
    mode = get_mode(request.mode)
    _check_taken(mode, request, sound, reading)
    mode.num_outputs(request)  # checks it
    inputs = inputs_lib.find(request, mode.num_inputs, mode.num_latents)
    formats = {"audio": find_engine()} if sound.audio else {}
    if mode.num_inputs:
        examples.start_reading()  # for the inputs: the reading process is ready before TensorFlow
    found = model_files.find(source)
    _check_songs(found, mode.settings(request))
    if output_dir is None and source.run_dir is not None and mode.is_page:
        output_dir = source.run_dir
    if output_dir is None:
        if source.run_dir is None:
            raise InputError("--output_dir is needed with --checkpoint_file: the folder to write to")
        output_dir = run_dir.at(source.run_dir).generated
    folder = outputs.make_folder(output_dir)
    if mode.is_page:
        return [_write_page(folder, found, request, sound)]
    seed = _seed(sampling)

    given = Given(inputs, [examples.read_one(one.path) for one in inputs if one.path])
    pictured: Sequence[Any] = []
    if given.songs and not mode.whole_songs:
        given, pictured = _with_windows(given, found, reading, folder)

    from lc_music_vae.trained_model import TrainedModel

    with TrainedModel(found, seed=seed, max_batch_size=sampling.max_batch_size, sound=sound, reading=reading) as model:
        made = mode.make(model, given, request, temperature=sampling.temperature, seed=seed)
        made = _with_nearest(model, made)
    drawn = _draw(mode.sheet(made, given, pictured=pictured, request=request))
    settings: Dict[str, Any] = {
        "seed": seed,
        "temperature": sampling.temperature,
        "inputs": [one.name for one in inputs],
        **mode.settings(request),
    }
    run = outputs.Run(found.config, mode.name, settings)
    paths = outputs.write(folder, run, made, sheet=drawn, formats=formats)
    _say(made)
    for path in paths[:-1]:
        results.logger.info(path)
    logger.info("wrote %d file%s", len(made), "" if len(made) == 1 else "s")
    logger.info("all on one sheet: %s", paths[-1])
    logger.info("to look at and listen to: %s", os.path.join(folder, page.PAGE))
    return paths


def _write_page(folder: str, found: ModelFiles, request: Request, sound: Sound) -> str:
    """Writes the page in which the model plays, and returns its path."""
    from lc_music_vae.showing import play_page  # needs TensorFlow

    play_page.check(folder)
    style = found.style
    qpm = style.qpm if sound.qpm is None else sound.qpm
    program = style.program if sound.program is None else sound.program
    limit = MAX_PAGE_MB if request.max_page_mb is None else request.max_page_mb
    path = play_page.write(folder, found._replace(style=style._replace(qpm=qpm, program=program)), max_page_mb=limit)
    logger.info("a page to play the model in, offline:")
    results.logger.info(path)
    return path


def _check_taken(mode: Mode, *records: Options) -> None:
    """Raises an `InputError` for the first given value that this mode does not take."""
    common = {"mode", "audio"}
    for record in records:
        for name, value in record.given().items():
            if name not in mode.takes() | common:
                raise InputError("--%s=%s: mode %s does not take it; leave it out" % (name, value, mode.name))


def _check_songs(found: ModelFiles, settings: Dict[str, Any]) -> None:
    """Raises an `InputError` if what is known of the songs that a model was trained on is damaged."""
    shards = run_dir.at(found.run_path).shards() if found.run_path else []
    if (settings.get("copies") == REDRAW or settings.get("freedom")) and not shards:
        from lc_music_vae.checkpoints import songs_npz  # needs NumPy

        songs_npz.find(found.small)


def _seed(sampling: Sampling) -> int:
    """Returns the given seed; without one, draws a seed and logs it."""
    if sampling.seed is not None:
        return sampling.seed
    seed = int.from_bytes(os.urandom(4), "little")
    logger.info("--seed=%d", seed)
    return seed


def _with_windows(given: Given, found: Any, reading: Reading, folder: str) -> Any:
    """Returns the inputs with their windows, and these windows as NoteSequences."""
    from lc_music_vae import data

    converter = data.WindowConverter(found.music_vae, reading)
    pairs = zip(given.songs, given.of_files())
    windows = [inputs_lib.pick_window(converter, *pair, config=found.config, folder=folder) for pair in pairs]
    return given._replace(windows=windows), converter.heard(windows)


def _with_nearest(model: Any, made: Sequence[Output]) -> List[Output]:
    """Returns the outputs, each with its nearest training window if the run's folder is available."""
    if not any(output.latent is not None for output in made):
        return list(made)
    found = model.nearest([output.note_sequence for output in made])
    if found is None:
        logger.info("how near these are to the songs that were trained on is known with --run_dir only")
        return list(made)
    return [output._replace(nearest=near) for output, near in zip(made, found)]


def _draw(sheet: Sheet) -> Any:
    from lc_music_vae.showing import piano_rolls

    if sheet.is_score:
        return piano_rolls.draw_score(sheet.sequences, sheet.titles)
    if len(sheet.sequences) > _MAX_DRAWN:
        logger.info("the sheet shows the first %d of %d", _MAX_DRAWN, len(sheet.sequences))
    columns = sheet.columns or piano_rolls.COLUMNS
    return piano_rolls.draw(sheet.sequences[:_MAX_DRAWN], sheet.titles[:_MAX_DRAWN], columns)


def _say(made: Sequence[Output]) -> None:
    """Logs the point and nearest training window of up to `_MAX_LINES` outputs, and warns of every copy."""
    points = [(output, output.latent) for output in made if output.latent is not None]
    for output, latent in points[:_MAX_LINES]:
        near = output.nearest and "; %.0f %% like %s" % (100 * output.nearest.similarity, output.nearest.label())
        results.logger.info("%s: --latent=%s%s", output.title, ",".join("%.2f" % x for x in latent), near or "")
    if len(points) > _MAX_LINES:
        logger.info("... and %d more, all in %s", len(points) - _MAX_LINES, page.INDEX)
    for output, _ in points:
        if output.nearest and output.nearest.copy:
            logger.warning("%s is a copy, note for note: %s", output.title, output.nearest.label())
