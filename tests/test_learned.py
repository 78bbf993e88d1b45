"""Training that ends by itself, bars that are kept out of it, and what is said of them at the end."""

import os
import re

import numpy as np
import pytest
from helpers import EXAMPLE, REPO, layers, one_line, state_of, train, weights_at

import lc_music_vae
from lc_music_vae import base_model
from lc_music_vae.checkpoints import run_dir as run_dir_lib
from lc_music_vae.encoding import latents
from lc_music_vae.models.prior import PersonalPrior
from lc_music_vae.training import hooks, score, stopping, summaries

pytestmark = pytest.mark.slow
FAST = layers(16) + ",learning_rate=0.01"
POP = os.path.join(REPO, "tests", "songs", "pop909_079.mid")


@pytest.fixture
def quick(monkeypatch):
    """Training is scored every step, and ends by itself after some."""
    monkeypatch.setattr(stopping, "EVERY", 1)
    monkeypatch.setattr(stopping, "_RULES", {"balanced": stopping.Rule(1.0, 40), "free": stopping.Rule(1e9, 40)})


def test_training_ends_where_the_scores_say_so(quick, tmp_path, caplog):
    run_dir = str(tmp_path / "run")
    with caplog.at_level("INFO"):
        train(run_dir, hparams=layers(16))
    assert "training from step 0 until it is learned, at most to 40" in caplog.text
    reached = run_dir_lib.at(run_dir).latest()[1]
    scores = dict(summaries.read_scalars(os.path.join(run_dir, "train"))[hooks.SCORE].items())
    assert sorted(scores) == list(range(1, reached + 1))
    ends = [step for step in scores if stopping.is_enough({s: scores[s] for s in scores if s <= step}, None)]
    assert ends == [reached] or (not ends and reached == 40)
    run = run_dir_lib.at(run_dir).read()
    assert (run.step, run.learned) == (reached, reached)
    # It is done: the same command changes nothing, and another number of steps goes on.
    before = state_of(run_dir)
    with caplog.at_level("INFO"):
        train(run_dir)
    assert state_of(run_dir) == before
    assert "is trained to step %d already; to go on, give a larger --num_steps" % reached in caplog.text
    train(run_dir, num_steps=reached + 1)
    assert run_dir_lib.at(run_dir).latest()[1] == reached + 1


def test_free_ends_before_balanced(quick, tmp_path):
    train(tmp_path / "free", hparams=FAST, fidelity="free")
    assert run_dir_lib.at(str(tmp_path / "free")).latest()[1] == 6  # the first step with enough scores
    train(tmp_path / "balanced", hparams=FAST)
    assert run_dir_lib.at(str(tmp_path / "balanced")).latest()[1] > 8


def test_dimensions_that_change_nothing_are_named(tmp_path, caplog):
    """Of sixteen dimensions most collapse: those that move z least on their way."""
    run_dir = str(tmp_path / "run")
    with caplog.at_level("INFO"):
        train(run_dir, num_steps=300, hparams="encoded_z_size=16")
    (said,) = [m for m in caplog.messages if "change hardly anything" in m]
    found = re.match(
        r"of the small latent's 16 dimensions, these change hardly anything: ([\d, ]+); encoded_z_size=(\d+)", said
    )
    dead = [int(number) - 1 for number in found.group(1).split(", ")]
    assert len(dead) + int(found.group(2)) == 16
    with lc_music_vae.TrainedModel(run_dir) as model:
        moved = []
        for dimension in range(16):
            ends = np.tile((model.low + model.high) / 2, (2, 1))
            ends[:, dimension] = model.low[dimension], model.high[dimension]
            moved.append(np.linalg.norm(np.subtract(*model.small.decode(ends))))
    assert sorted(np.argsort(moved)[: len(dead)]) == dead


def test_run_json_says_where_songs_begin_and_end(tmp_path):
    """Walks go from there to there: the posteriors' means, less and plus their scales."""
    run_dir = str(tmp_path / "run")
    train(run_dir, num_steps=100, hparams=layers(16))
    windows = latents.own_key(run_dir_lib.at(run_dir).shards(), 100)
    with lc_music_vae.TrainedModel(run_dir) as model:
        means, scales = model.small.encode(windows.means)
        assert scales.min() > 0.01
        np.testing.assert_allclose(model.center, means.mean(0), atol=1e-3)
        np.testing.assert_allclose(model.low, (means - scales).min(0), atol=1e-3)
        np.testing.assert_allclose(model.high, (means + scales).max(0), atol=1e-3)


def test_a_training_that_was_stopped_ends_by_itself_where_one_does_that_was_not(quick, tmp_path, monkeypatch):
    train(tmp_path / "whole", hparams=FAST)
    end = run_dir_lib.at(str(tmp_path / "whole")).latest()[1]
    assert end > 8
    after_run = hooks.Progress.after_run

    def stopped(self, context, values):
        after_run(self, context, values)
        if self._step == end - 2:
            context.request_stop()

    with monkeypatch.context() as m:
        m.setattr(hooks.Progress, "after_run", stopped)
        with pytest.raises(lc_music_vae.InputError):  # it ended before it was learned, and nobody asked for that
            train(tmp_path / "stopped", hparams=FAST)
    assert run_dir_lib.at(str(tmp_path / "stopped")).latest()[1] == end - 2
    train(tmp_path / "stopped")
    assert run_dir_lib.at(str(tmp_path / "stopped")).latest()[1] == end
    assert weights_at(tmp_path / "stopped") == weights_at(tmp_path / "whole")


