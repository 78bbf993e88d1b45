"""What the README and docs/ say, checked against the program."""

import io
import json
import os
import re
import shutil
import subprocess
import wave

import note_seq
import pytest
from helpers import EXAMPLE, REPO
from PIL import Image

import midime_generate
import midime_train
from lc_music_vae import configs
from lc_music_vae.generation.modes import MODES
from lc_music_vae.hparams import HParams

PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"]
PAGES += sorted(os.path.join("docs", name) for name in os.listdir(REPO + "/docs") if name.endswith(".md"))
TEXTS = {}
for _page in PAGES:
    with open(os.path.join(REPO, _page), encoding="utf-8") as _f:
        TEXTS[_page] = _f.read()
README = TEXTS["README.md"]
FLAGS = TEXTS["docs/flags.md"]


# What follows `--beam_args=` in a command.
BEAM_ARGS = re.findall(r"--beam_args='([^']*)'", FLAGS)


def test_what_is_said_of_beam_s_arguments_is_what_beam_takes():
    pytest.importorskip("apache_beam", reason="needs Apache Beam: pip install --no-deps -r requirements-beam.txt")
    from lc_music_vae.encoding import beam

    assert len(BEAM_ARGS) >= 6
    for arguments in BEAM_ARGS:
        assert beam.options_of(arguments).get_all_options(drop_default=True)


def test_the_readme_is_short_enough_to_be_read():
    assert 150 <= README.count("\n") <= 180
    assert max(map(len, README.splitlines())) <= 200


@pytest.mark.parametrize("module", [midime_train, midime_generate])
def test_every_flag_has_its_row_with_its_help_and_default(module):
    values = module._flags()
    for name in set(values) - {"h", "help"}:
        flag = values[name]
        default = "" if flag.default in (None, "") else "`%s`" % flag.default
        text = flag.help.split(">: ")[-1]  # absl puts the choices before it
        assert "| `--%s` | %s | %s |" % (name, default, text) in FLAGS


def test_every_mode_has_its_row_with_what_it_takes():
    for mode in MODES.values():
        takes = ", ".join("`--%s`" % name for name in sorted(mode.takes()))
        assert "| `%s` | %s | %s |" % (mode.name, mode.text, takes) in FLAGS


@pytest.mark.parametrize("page", PAGES)
def test_no_flag_on_a_page_is_unknown(page):
    known = set(midime_train._flags()) | set(midime_generate._flags())
    others = {"no-deps", "logdir", "help"}  # pip's, TensorBoard's and everybody's
    others |= {"direct_running_mode", "direct_num_workers", "environment_config", "environment_type"}  # Beam's
    others |= {"beam_plugins", "job_server_timeout", "port", "service_port"}
    others |= {name for arguments in BEAM_ARGS for name in re.findall(r"--(\w+)", arguments)}
    assert set(re.findall(r"(?<![\w-])--([a-z][a-z_0-9-]+)", TEXTS[page])) <= known | others


def test_the_readmes_commands_give_flags():
    known = set(midime_train._flags()) | set(midime_generate._flags())
    commands = re.findall(r"^(?:python midime|midime|--)[^\n]*", README.replace("\\\n", ""), re.MULTILINE)
    shown = {flag for command in commands for flag in re.findall(r"--([a-z_0-9]+)", command)}
    assert shown
    assert shown <= known


def test_hyperparameters_are_all_there():
    for name, default in HParams()._asdict().items():
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        assert "| `%s` | `%s` |" % (name, text) in FLAGS


def size_in_words(megabytes):
    return "%d MB" % megabytes if megabytes < 1000 else "%.1f GB" % (megabytes / 1000)


def test_the_page_of_models_has_every_config_with_its_checkpoints():
    rows = [row.strip("| ").split(" | ") for row in re.findall(r"^\| `lc-.*$", TEXTS["docs/models.md"], re.MULTILINE)]
    assert [row[0].strip("`") for row in rows] == list(configs.CONFIG_MAP)
    for row in rows:
        entry = configs.CONFIG_MAP[row[0].strip("`")]
        said = ["[`%s`](%s) (%s)" % (one.name, one.url, size_in_words(one.megabytes)) for one in entry.checkpoints]
        assert row[3] == (", ".join(["ships"] * bool(entry.shipped) + said) or "none")
        assert row[4:] == ["the weights that ship" if entry.shipped else "cut-down network"]


