"""The install that the README gives, in an environment as Python makes it: nobody has upgraded pip, or added `wheel`.

It asks pip's index for the locked packages, and takes a minute.
"""

import os
import re
import shutil
import subprocess
import sys

import pytest
from helpers import EXAMPLE, REPO

with open(os.path.join(REPO, "README.md"), encoding="utf-8") as _f:
    INSTALL = re.search(r"## Install it elsewhere\n\n```sh\n(.*?)```", _f.read(), re.DOTALL).group(1).splitlines()
ENVIRONMENT = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}


def run(*command, **kwargs):
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, timeout=600, **kwargs
    )


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy without what building leaves in the folder."""
    copy = tmp_path_factory.mktemp("install") / "checkout"
    ignored = shutil.ignore_patterns(".*", "build", "demo", "*.egg-info", "__pycache__")
    shutil.copytree(REPO, str(copy), ignore=ignored)
    return str(copy)


@pytest.fixture
def environment(tmp_path):
    """Folder of the programs of a new environment."""
    subprocess.check_call([sys.executable, "-m", "venv", str(tmp_path / "venv")])
    return str(tmp_path / "venv" / "bin")


def install(command, environment, checkout):
    if sys.version_info >= (3, 9):
        command = command.replace("requirements.txt", "requirements-tf2.txt")
    done = run(os.path.join(environment, command.split()[0]), *command.split()[1:], cwd=checkout)
    assert done.returncode == 0, done.stderr


def test_the_readmes_install_runs_in_a_stock_environment(environment, checkout, tmp_path):
    for command in INSTALL:
        install(command, environment, checkout)
    trained = run(
        os.path.join(environment, "midime_train"),
        "--config=lc-cat-mel_2bar_small",
        "--examples_path=" + EXAMPLE,
        "--run_dir=run",
        "--num_steps=2",
        cwd=str(tmp_path),
    )
    assert trained.returncode == 0, trained.stderr
    generated = run(os.path.join(environment, "midime_generate"), "--run_dir=run", "--num_outputs=1", cwd=str(tmp_path))
    assert generated.returncode == 0, generated.stderr
    assert "lc_music_vae" not in run(os.path.join(environment, "pip"), "check").stdout.replace(
        "lc-music-vae", "lc_music_vae"
    )


def test_without_the_requirements_one_line_names_them(environment, checkout, tmp_path):
    install(INSTALL[-1], environment, checkout)
    for program in ("midime_train", "midime_generate"):
        done = run(os.path.join(environment, program), "--run_dir=run", cwd=str(tmp_path))
        assert done.returncode == 1
        (line,) = done.stderr.splitlines()
        assert re.match(program + r": error: .* not installed.*requirements", line), line
