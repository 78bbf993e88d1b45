"""The wheel, in an environment of its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile

import pytest
from helpers import EXAMPLE, REPO

from lc_music_vae.configs import CONFIG_MAP

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    source = tmp_path_factory.mktemp("source") / "repo"
    modules = ["midime_train.py", "midime_generate.py", "configs.py", "lc_music_vae", "tests"]
    names = ["pyproject.toml", "setup.py", "README.md"] + modules
    source.mkdir()
    for name in names:
        path = os.path.join(REPO, name)
        (shutil.copytree if os.path.isdir(path) else shutil.copy)(path, str(source / name))
    out = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation", "-w", str(out), "."]
    subprocess.check_call(pip, cwd=str(source))
    (name,) = os.listdir(str(out))
    return str(out / name)


def test_wheel_holds_the_package_the_checkpoint_and_no_module_called_configs(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    ships = {one.file for entry in CONFIG_MAP.values() for one in entry.shipped}
    assert {"lc_music_vae/pretrained/" + file for file in ships} <= set(names)
    assert {"lc_music_vae/configs.py", "lc_music_vae/showing/page.html", "lc_music_vae/showing/play/decoder.js"} <= set(
        names
    )
    tops = {name.split("/")[0] for name in names if ".dist-info" not in name}
    assert tops == {"lc_music_vae", "midime_train.py", "midime_generate.py"}


def test_installed_scripts_run_from_another_folder(wheel, tmp_path):
    """Installed with --no-deps; the locked packages are those of this environment, by a .pth file."""
    venv = str(tmp_path / "venv")
    subprocess.check_call([sys.executable, "-m", "venv", venv])
    python = os.path.join(venv, "bin", "python")
    subprocess.check_call([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel])
    site = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], universal_newlines=True
    ).strip()
    with open(os.path.join(site, "locked.pth"), "w") as f:
        f.write(sysconfig.get_path("purelib") + "\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.copy(EXAMPLE, str(elsewhere / "song.mid"))
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    for command in (
        [
            "midime_train",
            "--config=lc-cat-mel_2bar_small",
            "--examples_path=song.mid",
            "--run_dir=run",
            "--num_steps=2",
        ],
        ["midime_generate", "--run_dir=run", "--num_outputs=3"],
    ):
        command[0] = os.path.join(venv, "bin", command[0])
        done = subprocess.run(command, cwd=str(elsewhere), env=environment, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 0, done.stderr
    written = os.listdir(str(elsewhere / "run" / "generated"))
    assert sorted(os.path.splitext(name)[1] for name in written) == [".html", ".json", ".mid", ".mid", ".mid", ".png"]