def test_scores_are_the_likelihood_of_draws_that_training_does_not_use(tmp_path, monkeypatch):
    monkeypatch.setattr(stopping, "EVERY", 1)
    monkeypatch.setattr(stopping, "_RULES", {"balanced": stopping.Rule(-1e9, 2)})
    run_dir = str(tmp_path / "run")
    train(run_dir, hparams=layers(16))
    windows = latents.own_key(run_dir_lib.at(run_dir).shards(), 100)
    z = windows.draws(0, 24)[:256]
    assert len(windows.means) == 11
    with lc_music_vae.TrainedModel(run_dir) as model:
        likelihoods = np.array([model.small.log_prob(z, draws=8, seed=seed).mean() for seed in range(20)])
    scores = summaries.read_scalars(os.path.join(run_dir, "train"))[hooks.SCORE]
    found = scores[max(scores)]
    found += base_model.log_standard_normal(z).mean()
    assert abs(found - likelihoods.mean()) < 4 * likelihoods.std()  # other draws of importance sampling
    assert likelihoods.std() < 2


def test_fidelity_and_a_number_of_steps_contradict(tmp_path):
    said = "fidelity=close: num_steps=5 says where training ends; leave one of them out"
    assert one_line(train, tmp_path / "run", fidelity="close", num_steps=5) == said


@pytest.fixture(scope="module")
def held_out(tmp_path_factory):
    run_dir = str(tmp_path_factory.mktemp("held_out"))
    train(run_dir, POP, num_steps=400, holdout=0.3)
    return run_dir


def bars_of(folder):
    return [(record["first_bar"], record["last_bar"]) for record in latents.read(shards_in(folder))]


def shards_in(folder):
    return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".tfrecord"))


def test_no_bar_is_both_learned_from_and_kept_out(held_out):
    folder = run_dir_lib.at(held_out)
    learned, kept_out = bars_of(folder.latents), bars_of(folder.holdout)
    assert len(learned) > 10
    assert len(kept_out) > 3
    assert max(last for _, last in learned) < min(first for first, _ in kept_out)
    bars = max(last for _, last in kept_out) + 1
    assert 0.7 * bars - 1 < min(first for first, _ in kept_out) < 0.8 * bars


def test_bars_that_were_kept_out_are_scored(held_out):
    """Recomputed from the files, with many more draws; and they are likelier than those of another song."""
    folder = run_dir_lib.at(held_out)
    recorded = folder.read().score
    names = sorted(
        os.path.join(folder.holdout, name) for name in os.listdir(folder.holdout) if name.endswith(".tfrecord")
    )
    windows = latents.own_key(names, 1000)
    repeats = np.array([record["repeats"] for record in windows.records])
    with lc_music_vae.TrainedModel(held_out) as model:
        prior = PersonalPrior(model.small, base_model.BroadPart(latents.moments(folder.shards())))
        gains = score.gains(lambda z: prior.log_prob(z, draws=100, seed=3), windows, seed=8)
    assert recorded.all == pytest.approx(np.average(gains, weights=repeats), abs=2)
    assert recorded.windows == repeats.sum()
    assert recorded.all > 20
    training = [record["notes"][:, [0, 2]].tolist() for record in latents.read(folder.shards())]
    exact = sum(r["repeats"] for r in windows.records if r["notes"][:, [0, 2]].tolist() in training)
    assert recorded.new_windows <= recorded.windows - exact
    other = lc_music_vae.evaluate(held_out, EXAMPLE, eval_dir_suffix="_other")
    assert other["score"] < recorded.all - 20
    assert other["score_of_new"] == pytest.approx(other["score"])  # nothing of it was trained on


def test_other_shares_contradict_and_what_is_said(held_out, tmp_path, caplog):
    said = "holdout=0.2 contradicts %s, which was trained with holdout=0.3"
    assert one_line(train, held_out, POP, holdout=0.2) == said % os.path.join(held_out, "run.json")
    with caplog.at_level("INFO"):
        train(tmp_path / "run", EXAMPLE, num_steps=1, holdout=0.01, hparams=layers(8))
        assert "--holdout=0.01: the last bars of these songs give no window; nothing is kept out" in caplog.text
        train(tmp_path / "run_2", EXAMPLE, num_steps=1, holdout=0.5, hparams=layers(8))
    assert re.search(r"the last 50 % of each song's bars are kept out: \d+ distinct windows", caplog.text)
    assert re.search(r"the bars that were kept out are -?[\d.]+ nats a window", caplog.text)
    assert run_dir_lib.at(str(tmp_path / "run")).read().score is None


def test_moments_are_those_of_the_windows_in_all_their_keys(tmp_path):
    run_dir = str(tmp_path / "run")
    train(run_dir, num_steps=1, hparams=layers(8), augment=True)
    shards = run_dir_lib.at(run_dir).shards()
    records = list(latents.read(shards))
    assert sum(len(record["transpositions"]) for record in records) > 5 * len(records)
    mean, scale = (np.concatenate([record[name] for record in records]) for name in ("mean", "scale"))
    found = latents.moments(shards)
    assert found.windows == len(mean)
    np.testing.assert_allclose(found.mean, mean.mean(0), atol=1e-6)
    np.testing.assert_allclose(found.covariance, np.cov(mean.T, bias=True), atol=1e-5)
    np.testing.assert_allclose(found.variance, (scale.astype(np.float64) ** 2).mean(0), rtol=1e-5)
