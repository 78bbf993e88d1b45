"""Evaluates the small VAE: `midime_train.py --mode=eval` and notebooks call this module.

Everything that can be checked without a model is checked before TensorFlow is imported.
"""

import logging
import os
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from lc_music_vae.checkpoints import model_files, run_json, shards
from lc_music_vae.checkpoints import run_dir as run_dir_lib
from lc_music_vae.checkpoints.checkpoint import Checkpoint
from lc_music_vae.checkpoints.run_dir import RunDir
from lc_music_vae.checkpoints.run_json import RunJson
from lc_music_vae.errors import InputError
from lc_music_vae.options import ALLOW, Evaluation, ModelSource, Path, Paths, path_of, paths_of
from lc_music_vae.system import results, talk
from lc_music_vae.training import job as jobs
from lc_music_vae.training import songs as songs_lib

logger = logging.getLogger(__name__)

_PICTURED = 8  # samples and reconstructions in TensorBoard
_MAX_ON_MAP = 2000  # windows: the projector shows some of a large collection


@talk.heard()
def evaluate(
    run_dir: Path,
    examples_path: Optional[Paths] = None,
    *,
    eval_num_batches: Optional[int] = None,
    eval_dir_suffix: str = "",
    pretrained_path: Optional[Path] = None,
    config: Optional[str] = None,
) -> Dict[str, Any]:
    """Evaluates the newest checkpoint in `run_dir` once, on its training songs or on others.

    Args:
        run_dir: The run's folder.
        examples_path: Songs, as for `train`; None means the training songs.
        eval_num_batches: Number of batches to evaluate; None means all.
        eval_dir_suffix: The scalars are written to `{run_dir}/eval{eval_dir_suffix}`.
        pretrained_path: MusicVAE's checkpoint; None means the one that training used.
        config: None, or the name of the config that the run was trained with.

    Returns:
        loss, reconstruction and kl, in nats per window; score, by how much the model makes these windows likelier than
        MusicVAE does, and score_of_new, the same over the windows that are no near-copies of training windows (left
        out if there are none), in nats per window, see `training.score`; and global_step.

    Raises:
        InputError: There is nothing to evaluate, or something contradicts the contents of `run_dir`.
    """
    options = Evaluation(eval_num_batches, eval_dir_suffix)
    folder = jobs.folder_of(run_dir)
    _check_suffix(folder, options.eval_dir_suffix)
    run = folder.read_trained()
    run_dir_lib.check_same(folder.run_json, run.settings._asdict(), {"config": config})
    kept = folder.kept(run)
    others = [] if examples_path is None else songs_lib.find_others(kept, paths_of("examples_path", examples_path))
    if not others:
        folder.check_whole(kept)
    if examples_path is None:
        songs_lib.say_what_changed(folder, run, kept)
    pretrained = path_of("pretrained_path", pretrained_path) if pretrained_path else None
    checkpoint = model_files.find_pretrained("--pretrained_path", pretrained, config=run.settings.config, run=run)
    with folder.evaluating(options.eval_dir_suffix) as target:
        return _evaluate(_Run(folder, run, checkpoint, target), kept, others, eval_num_batches)


class _Run(NamedTuple):
    """What is evaluated: a run and its MusicVAE; and the folder to write to."""

    folder: RunDir
    recorded: RunJson
    checkpoint: Checkpoint
    target: str


def _check_suffix(folder: RunDir, suffix: str) -> None:
    if os.path.basename(folder.eval(suffix)) != "eval" + suffix or "\0" in suffix:
        raise InputError("--eval_dir_suffix=%s must be part of a folder's name" % suffix)


