"""Which files a trained model is made of: the small VAE's checkpoint and the MusicVAE that it was trained on.

Needs no TensorFlow: wrong names and paths are found in no time.
"""

import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from lc_music_vae import cache, checkpoints, files, run_dir
from lc_music_vae.checkpoints import Checkpoint
from lc_music_vae.configs import CONFIG_MAP, get_config
from lc_music_vae.errors import InputError


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e9


def _is_path(value: Any) -> bool:
    try:
        return len(os.fsencode(value)) < 4096 and "\0" not in value
    except (TypeError, UnicodeError):
        return False


def _is_whole(low: int, high: int) -> Callable[[Any], bool]:
    return lambda value: type(value) is int and low <= value <= high


# What is used of a run.json, which may be a stranger's: what each value must be, and in words.
_RECORDED: Dict[Tuple[str, ...], Tuple[Callable[[Any], bool], str]] = {
    ("config",): (lambda v: isinstance(v, str) and len(v) < 100, "a config's name"),
    ("pretrained", "path"): (_is_path, "a path"),
    ("pretrained", "stamp"): (lambda v: isinstance(v, list), "a list"),
    ("pretrained", "fingerprint"): (
        lambda v: isinstance(v, str) and re.match("[0-9a-f]{64}$", v) is not None,
        "a SHA-256 in hexadecimal",
    ),
    ("music", "qpm"): (lambda v: _is_number(v) and v > 0, "a number above 0"),
    ("music", "program"): (_is_whole(0, 127), "a whole number from 0 to 127"),
    ("music", "octaves"): (_is_whole(-10, 10), "a whole number from -10 to 10"),
    ("latent", "mean"): (lambda v: isinstance(v, list) and all(map(_is_number, v)), "a list of numbers"),
    ("latent", "residual"): (lambda v: _is_number(v) and v >= 0, "0 or more"),
}
_LATER = (("music", "octaves"), ("latent", "mean"), ("latent", "residual"))  # that older runs do not have


class ModelFiles(NamedTuple):
    """What `TrainedModel` loads.

    Attributes:
        config: Name in the registry.
        music_vae: Name of the MusicVAE config.
        small: The small VAE's checkpoint.
        pretrained: MusicVAE's checkpoint.
        fingerprint: What the fingerprint of MusicVAE's encoder must be; None is not known, or known to be right.
        qpm: Tempo of the songs that it was trained on, in quarters per minute; 120 where that is not known.
        program: Their program; 0 where that is not known.
        latent_mean: Mean of their windows' small latents; None where that is not known.
        latent_residual: Root mean square distance of their windows' z from what the small VAE makes of it; None where
            that is not known.
        octaves: How many octaves up they were moved to be in MusicVAE's range; 0 where that is not known.
    """

    config: str
    music_vae: str
    small: Checkpoint
    pretrained: Checkpoint
    fingerprint: Optional[str]
    qpm: float
    program: int
    latent_mean: Optional[List[float]]
    latent_residual: Optional[float]
    octaves: int


def find(
    run_path: Optional[str] = None,
    checkpoint_file: Optional[str] = None,
    config: Optional[str] = None,
    vae_checkpoint_file: Optional[str] = None,
    vae_config: Optional[str] = None,
) -> ModelFiles:
    """Finds a model's files from the flags of the same names (`run_path` is --run_dir).

    Raises:
        InputError: Something is missing, or contradicts what training recorded.
    """
    if (run_path is None) == (checkpoint_file is None):
        raise InputError("give either --run_dir or --checkpoint_file: the folder of a training, or a small VAE's file")
    if run_path is not None:
        small, run, recorded_in = _in_run_dir(run_path)
    else:
        small = checkpoints.find(checkpoint_file, "--checkpoint_file")
        run, recorded_in = small.run, small.path
        if small.bundle is None:
            beside = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(small.prefix))), checkpoints.RUN_JSON)
            run, recorded_in = _read_run(beside), beside
    if run is not None:
        run_dir.check_format(run, recorded_in)
        _check_recorded(run, recorded_in)
        run_dir.check_same(recorded_in, run, {"config": config})
        config = run["config"]
    if config is None:
        raise InputError("--config is needed: %s does not say which config it was trained with" % small.path)
    entry = get_config(config)
    if vae_config is not None and vae_config != entry.music_vae:
        raise InputError(
            "--vae_config=%s contradicts --config=%s, whose MusicVAE is %s" % (vae_config, config, entry.music_vae)
        )
    return _with_pretrained(config, small, run, vae_checkpoint_file)


