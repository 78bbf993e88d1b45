"""Finds the files of a trained model: the small VAE's checkpoint and the MusicVAE that it was trained on.

Needs no TensorFlow, so wrong names and paths are reported at once.
"""

import logging
import os
from typing import List, NamedTuple, Optional, Tuple

from lc_music_vae.checkpoints import finding, run_dir, run_json
from lc_music_vae.checkpoints.checkpoint import RUN_JSON, Checkpoint, stamp
from lc_music_vae.checkpoints.run_json import RunJson
from lc_music_vae.checkpoints.song_list import SongList
from lc_music_vae.configs import CONFIG_MAP, get_config, published
from lc_music_vae.errors import InputError
from lc_music_vae.music.style import Style
from lc_music_vae.options import ModelSource
from lc_music_vae.system import cache

logger = logging.getLogger(__name__)


class ModelFiles(NamedTuple):
    """The files and values that `TrainedModel` loads.

    Attributes:
        config: Name in the registry.
        music_vae: Name of the MusicVAE config.
        small: The small VAE's checkpoint.
        pretrained: MusicVAE's checkpoint.
        fingerprint: The required fingerprint of MusicVAE's encoder; None if it is not known, or known to be right.
        style: Tempo, program and so on of the songs that it was trained on; the defaults if not known.
        latent: Where the songs are in the small latent.
        knobs: The model's knobs; None if it was trained before there were knobs.
        run_path: Folder of the training, if the model was found by this folder.
    """

    config: str
    music_vae: str
    small: Checkpoint
    pretrained: Checkpoint
    fingerprint: Optional[str]
    style: Style
    latent: run_json.Latent
    knobs: Optional[List[run_json.Knob]]
    run_path: Optional[str]


def find(source: ModelSource) -> ModelFiles:
    """Finds a model's files.

    Raises:
        InputError: Something is missing, or contradicts the record of the training.
    """
    config, vae_config = source.config, source.vae_config
    if source.run_dir is not None and source.checkpoint_file is None:
        small, run, recorded_in = _in_run_dir(source.run_dir)
    elif source.checkpoint_file is not None and source.run_dir is None:
        small, run, recorded_in = _in_checkpoint(source.checkpoint_file)
    else:
        raise InputError("give either --run_dir or --checkpoint_file: the folder of a training, or a small VAE's file")
    if run is not None:
        run_dir.check_same(recorded_in, run.settings._asdict(), {"config": config})
        config = run.settings.config
    if config is None:
        raise InputError("--config is needed: %s does not say which config it was trained with" % small.path)
    entry = get_config(config)
    if vae_config is not None and vae_config != entry.music_vae:
        raise InputError(
            "--vae_config=%s contradicts --config=%s, whose MusicVAE is %s" % (vae_config, config, entry.music_vae)
        )
    return _with_pretrained(config, small, run, source)


def _in_run_dir(path: str) -> Tuple[Checkpoint, Optional[RunJson], str]:
    folder = run_dir.at(path)
    run = folder.read()
    prefix, _ = folder.trained(run)
    return Checkpoint(path, prefix, None, None, "--run_dir"), run, folder.run_json


def _in_checkpoint(path: str) -> Tuple[Checkpoint, Optional[RunJson], str]:
    """Returns a small VAE's checkpoint, and the contents of the run.json in its bundle or in its run's folder."""
    small = finding.find(path, "--checkpoint_file")
    if small.bundle is not None:
        value, recorded_in = small.run, small.path
    else:
        folder = os.path.dirname(os.path.dirname(os.path.abspath(small.prefix)))
        recorded_in = os.path.join(folder, RUN_JSON)
        value = run_dir.read_json(recorded_in, "give the bundle in its folder")
    return small, None if value is None else run_json.parse(value, recorded_in), recorded_in


