"""Training and evaluating: what `midime_train.py` calls, and notebooks.

Everything that can be wrong without a model is checked before TensorFlow is imported.
"""

import importlib
import logging
import os
from typing import Any, Dict, List, Optional, Sequence, Union

from lc_music_vae import checkpoints, examples, files, interrupts, model_files
from lc_music_vae import hparams as hparams_lib
from lc_music_vae import run_dir as run_dir_lib
from lc_music_vae.configs import get_config
from lc_music_vae.errors import InputError

logger = logging.getLogger(__name__)

Paths = Union[str, Sequence[str]]

_PICTURED = 8  # samples and reconstructions in TensorBoard
_MOST_SAID = 5  # songs of a kind: a path and a reason may fill several lines of a screen
_MOST_ON_MAP = 2000  # windows: the picture of a large collection shows its beginning


def train(
    config: str,
    examples_path: Paths,
    run_dir: str,
    pretrained_path: Optional[str] = None,
    num_steps: int = 500,
    hparams: str = "",
    augment: Optional[bool] = None,
    seed: Optional[int] = None,
    checkpoints_to_keep: int = 5,
    keep_checkpoint_every_n_hours: float = 1.0,
    num_data_threads: int = 2,
    melody_track: Optional[str] = None,
    metre: Optional[str] = None,
) -> str:
    """Trains the small VAE of `config` on songs; goes on where an earlier call on the same `run_dir` stopped.

    Args:
        config: Name in the registry.
        examples_path: A music file, a TFRecord of NoteSequences, a glob or a folder; or several of them.
        run_dir: The run's folder; see `run_dir.RunDir`.
        pretrained_path: MusicVAE's checkpoint (tar, prefix or folder); None is the one that ships.
        num_steps: Global step to train to.
        hparams: Overrides of the config's hyperparameters, as in 'encoded_z_size=8,max_beta=0.5'.
        augment: Whether to train on transpositions too; None is as before, else no.
        seed: Seed of everything random; None is as before, else 0.
        checkpoints_to_keep: Newest checkpoints that are kept.
        keep_checkpoint_every_n_hours: One checkpoint in so many hours is kept for good.
        num_data_threads: Threads that read latents during training.
        melody_track: Which track of each song is its melody: 'auto', 'all', or a number or name; None is as before,
            else 'auto'.
        metre: 'any', or '4/4' to leave out what is under other time signatures; None is as before, else 'any'.

    Returns:
        Path of the bundle `{run_dir}/{config}.tar`: the small VAE and `run.json`.

    Raises:
        InputError: Something given is not usable, or contradicts what `run_dir` holds; another training is in there; or
            something cannot be written.
        KeyboardInterrupt: It was stopped; the same call goes on.
    """
    get_config(config)
    _check_at_least("num_steps", num_steps, 1)
    _check_at_least("checkpoints_to_keep", checkpoints_to_keep, 1)
    _check_at_least("num_data_threads", num_data_threads, 1)
    _check_at_least("keep_checkpoint_every_n_hours", keep_checkpoint_every_n_hours, 0)
    folder = run_dir_lib.at(run_dir)
    run = folder.read()
    settings = _settings(folder, run, config, hparams, augment, seed, melody_track, metre)
    paths = _find_examples(examples_path)
    checkpoint = model_files.find_pretrained("--pretrained_path", pretrained_path, config, run)
    bundle = folder.bundle(config)
    _, step = folder.latest()
    if run is not None and step >= num_steps and os.path.isfile(bundle):
        logger.info("%s is trained to step %d already; to go on, give a larger --num_steps", folder.path, step)
        return bundle
    folder.make()
    if run is None:  # else what was read of the songs is kept, as a rule
        examples.start_reading()  # it is ready before TensorFlow is
    with folder.held(), interrupts.saying(lambda: "at step %d of %d" % (folder.latest()[1], num_steps)):
        if folder.read() != run or folder.latest()[1] != step:
            raise InputError("--run_dir=%s was trained in by another process just now; try again" % run_dir)
        keep = checkpoints_to_keep, keep_checkpoint_every_n_hours
        return _train(folder, run, step, settings, paths, checkpoint, examples_path, num_steps, *keep, num_data_threads)


