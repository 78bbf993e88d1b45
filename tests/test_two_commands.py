"""Any two commands on one run folder, in turn and at once, with songs that change between them.

Whatever the second one does, the first is not disturbed; what was trained on stays in the copy check; and nobody learns
from, or is evaluated on, songs that were not asked for.
"""

import os
import shutil
import threading

import helpers
import pytest
from helpers import SMALL, layers, melody, state_of, tune, write_midi

import lc_music_vae
from lc_music_vae import trained_model
from lc_music_vae.checkpoints import bundles, run_json
from lc_music_vae.checkpoints import run_dir as run_dir_lib
from lc_music_vae.encoding import latents
from lc_music_vae.errors import InputError
from lc_music_vae.models import music_vae
from lc_music_vae.training import estimator, hooks, looking_back
from lc_music_vae.training import evaluate as evaluating

pytestmark = [pytest.mark.faults("two commands on one run folder"), pytest.mark.slow]

SIZES = layers(8)
SONGS = 12  # of one window each, of which the walk below removes one before each command
SECONDS = 60  # a second command that is still at work then hangs


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    os.makedirs(str(folder / "songs"))
    for i in range(SONGS):
        write(folder / "songs", i)
    os.environ["LC_MUSIC_VAE_CACHE"] = str(tmp_path_factory.getbasetemp() / "cache")
    lc_music_vae.train(SMALL, str(folder / "songs"), str(folder / "run"), num_steps=2, hparams=SIZES)
    return folder


@pytest.fixture
def home(base, tmp_path, monkeypatch):
    """A copy of the run and its songs. Pictures are slow, and looked at elsewhere."""
    monkeypatch.setattr(evaluating, "_show", lambda *a: (run_json.Score(1.0, 1, None, 0), {}))
    monkeypatch.setattr(looking_back, "look_back", lambda *a, **k: looking_back.LookedBack(run_json.Latent(), None, []))
    for name in ("songs", "run"):
        shutil.copytree(str(base / name), str(tmp_path / name))
    return tmp_path


def write(songs, number, seed=0):
    write_midi(melody(tune(2, 1000 * seed + number)), songs / ("%02d.mid" % number))


def change(songs, kind, number):
    """Changes the songs for the `number`th time."""
    if kind == "added":
        write(songs, SONGS + number)
    elif kind == "removed":
        os.remove(str(songs / ("%02d.mid" % number)))
    elif kind == "changed":
        write(songs, 0, 1 + number)


def step_of(home):
    return run_dir_lib.at(str(home / "run")).latest()[1]


def train(home, **kwargs):
    return lc_music_vae.train(SMALL, str(home / "songs"), str(home / "run"), num_steps=step_of(home) + 1, **kwargs)


def evaluate(home):
    return lc_music_vae.evaluate(str(home / "run"))


def generate(home):
    return helpers.generate("sample", str(home / "run"), num_outputs=1, seed=1)


COMMANDS = {"train": train, "evaluate": evaluate, "generate": generate}

# Every ordered pair of commands, one after the other; which of them come out otherwise if songs changed before it.
WALK = ["train", "train", "evaluate", "evaluate", "generate", "generate", "train", "generate", "evaluate", "train"]
REFUSED_AFTER = {
    ("same", "train"): None,
    ("added", "train"): "(new: ",
    ("removed", "train"): "(gone: ",
    ("changed", "train"): "(changed: 00.mid",
}


def test_the_walk_has_every_pair():
    assert set(zip(WALK, WALK[1:])) == {(a, b) for a in COMMANDS for b in COMMANDS}


def windows_of(home):
    """The notes of all windows that the run's copy check knows."""
    records = latents.read(run_dir_lib.at(str(home / "run")).shards())
    return {tuple(record["notes"].ravel()) for record in records}


@pytest.mark.parametrize(
    "kind", ["same", "removed", *(pytest.param(kind, marks=pytest.mark.every) for kind in ("added", "changed"))]
)
def test_in_turn(kind, base, home):
    """The songs change before each command; training says so, and goes on with old and new when told to."""
    songs, run = home / "songs", home / "run"
    train_on = {"path": str(songs)}
    lc_music_vae.train(SMALL, train_on["path"], str(run), num_steps=3)  # they lie in another folder now
    made = {}
    ever = windows_of(home)
    assert len(ever) == SONGS
    loss = None
    for number, name in enumerate(WALK):
        change(songs, kind, number)
        before, reached = state_of(run / "latents"), step_of(home)
        refusal = REFUSED_AFTER.get((kind, name))
        if refusal:
            untouched = state_of(run)
            with pytest.raises(InputError) as e:
                train(home)
            assert refusal in str(e.value)
            assert str(songs) in str(e.value)
            assert state_of(run) == untouched
        result = COMMANDS[name](home, **({"add_songs": True} if refusal else {}))
        assert before.items() <= state_of(run / "latents").items(), (number, name)
        assert name == "train" or before == state_of(run / "latents")
        assert ever <= windows_of(home)
        ever = windows_of(home)
        assert made.items() <= state_of(run / "generated").items()
        made = state_of(run / "generated") if name == "generate" else {}
        made = {path: state for path, state in made.items() if path.endswith((".mid", ".png"))}
        assert step_of(home) == reached + (name == "train")
        if name == "evaluate":
            assert result["global_step"] == reached
            assert loss in (None, result["loss"])
            loss = result["loss"]
        elif name == "train":
            loss = None
    trainings_with_new_songs = WALK.count("train")
    new = {"added": len(WALK), "changed": trainings_with_new_songs}.get(kind, 0)
    assert len(ever) == SONGS + new