def _evaluate(run: _Run, kept: shards.Kept, others: List[str], num_batches: Optional[int]) -> Dict[str, Any]:
    """Evaluates, after `evaluate` has checked everything."""
    from lc_music_vae.training import estimator, hooks, score, summaries

    found = _latents(run, kept, others)
    settings = run.recorded.settings
    with run.folder.copied(run.recorded) as small:
        estimator.check_weights(small, settings.hparams, found.z_size)
        result = estimator.evaluate(found, settings, small.prefix, num_batches=num_batches)
        numbers = hooks.Numbers(result["loss"], result["reconstruction"], result["kl"])
        made, pictures = _show(run, small.prefix, found, kept)
    result["score"] = made.all
    if made.new is not None:
        result["score_of_new"] = made.new
    scalars = {name: value for name, value in result.items() if name != "global_step"}
    summaries.write(run.target, result["global_step"], scalars=scalars, pictures=pictures)
    results.logger.info("step %d on %d windows: %s a window", result["global_step"], found.num_windows, numbers)
    results.logger.info("these bars are %s", score.in_words(made, trained_on=not others))
    logger.info("pictures of samples and reconstructions, and the latents: tensorboard --logdir=%s", run.folder.path)
    return result


def _latents(run: _Run, kept: shards.Kept, others: List[str]) -> Any:
    """Returns the latents to evaluate on, those of the training songs or of other songs; says which songs they are."""
    from lc_music_vae.encoding import latents
    from lc_music_vae.training import encoded, report

    made_with, weights, _ = encoded.encoding(run.recorded.settings, run.recorded, run.checkpoint)
    if not others:
        found = latents.load(kept)
        report.say(found, run.folder.examples)
        return found
    planned = latents.plan(shards.hashed(others))
    found = latents.complete(planned, os.path.join(run.target, "latents"), made_with, weights=weights)
    report.write(found, os.path.join(run.target, "examples.tsv"))
    return found


def _show(run: _Run, prefix: str, found: Any, kept: shards.Kept) -> Tuple[run_json.Score, Dict[str, Any]]:
    """Puts the windows' latents into TensorBoard's projector; returns their score, and pictures of the model's output.

    The pictures show samples, and some windows next to their reconstructions.
    """
    import numpy as np

    from lc_music_vae import data
    from lc_music_vae.encoding import broad_part, latents
    from lc_music_vae.models.prior import PersonalPrior
    from lc_music_vae.showing import piano_rolls
    from lc_music_vae.trained_model import TrainedModel
    from lc_music_vae.training import score, summaries

    windows = latents.own_key(found.shards, _MAX_ON_MAP)
    z, records = windows.means, windows.records
    places = ["bars %d-%d" % (r["first_bar"] + 1, r["last_bar"] + 1) for r in records]
    with TrainedModel(ModelSource(checkpoint_file=prefix, vae_checkpoint_file=run.checkpoint.path)) as model:
        prior = PersonalPrior(model.small, broad_part.of_latents(kept.paths))
        made = score.score(prior.log_prob, windows, kept.paths).record()
        means, _ = model.small.encode(z)
        some = np.unique(np.linspace(0, len(z) - 1, _PICTURED).astype(int))
        if model.converter.controls:
            model.controls = np.stack([records[i]["controls"].reshape(-1, model.converter.control_depth) for i in some])
        heard = model.decode(means[some])
        samples = model.sample(_PICTURED, copies=ALLOW)  # what the model gives by itself
    rows = [["song", "bars", "track", "repeats"]]
    for record, place in zip(records, places):
        rows.append([os.path.basename(record["song"]), place, str(record["track"]), str(record["repeats"])])
    summaries.write_projector(run.target, means, rows)
    pairs, titles = [], []
    for i, again in zip(some, heard):
        pairs += [data.to_note_sequence(records[i]["notes"], model.time_signature), again]
        titles += ["%s %s" % (rows[i + 1][0], places[i]), "as the model hears it"]
    return made, {
        "samples": piano_rolls.draw(samples, ["%03d" % i for i in range(len(samples))]),
        "reconstructions": piano_rolls.draw(pairs, titles),
    }
