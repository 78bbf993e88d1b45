"""Packs trained weights, and writes beside them what they were made of and how."""

import hashlib
import json
import os
import platform
import tarfile

_STARTS = "starts.jsonl"


def sha256(path):
    """Returns the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def bundle(prefix, path):
    """Packs a checkpoint's files into a tar that is the same for the same bytes: no dates, no owners."""
    folder, name = os.path.split(prefix)
    with tarfile.open(path + ".part", "w", format=tarfile.USTAR_FORMAT) as tar:
        for member in sorted(one for one in os.listdir(folder) if one.startswith(name + ".")):
            info = tarfile.TarInfo(member)
            info.size = os.path.getsize(os.path.join(folder, member))
            with open(os.path.join(folder, member), "rb") as f:
                tar.addfile(info, f)
    os.replace(path + ".part", path)


def start(folder, step, recipe):
    """Records in the folder of a run that it starts, or goes on, at a step with a recipe, perhaps another than before.

    Args:
        folder: The run's folder.
        step: Number of steps done.
        recipe: What decides the weights beside the windows, by name; `init` is a path or "".
    """
    recipe = dict(recipe, from_step=step)
    if recipe["init"]:
        recipe["init"] = {"file": os.path.basename(recipe["init"]), "sha256": sha256(recipe["init"])}
    with open(os.path.join(folder, _STARTS), "a") as f:
        f.write(json.dumps(recipe, sort_keys=True) + "\n")


def _recipes(folder):
    """Returns the recipes of a run, each from its step on; of those that start at one step, the last counts."""
    with open(os.path.join(folder, _STARTS)) as f:
        starts = [json.loads(line) for line in f]
    kept = []
    for recipe in starts:  # what a killed run did after its last checkpoint is done again
        kept = [one for one in kept if one["from_step"] < recipe["from_step"]]
        if not kept or {**kept[-1], "from_step": 0} != {**recipe, "from_step": 0}:
            kept.append(recipe)
    return kept


def write(weights, windows):
    """Writes the record of how weights were made, beside them: the same name with .json.

    Args:
        weights: Path of the weights' bundle, in their run's folder.
        windows: Path of the windows that they were trained on.
    """
    import numpy as np
    import tensorflow

    with np.load(windows) as kept:
        made_of = json.loads(str(kept["made_of"]))
        made_of.update(train_windows=len(kept["train"]), held_out_windows=len(kept["held_out"]))
    record = {
        "weights_sha256": sha256(weights),
        "recipes": _recipes(os.path.dirname(weights)),
        "corpus": made_of,
        "made_with": {
            "python": platform.python_version(),
            "numpy": np.__version__,
            "tensorflow": tensorflow.__version__,
            "machine": platform.machine(),
            "cores": os.cpu_count(),
        },
    }
    path = os.path.splitext(weights)[0] + ".json"
    with open(path + ".part", "w") as f:
        json.dump(record, f, indent=2, sort_keys=True)
        f.write("\n")
    os.replace(path + ".part", path)