def once(monkeypatch, owner, name, hook):
    """Calls `hook` when the function is called first, before it."""
    original = getattr(owner, name)

    def hooked(*arguments, **kwargs):
        monkeypatch.setattr(owner, name, original)
        hook()
        return original(*arguments, **kwargs)

    monkeypatch.setattr(owner, name, hooked)


# Where the second command comes, in the first: the function that it is about to call.
MOMENTS = {
    "songs are read": (music_vae.Encoder, "encode"),
    "a step is done": (hooks.Progress, "after_run"),
    "the bundle is written": (bundles, "write"),
    "latents are loaded": (latents, "load"),
    "the loss is computed": (estimator, "evaluate"),
    "the small VAE is loaded": (trained_model.SmallVAE, "__init__"),
    "notes are decoded": (music_vae.Decoder, "decode"),
}
TRAINING, WAITS = "is training there; wait until it ends, or give another run_dir", "waits"
AT_ONCE = [
    ("train", moment, second, TRAINING if second == "train" else None)
    for moment in ("songs are read", "a step is done", "the bundle is written")
    for second in ("train", "evaluate", "generate")
]
AT_ONCE += [
    ("evaluate", "latents are loaded", "train", None),
    ("evaluate", "the loss is computed", "train", None),
    ("evaluate", "the loss is computed", "evaluate", WAITS),
    ("evaluate", "the loss is computed", "generate", None),
    ("generate", "the small VAE is loaded", "train", None),
    ("generate", "notes are decoded", "evaluate", None),
    ("generate", "notes are decoded", "generate", None),
]


def test_all_pairs_are_tried_at_once():
    assert {(first, second) for first, _, second, _ in AT_ONCE} == {(a, b) for a in COMMANDS for b in COMMANDS}


@pytest.mark.parametrize(("first", "moment", "second", "outcome"), AT_ONCE)
def test_at_once(first, moment, second, outcome, home, monkeypatch, caplog):
    """A training adds a song and keeps one checkpoint: what others found a moment ago is gone, or not all there is."""
    caplog.set_level("INFO")
    write(home / "songs", SONGS)
    run, adding = home / "run", {"add_songs": True, "checkpoints_to_keep": 1}
    shards = state_of(run / "latents")
    found, threads = {}, []

    def second_command():
        try:
            found["second"] = COMMANDS[second](home, **(adding if second == "train" else {}))
        except Exception as e:
            found["error"] = e

    def hook():
        threads.append(threading.Thread(target=second_command, daemon=True))
        threads[0].start()
        threads[0].join(0.5 if outcome == WAITS else SECONDS)
        found["waited"] = threads[0].is_alive()

    once(monkeypatch, *MOMENTS[moment], hook)
    result = COMMANDS[first](home, **(adding if first == "train" else {}))
    assert len(threads) == 1
    threads[0].join(SECONDS)
    assert found["waited"] == (outcome == WAITS)
    assert ("waiting for another evaluation to end" in caplog.text) == (outcome == WAITS)
    if outcome == TRAINING:
        assert outcome in str(found["error"])
    else:
        assert "error" not in found, found["error"]
    trained = "train" in (first, second)
    assert step_of(home) == 2 + trained
    assert shards.items() <= state_of(run / "latents").items()
    assert len(windows_of(home)) == SONGS + trained
    results = {first: result, second: found.get("second", result)}
    if "evaluate" in results:
        reached = 3 if first == "evaluate" and moment == "latents are loaded" or "bundle" in moment else 2
        assert results["evaluate"]["global_step"] == reached
        assert "%d distinct windows from" % (SONGS + ("a step" in moment or "bundle" in moment)) in caplog.text
    if "generate" in results:
        made = [result, found["second"]] if first == second else [results["generate"]]
        assert len({path for paths in made for path in paths}) == 2 * len(made)
        assert all(os.path.getsize(path) for paths in made for path in paths)
    if not trained:
        train(home, **adding)
        assert step_of(home) == 3
