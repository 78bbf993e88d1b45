"""Packs trained weights, and writes beside them what they were made of and how."""

import hashlib
import json
import os
import platform
import tarfile


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


def write(weights, recipe, windows):
    """Writes the record of how weights were made, beside them: the same name with .json.

    Args:
        weights: Path of the weights' bundle.
        recipe: What decided them beside the windows, by name.
        windows: Path of the windows that they were trained on.
    """
    import numpy as np
    import tensorflow

    with np.load(windows) as kept:
        made_of = json.loads(str(kept["made_of"]))
        made_of.update(train_windows=len(kept["train"]), held_out_windows=len(kept["held_out"]))
    recipe = dict(recipe)
    if recipe["init"]:
        recipe["init"] = {"file": os.path.basename(recipe["init"]), "sha256": sha256(recipe["init"])}
    record = {
        "weights_sha256": sha256(weights),
        "recipe": recipe,
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