def _train(
    folder,
    run: Optional[dict],
    step: int,
    settings: Dict[str, Any],
    paths: List[str],
    checkpoint: checkpoints.Checkpoint,
    examples_path: Paths,
    num_steps: int,
    checkpoints_to_keep: int,
    keep_checkpoint_every_n_hours: float,
    num_data_threads: int,
) -> str:
    """Does what `train` has checked, in a folder that no other training is in."""
    with interrupts.saying(lambda: "while songs were read"):
        found, fingerprint = _latents(settings, paths, checkpoint, folder.latents, run)
    _report(found, folder.examples)
    from lc_music_vae import estimator, latents

    settings["pretrained"] = {
        "path": os.path.abspath(os.path.expanduser(checkpoint.path)),
        "stamp": checkpoints.stamp(checkpoint),
        "fingerprint": fingerprint,
    }
    settings["examples"] = {
        "path": [os.path.abspath(os.path.expanduser(path)) for path in _as_list(examples_path)],
        "digest": latents.digest(found.shards),
        "windows": found.num_windows,
    }
    settings["music"] = {"qpm": found.qpm, "program": found.program, "octaves": found.octaves}
    files.write_json(folder.run_json, settings)
    values = hparams_lib.from_json(settings["hparams"])
    reached = ""
    if step < num_steps:
        size = estimator.batch_size(values, found.num_windows)
        logger.info("training from step %d to %d, %d windows a step", step, num_steps, size)
        numbers = estimator.train(
            found,
            values,
            folder.train,
            num_steps,
            step,
            settings["seed"],
            checkpoints_to_keep,
            keep_checkpoint_every_n_hours,
            num_data_threads,
            lambda: importlib.import_module("lc_music_vae.drawing"),  # for the picture afterwards: it is slow to load
        )
        reached = ": " + str(numbers)
    prefix, step = folder.latest()
    if step < num_steps:  # a limit on the size of files looks to Estimator like the end of the data
        raise files.cannot_write(folder.train, EOFError("its last checkpoint is of step %d" % step))
    settings["latent"] = _look_back(folder, found)
    files.write_json(folder.run_json, settings)
    bundle = folder.bundle(settings["config"])
    checkpoints.write_bundle(bundle, prefix, settings["config"] + ".ckpt", settings)
    logger.info("trained to step %d on %s%s", step, _counted(found), reached)
    logger.info("  the model to keep or share: %s", bundle)
    logger.info("  its curves and a map of its latent: %s", folder.picture)
    return bundle


def evaluate(
    run_dir: str,
    examples_path: Optional[Paths] = None,
    eval_num_batches: Optional[int] = None,
    eval_dir_suffix: str = "",
    pretrained_path: Optional[str] = None,
    config: Optional[str] = None,
) -> Dict[str, Any]:
    """Evaluates the newest checkpoint in `run_dir` once, on its training songs or on others.

    Args:
        run_dir: The run's folder.
        examples_path: Songs, as for `train`; None is those that it was trained on.
        eval_num_batches: Batches to evaluate; None is all.
        eval_dir_suffix: The scalars go to `{run_dir}/eval{eval_dir_suffix}`.
        pretrained_path: MusicVAE's checkpoint; None is the one that training used.
        config: None, or the name of the config that it was trained with.

    Returns:
        loss, reconstruction and kl, in nats a window, and global_step.

    Raises:
        InputError: There is nothing to evaluate, or something contradicts what `run_dir` holds.
    """
    if eval_num_batches is not None:
        _check_at_least("eval_num_batches", eval_num_batches, 1)
    folder = run_dir_lib.at(run_dir)
    run = folder.read()
    prefix, _ = folder.latest()
    if run is None or prefix is None:
        raise InputError("--run_dir=%s holds no trained model; train one there with --mode=train" % run_dir)
    run_dir_lib.check_same(folder.run_json, run, {"config": config})
    paths = _find_examples(examples_path or run["examples"]["path"])
    checkpoint = model_files.find_pretrained("--pretrained_path", pretrained_path, run["config"], run)
    target = folder.eval(eval_dir_suffix)
    # Latents of other songs must not take the place of those that training goes on with.
    others = examples_path is not None and paths != _find_examples(run["examples"]["path"])
    where = os.path.join(target, "latents") if others else folder.latents
    found, _ = _latents(run, paths, checkpoint, where, run)
    _report(found, os.path.join(target, "examples.tsv") if others else folder.examples)

    from lc_music_vae import estimator, summaries

    values = hparams_lib.from_json(run["hparams"])
    result = estimator.evaluate(found, values, prefix, run["seed"], eval_num_batches)
    scalars = {name: value for name, value in result.items() if name != "global_step"}
    pictures = _show(run_dir, checkpoint.path, found, target)
    summaries.write(target, result["global_step"], scalars, pictures)
    numbers = result["global_step"], found.num_windows, result["loss"], result["reconstruction"], result["kl"]
    logger.info("step %d on %d windows: loss %.2f, reconstruction %.2f, KL %.2f nats a window", *numbers)
    logger.info("pictures of samples and reconstructions, and the latents: tensorboard --logdir=%s", run_dir)
    return result


