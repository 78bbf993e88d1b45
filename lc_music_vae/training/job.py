"""The description of a training: collected and checked before TensorFlow is loaded."""

import dataclasses
import logging
import os
from typing import Any, Dict, NamedTuple, Optional, Tuple

from lc_music_vae import hparams
from lc_music_vae.checkpoints import run_dir
from lc_music_vae.checkpoints.checkpoint import Checkpoint
from lc_music_vae.checkpoints.run_dir import RunDir
from lc_music_vae.checkpoints.run_json import RunJson, Settings
from lc_music_vae.checkpoints.song_list import SongList
from lc_music_vae.configs import CONFIG_MAP, get_config
from lc_music_vae.errors import InputError
from lc_music_vae.options import Path, Reading, Training, names_of, path_of
from lc_music_vae.system import addresses
from lc_music_vae.training.songs import Songs

logger = logging.getLogger(__name__)


class Job(NamedTuple):
    """A training.

    Attributes:
        folder: The run's folder.
        run: What the run recorded before; None if this is its first training.
        settings: The run's settings.
        songs: The songs that it learns from.
        checkpoint: MusicVAE's checkpoint.
        options: How training is done.
    """

    folder: RunDir
    run: Optional[RunJson]
    settings: Settings
    songs: Songs
    checkpoint: Checkpoint
    options: Training


def put_in(named: Dict[str, Any], options: Training, reading: Optional[Reading]) -> Tuple[Training, Dict[str, Any]]:
    """Returns the options, and the given fields of `Reading`, with the values that were given by name put in.

    Raises:
        InputError: A value is not usable.
        TypeError: There is no such option.
    """
    for name in named:
        if name not in names_of(Training) + names_of(Reading):
            raise TypeError("got an unexpected keyword argument %r" % name)
    read = dataclasses.asdict(reading) if reading is not None else {}
    read.update({name: named[name] for name in names_of(Reading) if named.get(name) is not None})
    return dataclasses.replace(options, **{name: named[name] for name in names_of(Training) if name in named}), read


def folder_of(path: Path) -> RunDir:
    """Returns the run in a given folder, which may not exist yet.

    Raises:
        InputError: No folder was given, or it is not a path.
    """
    if path is None or path == "":
        raise InputError("--run_dir is needed: the folder that training writes to")
    given = path_of("run_dir", path)
    if addresses.is_address(given) and not os.path.isdir(given):
        raise addresses.refused("--run_dir", given)
    return run_dir.at(given)


def config_of(config: Optional[str], began: Optional[str], pretrained_path: Optional[str]) -> str:
    """Returns the config to train: the named one, else the one that the run began with, else the first one that ships.

    Raises:
        InputError: The config is not known, or none is named for a checkpoint that is.
    """
    if config:
        get_config(config)
        return config
    if began is not None:
        logger.info("--config=%s, as the run began", began)
        return began
    if pretrained_path:
        raise InputError("--config is needed, such as --config=lc-cat-mel_2bar_small")
    shipped = next(name for name, entry in CONFIG_MAP.items() if entry.shipped)
    logger.info("--config=%s, whose MusicVAE ships with the toolkit", shipped)
    return shipped


def config_begun(run: Optional[RunJson], listed: Optional[SongList]) -> Optional[str]:
    """Returns the config that a run began with, with a training or with a list of songs; None if it is new."""
    if run is not None:
        return run.settings.config
    return listed.config if listed is not None else None


def settings_of(
    folder: RunDir,
    run: Optional[RunJson],
    config: str,
    *,
    options: Training,
    reading: Dict[str, Any],
    listed: Optional[SongList],
) -> Settings:
    """Returns the settings of a training: what was recorded before, else what is given.

    Args:
        folder: The run's folder.
        run: What the run recorded before, or None.
        config: Name in the registry.
        options: How training is done; a field that is None is as before.
        reading: How songs are read: the fields of a `Reading` that are given, by name.
        listed: The list of songs that are encoded in shares, or None.

    Raises:
        InputError: A given value is not usable, or contradicts what was recorded.
    """
    read = Reading(**reading)  # this checks the values
    before = run.settings.hparams if run else get_config(config).hparams
    values = hparams.override(before, options.hparams)
    if run:
        named = {name: getattr(options, name) for name in ("augment", "seed", "holdout")}
        given = {"config": config, **named, **reading}
        run_dir.check_same(folder.run_json, run.settings._asdict(), given)
        run_dir.check_same(folder.run_json, {"hparams": before.text()}, {"hparams": values.text()})
        return run.settings
    began = dict(dataclasses.asdict(read), config=config, augment=bool(options.augment), holdout=options.holdout or 0.0)
    if listed:
        given = {"config": config, "augment": options.augment, "holdout": options.holdout, **reading}
        run_dir.check_same(folder.song_list(), listed.settings, given, done="begun")
        began = listed.settings
    return Settings(music_vae=get_config(config).music_vae, hparams=values, seed=options.seed or 0, **began)