def test_what_the_readme_says_of_checkpoints_is_in_the_registry():
    known = {one.url for one in configs.published().values()}
    assert set(re.findall(r"https://\S+/music_vae/checkpoints/\S+?\.tar", README)) <= known
    assert set(re.findall(r"`(lc-[\w.-]+)`", README)) - {"lc-cat-mel_2bar_small.tar"} <= set(configs.CONFIG_MAP)


@pytest.mark.parametrize("page", PAGES)
def test_links_to_files_lead_somewhere(page):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", TEXTS[page]):
        assert os.path.exists(os.path.join(REPO, os.path.dirname(page), target)), target


def test_each_promise_names_a_test_that_is_there():
    promises = TEXTS["docs/promises.md"].split("\n- ", 1)[1]
    named = re.findall(r"`(tests/[a-z_/]+\.py)::(test_\w+)`", promises)
    assert len(named) >= promises.count("\n- ")
    for file, name in named:
        with open(os.path.join(REPO, file), encoding="utf-8") as f:
            assert "\ndef %s(" % name in f.read(), name


@pytest.mark.slow
def test_the_readmes_python_runs(tmp_path, monkeypatch):
    songs = tmp_path / "my_songs"
    songs.mkdir()
    for path in (songs / "a.mid", tmp_path / "song.mid"):
        shutil.copy(EXAMPLE, str(path))
    monkeypatch.chdir(tmp_path)
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec(code, names)  # noqa: S102 - the README is ours
    assert (len(names["samples"]), names["mean"].shape, len(names["way"])) == (8, (2, 4), 5)
    assert len(names["varied"]) == 4
    assert names["tune"].total_time == pytest.approx(32 * 4 * 60 / 120, rel=0.01)
    assert (tmp_path / "sample.mid").exists()


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_it_says(tmp_path, monkeypatch):
    """Cell after cell in an IPython shell, with what it displays caught."""
    import IPython.display
    from IPython.core.interactiveshell import InteractiveShell

    with open(os.path.join(REPO, "examples", "from_a_song_to_samples.ipynb"), encoding="utf-8") as f:
        cells = [cell for cell in json.load(f)["cells"] if cell["cell_type"] == "code"]
    assert not any(cell["outputs"] for cell in cells)
    shutil.copy(EXAMPLE, str(tmp_path))
    monkeypatch.chdir(tmp_path)
    shown = []
    monkeypatch.setattr(IPython.display, "display", shown.append)
    shell = InteractiveShell()
    for cell in cells:
        result = shell.run_cell("".join(cell["source"]))
        assert result.success, result.error_in_exec
        shown.append(result.result)
    pictures = [thing for thing in shown if isinstance(thing, (IPython.display.Image, Image.Image))]
    heard = [thing for thing in shown if isinstance(thing, IPython.display.Audio)]
    assert len(pictures) == 4
    samples = shell.user_ns["samples"]
    seconds = []
    for sound in heard:
        with wave.open(io.BytesIO(sound.data)) as data:
            seconds.append(data.getnframes() / data.getframerate())
    assert samples[0].total_time <= seconds[0] < samples[0].total_time + 3
    assert 5 * 8 * 60 / 120 - 1 < seconds[1] < 5 * 8 * 60 / 120 + 3  # five windows of eight quarters
    kept = note_seq.midi_file_to_note_sequence("sample.mid")
    assert [n.pitch for n in kept.notes] == [n.pitch for n in samples[0].notes]


def test_without_a_python_3_7_bootstrap_says_in_three_lines_how_to_get_one(tmp_path):
    """A shim on the path that only prints an error is not a Python."""
    for name in ("python3.7", "python3", "python"):
        shim = tmp_path / name
        shim.write_text("#!/bin/sh\necho 'pyenv: %s: command not found' >&2\nexit 127\n" % name)
        shim.chmod(0o755)
    environment = {
        "PATH": "%s:/usr/bin:/bin" % tmp_path,
        "HOME": str(tmp_path),
        "VENV": str(tmp_path / "venv"),
        "PLATFORM": "tf1",
    }
    done = subprocess.run(
        [os.path.join(REPO, "tools", "bootstrap.sh")], env=environment, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 1
    lines = done.stderr.splitlines()[1:]  # after "asking uv"
    assert len(lines) == 3
    assert lines[0].startswith("bootstrap: error: no Python that runs was found: TensorFlow 1.15 needs 3.7")
    assert not os.path.exists(str(tmp_path / "venv"))