def _show(run_dir: str, pretrained_path: str, found, folder: str) -> Dict[str, Any]:
    """Puts the windows' latents into TensorBoard's projector, and returns pictures of what the model makes.

    These are of samples, and of some windows beside their reconstructions.
    """
    import numpy as np

    from lc_music_vae import data, latents, piano_rolls, summaries
    from lc_music_vae.trained_model import TrainedModel

    z, records = latents.own_key(found.shards, _MOST_ON_MAP)
    places = ["bars %d-%d" % (r["first_bar"] + 1, r["last_bar"] + 1) for r in records]
    with TrainedModel(run_dir, vae_checkpoint_file=pretrained_path) as model:
        means, _ = model.small.encode(z)
        some = np.unique(np.linspace(0, len(z) - 1, _PICTURED).astype(int))
        heard = model.decode(means[some])
        samples = model.sample(_PICTURED)
    rows = [["song", "bars", "track", "repeats"]]
    for record, place in zip(records, places):
        rows.append([os.path.basename(record["song"]), place, str(record["track"]), str(record["repeats"])])
    summaries.write_projector(folder, means, rows)
    pairs, titles = [], []
    for i, again in zip(some, heard):
        pairs += [data.to_note_sequence(records[i]["notes"]), again]
        titles += ["%s %s" % (rows[i + 1][0], places[i]), "as the model hears it"]
    return {
        "samples": piano_rolls.draw(samples, ["%03d" % i for i in range(len(samples))]),
        "reconstructions": piano_rolls.draw(pairs, titles),
    }


def _as_list(paths: Paths) -> List[str]:
    return [paths] if isinstance(paths, str) else list(paths)


def _find_examples(paths: Paths) -> List[str]:
    return [os.path.abspath(found) for path in _as_list(paths) for found in examples.find(path)]


def _check_at_least(flag: str, value: float, lowest: float) -> None:
    if not value >= lowest:
        raise InputError("--%s=%s must be %s or more" % (flag, value, lowest))


def _settings(
    folder, run: Optional[dict], config: str, hparams: str, augment, seed, melody_track, metre
) -> Dict[str, Any]:
    """Returns the start of `run.json`: what was recorded in it before, else what is given."""
    if seed is not None and not 0 <= seed < 2**32:
        raise InputError("--seed=%d must be from 0 to %d" % (seed, 2**32 - 1))
    before = hparams_lib.from_json(run["hparams"]) if run else get_config(config).hparams
    values = hparams_lib.override(before, hparams)
    if run:
        given = {"config": config, "augment": augment, "seed": seed, "melody_track": melody_track, "metre": metre}
        run_dir_lib.check_same(folder.run_json, run, given)
        run_dir_lib.check_same(folder.run_json, {"hparams": before.text()}, {"hparams": values.text()})
        augment, seed, melody_track, metre = (run[flag] for flag in ("augment", "seed", "melody_track", "metre"))
    return {
        "format": run_dir_lib.FORMAT,
        "config": config,
        "music_vae": get_config(config).music_vae,
        "hparams": values._asdict(),
        "augment": bool(augment),
        "seed": seed or 0,
        "melody_track": melody_track or "auto",
        "metre": metre or "any",
    }


