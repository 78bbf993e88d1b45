"""What TensorFlow 1.15 computed once, on whichever platform this is; and runs that change platform half-way."""

import ast
import os
import shutil
import sys

import numpy as np
import pytest
from helpers import EXAMPLE, REPO

import lc_music_vae
from lc_music_vae.system import files

GOLDENS = os.path.join(REPO, "tests", "goldens")
sys.path.insert(0, GOLDENS)

import make as goldens  # noqa: E402

pytestmark = pytest.mark.slow


def test_posterior_and_greedy_steps():
    """Measured between 1.15.5 and 2.15.1: 1.3e-6, and every step equal."""
    expected = np.load(os.path.join(GOLDENS, "posterior.npz"))
    found = goldens.posterior()
    assert expected["mean"].shape == (8, 256)
    np.testing.assert_allclose(found["mean"], expected["mean"], atol=1e-5)
    np.testing.assert_allclose(found["scale"], expected["scale"], atol=1e-5)
    assert len(np.unique(expected["steps"])) > 5
    np.testing.assert_array_equal(found["steps"], expected["steps"])


def test_losses_of_twenty_steps():
    """Measured between 1.15.5 and 2.15.1: 1.4e-7 relative. Another seed of the initialisers is off by 1.2e-2."""
    expected = files.read_json(os.path.join(GOLDENS, "losses.json"))
    assert len(expected) == 20
    np.testing.assert_allclose(goldens.losses(), expected, rtol=2e-5)


@pytest.mark.parametrize("platform", ["run_tf1", "run_tf2"])
def test_a_run_of_either_platform_goes_on_and_samples_here(platform, tmp_path):
    run_dir = shutil.copytree(os.path.join(GOLDENS, platform), str(tmp_path / "run"))
    lc_music_vae.train("lc-cat-mel_2bar_small", EXAMPLE, run_dir, num_steps=20)
    expected = np.load(os.path.join(run_dir, "step_20.npz"))
    found = goldens.weights_of(run_dir)
    assert sorted(found) == sorted(name.replace("|", "/") for name in expected.files)
    before = goldens.weights_of(os.path.join(GOLDENS, platform))
    assert max(abs(found[name] - before[name]).max() for name in found) > 1e-3  # ten steps are a way
    for name in found:
        np.testing.assert_allclose(found[name], expected[name.replace("/", "|")], atol=2e-5)
    with lc_music_vae.TrainedModel(run_dir) as model:
        assert sum(len(sequence.notes) for sequence in model.sample(4)) > 4


# Each breaks on one of the platforms; why is said where the code takes another way.
FORBIDDEN = {
    "unbatch": "crashes TensorFlow 2.15 on tensors of no width",
    "get_dataset": "magenta's uses unbatch, and augments before it caches",
    "contrib": "is gone from TensorFlow 2, and clashes with magenta's copy of it",
    "set_random_seed": "draws other numbers in TensorFlow 2; allowed once, for magenta's decoder",
    "random_normal": "is not repeatable across platforms; use stateless ops",
    "random_uniform": "is not repeatable across platforms; use stateless ops",
    "disable_v2_behavior": "changes the whole process of a notebook",
    "import_meta_graph": "reads .meta files, which are of one platform",
    "__version__": "is what a branch on the version would read",
}
ALLOWED = {
    ("music_vae.py", "set_random_seed"),
    ("music_vae.py", "contrib"),
    ("progress.py", "contrib"),  # tqdm's
    ("__init__.py", "__version__"),
    ("command_line.py", "__version__"),  # our own
}


def names_in(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            for module in [getattr(node, "module", None) or ""] + [alias.name for alias in node.names]:
                yield from module.split(".")


def test_nothing_that_breaks_on_one_platform_is_used():
    for folder, _, names in os.walk(os.path.join(REPO, "lc_music_vae")):
        for file in sorted(name for name in names if name.endswith(".py")):
            with open(os.path.join(folder, file), encoding="utf-8") as f:
                used = set(names_in(ast.parse(f.read())))
            for name in used & set(FORBIDDEN):
                assert (file, name) in ALLOWED, "%s uses %s, which %s" % (file, name, FORBIDDEN[name])
            assert "tensorflow" not in used or used & {"compat", "tensor_bundle_pb2"}, file