def _with_pretrained(config: str, small: Checkpoint, run: Optional[RunJson], source: ModelSource) -> ModelFiles:
    pretrained = find_pretrained("--vae_checkpoint_file", source.vae_checkpoint_file, config=config, run=run)
    fingerprint = None
    if run:
        recorded = run.pretrained
        same_path = os.path.realpath(os.path.expanduser(pretrained.path)) == os.path.realpath(recorded.path)
        if not (same_path and stamp(pretrained) == recorded.stamp):
            fingerprint = recorded.fingerprint
    style, latent = (run.music, run.latent) if run else (Style(), run_json.Latent())
    return ModelFiles(
        config,
        get_config(config).music_vae,
        small,
        pretrained,
        fingerprint,
        style=style,
        latent=latent,
        knobs=run.knobs if run else None,
        run_path=source.run_dir,
    )


def find_pretrained(
    flag: str, path: Optional[str], *, config: str, run: Optional[RunJson], listed: Optional[SongList] = None
) -> Checkpoint:
    """Finds MusicVAE's checkpoint: the one in `path`, else the one that training used, else a shipped one.

    Of those that ship it is the one that the run began with, else the first. Says so where that is one of an earlier
    version.

    Args:
        flag: The flag that names it.
        path: The value that the user gave for that flag, or None.
        config: Name in the registry.
        run: The record of the training, or None.
        listed: The list of songs that the run encodes in shares, or None.

    Raises:
        InputError: None of them exists.
    """
    entry = get_config(config)
    if path:
        return finding.find(_shipped(path, config) or _downloaded(path, flag, config) or path, flag)
    encoder = run.pretrained.fingerprint if run else listed.fingerprint if listed else None
    began_with = [one for one in entry.shipped if one.encoder == encoder]
    if began_with and began_with[0] != entry.shipped[0]:
        logger.info(
            "this was trained on %s, which an earlier version shipped, and goes on with it; for %s, train anew in "
            "another --run_dir",
            began_with[0].name,
            entry.shipped[0].name,
        )
    used = run.pretrained.path if run else None
    if used and (os.path.exists(used) or os.path.exists(used + ".index")):
        return finding.find(used, flag)
    is_of_another = encoder and not began_with and entry.checkpoints  # a published one, which its name downloads
    if entry.shipped and not is_of_another:
        return finding.shipped((began_with or entry.shipped)[0].file)
    raise InputError(
        "%s is needed: the MusicVAE checkpoint for --config=%s%s; %s"
        % (
            flag,
            config,
            " (the one it was trained on, %s, is gone)" % used if used else "",
            " or ".join("%s=%s downloads it (%s)" % (flag, one.name, one.url) for one in entry.checkpoints)
            or "none is published",
        )
    )


def _shipped(name: str, config: str) -> Optional[str]:
    """Returns the path of the shipped checkpoint if `name` is that of one, and no file is called so."""
    if os.path.exists(name) or os.path.exists(name + ".index"):
        return None
    return next(
        (os.path.join(finding.SHIPPED, one.file) for one in get_config(config).shipped if one.name == name), None
    )


def _downloaded(name: str, flag: str, config: str) -> Optional[str]:
    """Returns the downloaded checkpoint if `name` is that of a published one and no file is called so.

    Raises:
        InputError: It is published for another MusicVAE than the config's.
    """
    one = published().get(name)
    if one is None or os.path.exists(name) or os.path.exists(name + ".index"):
        return None
    if one not in get_config(config).checkpoints:
        others = [other for other, entry in CONFIG_MAP.items() if one in entry.checkpoints]
        raise InputError(
            "%s=%s is not the MusicVAE of --config=%s, but of --config=%s; give one or the other"
            % (flag, name, config, " or ".join(others))
        )
    from lc_music_vae.checkpoints import downloads  # here: only downloads need to wait for it

    return downloads.fetch(one.url, os.path.join(cache.cache_dir(), "downloads"), flag, sha256=one.sha256)