def _latents(settings: Dict[str, Any], paths, checkpoint: checkpoints.Checkpoint, folder: str, run: Optional[dict]):
    """Returns the songs' latents, encoding what is not encoded yet, and the encoder's fingerprint.

    Loads TensorFlow, and magenta where something is to be encoded: whatever can be checked without them must have been
    before.
    """
    from lc_music_vae import latents

    transpositions: Sequence[int] = (0,)
    if settings["augment"]:
        from lc_music_vae import data

        span = data.WindowConverter(settings["music_vae"]).transpose_range
        if span is None:
            raise InputError("--augment: drums cannot be transposed; leave it out")
        transpositions = range(span[0], span[1] + 1)
    stamp = checkpoints.stamp(checkpoint)
    weights = checkpoints.Weights(checkpoint)
    fingerprint = weights.fingerprint(checkpoints.ENCODER_SCOPE)
    if run and fingerprint != run["pretrained"]["fingerprint"]:
        raise InputError(
            "--pretrained_path=%s holds other weights than those this run was trained on (%s)"
            % (checkpoint.path, run["pretrained"]["path"])
        )
    found = latents.prepare(
        paths,
        folder,
        settings["music_vae"],
        weights,
        fingerprint,
        transpositions,
        settings["melody_track"],
        settings["metre"],
    )
    if checkpoints.stamp(checkpoint) != stamp:
        raise InputError(
            "%s=%s changed while it was read; give the same command again" % (checkpoint.flag, checkpoint.path)
        )
    return found, fingerprint


def _look_back(folder, found) -> Dict[str, Any]:
    """Draws the picture of a training, and returns what `run.json` keeps of where the songs lie in the small latent.

    That is the mean of their windows, and the root mean square distance of their z from its reconstruction.
    """
    import numpy as np

    from lc_music_vae import drawing, latents, summaries
    from lc_music_vae.points import prior_samples
    from lc_music_vae.small_vae import SmallVAE

    z, records = latents.own_key(found.shards, _MOST_ON_MAP)
    small = SmallVAE(checkpoints.find(folder.train, "--run_dir"))
    means, scales = small.encode(z)
    residual = np.sqrt(np.mean(np.sum((small.decode(means) - z) ** 2, 1)))
    small.close()
    labels = [str(record["first_bar"] + 1) for record in records]
    samples = prior_samples(8, small.encoded_z_size, 0)
    sheet = drawing.training(summaries.read_scalars(folder.train), means, scales, labels, samples)
    with files.replacing(folder.picture) as temporary:
        drawing.save(sheet, temporary)
    return {"mean": [round(float(x), 4) for x in means.mean(0)], "residual": round(float(residual), 4)}


def _report(found, path: str) -> None:
    """Writes `examples.tsv` and says what was left out and why: at most a screenful."""
    from lc_music_vae import latents

    latents.write_rows(path, found.rows)
    if not found.num_windows:
        raise InputError(_no_windows(found.rows))
    logger.info(_counted(found))
    for row in _used(found)[:_MOST_SAID]:
        logger.info("  %s: track %s%s", row.path, row.melody, "; " + row.reason if row.reason else "")
    unused = [row for row in found.rows if not row.slices]
    if unused:
        logger.warning("%d of %d songs gave no window; all are in %s:", len(unused), len(found.rows), path)
        for row in unused[:_MOST_SAID]:
            logger.warning("  %s", _why_not(row))


def _used(found) -> List[Any]:
    return [row for row in found.rows if row.slices]


def _counted(found) -> str:
    songs = len(_used(found))
    return "%d distinct windows from %d song%s" % (found.num_windows, songs, "" if songs == 1 else "s")


def _why_not(row) -> str:
    # A file that cannot be read is named in the reason already.
    return row.reason if row.path in row.reason else "%s: %s" % (row.path, row.reason)


def _no_windows(rows) -> str:
    first = _why_not(rows[0])
    return first if len(rows) == 1 else "none of %d songs gave a window; the first: %s" % (len(rows), first)