def _read_run(path: str) -> Any:
    try:
        return files.read_json(path)
    except (ValueError, RecursionError):
        raise InputError("%s: not readable as JSON; restore it, or give the bundle in its folder" % path) from None
    except OSError as e:
        raise InputError("%s cannot be read (%s); give the bundle in its folder" % (path, e.strerror)) from e


def _check_recorded(run: Dict[str, Any], path: str) -> None:
    """Raises an `InputError` unless all that is used of `run` is of its kind."""
    for names, (is_right, expected) in _RECORDED.items():
        value: Any = run
        for name in names:
            value = value.get(name) if isinstance(value, dict) else None
        outer = run.get(names[0])
        missing = value is None and (outer is None or isinstance(outer, dict))
        if not (is_right(value) or (missing and names in _LATER)):
            raise InputError(
                "%s: its run.json says %s=%.60r, not %s; it is damaged, or no model of this toolkit"
                % (path, ".".join(names), value if isinstance(outer, dict) else outer, expected)
            )


def _in_run_dir(path: str):
    folder = run_dir.at(path)
    run = folder.read()
    prefix, _ = folder.latest()
    if run is None or prefix is None:
        raise InputError("--run_dir=%s holds no trained model; train one there with midime_train" % path)
    return Checkpoint(path, prefix, None, run, "--run_dir"), run, folder.run_json


def _with_pretrained(config: str, small: Checkpoint, run: Optional[dict], path: Optional[str]) -> ModelFiles:
    pretrained = find_pretrained("--vae_checkpoint_file", path, config, run)
    fingerprint = None
    if run:
        recorded = run["pretrained"]
        same_path = os.path.realpath(os.path.expanduser(pretrained.path)) == os.path.realpath(recorded["path"])
        if not (same_path and checkpoints.stamp(pretrained) == recorded["stamp"]):
            fingerprint = recorded["fingerprint"]
    music = run["music"] if run else {}
    latent = (run or {}).get("latent") or {}
    return ModelFiles(
        config,
        get_config(config).music_vae,
        small,
        pretrained,
        fingerprint,
        qpm=music.get("qpm", 120.0),
        program=music.get("program", 0),
        latent_mean=latent.get("mean"),
        latent_residual=latent.get("residual"),
        octaves=music.get("octaves", 0),
    )


def find_pretrained(flag: str, path: Optional[str], config: str, run: Optional[dict]) -> Checkpoint:
    """Finds MusicVAE's checkpoint: the one named, else the one that training used, else the one that ships.

    Args:
        flag: The flag that names it.
        path: What the user gave for that flag, or None.
        config: Name in the registry.
        run: What training recorded, or None.

    Raises:
        InputError: None of them is there.
    """
    if path:
        return checkpoints.find(_downloaded(path, flag) or path, flag)
    used = run["pretrained"]["path"] if run else None
    if used and (os.path.exists(used) or os.path.exists(used + ".index")):
        return checkpoints.find(used, flag)
    entry = get_config(config)
    if entry.shipped_checkpoint:
        return checkpoints.shipped(entry.shipped_checkpoint)
    raise InputError(
        "%s is needed: the MusicVAE checkpoint for --config=%s%s; %s"
        % (
            flag,
            config,
            " (the one it was trained on, %s, is gone)" % used if used else "",
            "%s=%s downloads it (%s)" % (flag, entry.music_vae, entry.checkpoint_url)
            if entry.checkpoint_url
            else "none is published",
        )
    )


def _downloaded(name: str, flag: str) -> Optional[str]:
    """Returns the downloaded checkpoint if `name` is that of a published MusicVAE and no file is called so."""
    published = {entry.music_vae: entry for entry in CONFIG_MAP.values() if entry.checkpoint_url}
    if name not in published or os.path.exists(name) or os.path.exists(name + ".index"):
        return None
    from lc_music_vae import downloads  # here, because who downloads nothing need not wait for it

    entry, folder = published[name], os.path.join(cache.cache_dir(), "downloads")
    return downloads.fetch(entry.checkpoint_url, folder, flag, entry.checkpoint_sha256)
