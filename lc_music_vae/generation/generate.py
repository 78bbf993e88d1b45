"""Generates music; called by `midime_generate.py`.

Everything that can be checked without a model is checked before TensorFlow is imported.
"""

import logging
import os
from typing import Any, Dict, List, Optional, Sequence

from lc_music_vae.checkpoints import model_files, run_dir
from lc_music_vae.checkpoints.model_files import ModelFiles
from lc_music_vae.errors import InputError
from lc_music_vae.generation import copies
from lc_music_vae.generation import inputs as inputs_lib
from lc_music_vae.generation.inputs import Given
from lc_music_vae.generation.mode import Mode, Sheet
from lc_music_vae.generation.modes import get_mode
from lc_music_vae.music import examples
from lc_music_vae.options import REDRAW, ModelSource, Options, Reading, Request, Sampling, Sound
from lc_music_vae.showing import outputs, page
from lc_music_vae.showing.audio import find_engine
from lc_music_vae.showing.outputs import Output
from lc_music_vae.system import results

logger = logging.getLogger(__name__)

_MAX_DRAWN = 400  # outputs on one sheet, which is then 18,000 pixels high


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
        Paths of the MIDI files that were written, in order, and of their sheet.

    Raises:
        InputError: Something given is not usable.
    """
    mode = get_mode(request.mode)
    _check_taken(mode, request, sound, reading)
    mode.num_outputs(request)  # checks it
    turned = _knobs_turned(request)
    inputs = inputs_lib.find(request, mode.num_inputs, mode.num_latents)
    control_midi = inputs_lib.find_controls(request)
    formats = {"audio": find_engine()} if sound.audio else {}
    if mode.reads_songs(request):
        examples.start_reading()  # the reading process is ready before TensorFlow
    found = model_files.find(source)
    _check_songs(found, mode.settings(request))
    _check_knobs(found, turned)
    if output_dir is None:
        if source.run_dir is None:
            raise InputError("--output_dir is needed with --checkpoint_file: the folder to write to")
        output_dir = run_dir.at(source.run_dir).generated
    folder = outputs.make_folder(output_dir)
    if mode.makes_page:
        from lc_music_vae.generation import controls as controls_lib

        controls_lib.find(request, None, mode, given=Given(), music_vae=found.music_vae, reading=reading)
        return [_write_play_page(folder, found, request.max_page_mb, sampling=sampling, sound=sound)]
    given = Given(inputs, [examples.read_one(one.path) for one in inputs if one.path])
    if given.songs and (mode.takes_windows(request) or request.list_bars):
        from lc_music_vae.generation import bars

        if request.list_bars:
            candidates = bars.listed(given, found.music_vae, reading)
            run = outputs.Run(found.config, "bars", {"inputs": [one.name for one in inputs]})
            return _write(folder, run, candidates, sheet=Sheet.of(candidates), formats=formats)
        given = bars.with_windows(given, found.music_vae, reading)

    seed = _seed(sampling)
    from lc_music_vae.generation import controls as controls_lib
    from lc_music_vae.trained_model import TrainedModel

    controls = controls_lib.find(request, control_midi, mode, given=given, music_vae=found.music_vae, reading=reading)
    with TrainedModel(found, seed=seed, max_batch_size=sampling.max_batch_size, sound=sound, reading=reading) as model:
        model.controls = controls
        made = mode.make(model, given, request, temperature=sampling.temperature, seed=seed)
        made = copies.compared(model, made, given)
    settings: Dict[str, Any] = {
        "seed": seed,
        "temperature": sampling.temperature,
        "inputs": [one.name for one in inputs],
        "knobs": request.knobs or None,
        "chords": request.chords,
        "control_midi": None if request.control_midi is None else os.path.basename(request.control_midi),
        **mode.settings(request),
    }
    run = outputs.Run(found.config, mode.name, settings, mode.bars(made, given))
    return _write(folder, run, made, sheet=mode.sheet(made, given, request=request), formats=formats)


def _write(
    folder: str, run: outputs.Run, made: Sequence[Output], *, sheet: Sheet, formats: Dict[str, Any]
) -> List[str]:
    """Writes what was made, says what was written, and returns the paths."""
    paths = outputs.write(folder, run, made, sheet=_draw(sheet), formats=formats)
    copies.say(made)
    for path in paths[:-1]:
        results.logger.info(path)
    logger.info("wrote %d file%s", len(made), "" if len(made) == 1 else "s")
    logger.info("all on one sheet: %s", paths[-1])
    logger.info("to look at and listen to: %s", os.path.join(folder, page.PAGE))
    return paths


def _write_play_page(folder: str, found: ModelFiles, max_page_mb: float, *, sampling: Sampling, sound: Sound) -> str:
    """Writes the page that plays the model, says so, and returns its path."""
    from lc_music_vae.showing import play_page
    from lc_music_vae.trained_model import TrainedModel

    path = os.path.join(folder, play_page.PAGE)
    seed = sampling.seed or 0  # the page of a model is the same again
    with TrainedModel(found, seed=seed, max_batch_size=sampling.max_batch_size, sound=sound) as model:
        playable = play_page.of_trained(model, found)

        def decode(where: Any) -> Sequence[Any]:
            logger.info("its decoder does not run on a page: %d places are decoded for it", len(where))
            return model.decode(where, sampling.temperature)

        play_page.write(path, playable, decode=decode, max_page_mb=max_page_mb)
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


def _knobs_turned(request: Request) -> List[str]:
    """Returns the names of the knobs that a request turns; raises an `InputError` if no model has one."""
    named = list(inputs_lib.parse_knobs(request.knobs)) if request.knobs is not None else []
    if request.along is not None:
        from lc_music_vae.music import measures  # needs NumPy

        if request.along not in measures.MEASURES:
            raise InputError("--along=%s is none of %s" % (request.along, ", ".join(measures.MEASURES)))
        named.append(request.along)
    return named


def _check_knobs(found: ModelFiles, turned: Sequence[str]) -> None:
    """Raises an `InputError` if a model does not have the knobs that are turned."""
    if not turned:
        return
    from lc_music_vae.models import knobs  # needs NumPy

    if found.knobs is None:
        raise InputError(knobs.BEFORE % ("%s=%s" % (found.small.flag, found.small.path)))
    knobs.check_offered(turned, [knob.name for knob in found.knobs])


def _seed(sampling: Sampling) -> int:
    """Returns the given seed; without one, draws a seed and logs it."""
    if sampling.seed is not None:
        return sampling.seed
    seed = int.from_bytes(os.urandom(4), "little")
    logger.info("--seed=%d", seed)
    return seed


def _draw(sheet: Sheet) -> Any:
    from lc_music_vae.showing import piano_rolls

    if sheet.is_score:
        return piano_rolls.draw_score(sheet.sequences, sheet.titles)
    rows = list(zip(sheet.sequences, sheet.titles, sheet.letters or [()] * len(sheet.titles)))
    if len(rows) > _MAX_DRAWN:
        logger.info("the sheet shows the first %d of %d, and the last", _MAX_DRAWN - 1, len(rows))
        rows = rows[: _MAX_DRAWN - 1] + rows[-1:]
    sequences, titles, letters = zip(*rows)
    return piano_rolls.draw(sequences, titles, columns=sheet.columns or piano_rolls.COLUMNS, letters=letters)
