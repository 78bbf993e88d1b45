"""note_seq and magenta come without what their notebooks need, and still have it when it is asked for."""

import json

import pytest
from helpers import EXAMPLE, run_process

pytestmark = pytest.mark.slow

CODE = """
import json, sys
{before}
from lc_music_vae.system import light_imports
light_imports.install()
import lc_music_vae.trained_model
heavy = ("librosa", "bokeh.plotting", "IPython", "sklearn", "pydub", "tensorflow_datasets")
loaded = [name for name in heavy if name in sys.modules]
import note_seq
version = note_seq.audio_io.librosa.__version__
rows = len(note_seq.notebook_utils.pd.DataFrame([1, 2]))
import librosa
same = version == librosa.__version__
print(json.dumps([loaded, same, rows, type(librosa).__name__, hasattr(note_seq.notebook_utils.bokeh, "plotting")]))
"""


def loaded(before=""):
    done = run_process("-W", "ignore", "-c", CODE.format(before=before))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_what_no_command_needs_is_loaded_when_it_is_asked_for():
    assert loaded() == [[], True, 2, "module", True]


def test_training_on_kept_latents_needs_neither_magenta_nor_note_seq_and_leaves_them_usable(tmp_path):
    """Until its steps are done: knobs are then found by decoding. AutoGraph would load contrib, and magenta cannot be
    imported after it.
    """
    code = """
import json, sys
import lc_music_vae
from lc_music_vae.training import train
finish, loaded = train._finish, []
def finishing(*args, **kwargs):
    loaded.extend(name for name in ("magenta", "note_seq", "tensorflow_core.contrib") if name in sys.modules)
    return finish(*args, **kwargs)
train._finish = finishing
train.train("lc-cat-mel_2bar_small", sys.argv[1], sys.argv[2], num_steps=int(sys.argv[3]))
with lc_music_vae.TrainedModel(sys.argv[2]) as model:
    print(json.dumps([loaded, len(model.sample(1))]))
"""
    found = []
    for steps in ("2", "4"):
        done = run_process("-W", "ignore", "-c", code, EXAMPLE, str(tmp_path), steps)
        assert done.returncode == 0, done.stderr
        found.append(json.loads(done.stdout.splitlines()[-1]))
    assert found == [[["magenta", "note_seq"], 1], [[], 1]]


def test_what_was_there_before_stays_as_it_is():
    names, *rest = loaded("import librosa")
    assert "librosa" in names
    assert rest == [True, 2, "module", True]


def test_who_imports_the_package_imports_everything_else_as_before():
    code = """
import sys
before = list(sys.meta_path)
import lc_music_vae
lc_music_vae.TrainedModel, lc_music_vae.train
ours = [finder for finder in sys.meta_path if getattr(finder, "__module__", "").startswith("lc_music_vae")]
print(sys.meta_path[:len(before)] == before, ours, "librosa" in sys.modules)
"""
    done = run_process("-W", "ignore", "-c", code)
    assert done.stdout.split("\n")[0] == "True [] True", done.stderr


def test_commands_import_lightly():
    code = """
import sys
import midime_generate
from lc_music_vae.system import command_line
heavy = ("note_seq", "tensorflow", "librosa")
print([name for name in heavy if name in sys.modules])
def main(flags):
    import note_seq
    print([name for name in heavy if name in sys.modules])
command_line.run("midime_generate", "", midime_generate._flags(), main=main, argv=["midime_generate"])
"""
    done = run_process("-W", "ignore", "-c", code)
    assert done.stdout.split("\n")[:2] == ["[]", "['note_seq']"], done.stderr
