"""The real songs of the tests: they lie in the checkout, and hold what their README says."""

import importlib.util
import os
import re

import numpy as np
import pytest
from helpers import REPO, SONGS

from lc_music_vae import data
from lc_music_vae.music import examples

FOLDER = os.path.join(REPO, "tests", "songs")


@pytest.fixture(scope="module")
def make():
    spec = importlib.util.spec_from_file_location("make_songs", os.path.join(FOLDER, "make.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def read(name):
    (song,) = examples.read(os.path.join(FOLDER, name))
    return song.note_sequence


def test_each_song_says_where_it_is_from():
    assert len(SONGS) == 9
    with open(os.path.join(FOLDER, "README.md"), encoding="utf-8") as f:
        named = re.findall(r"`([^`]+\.(?:mid|tfrecord))`", f.read())
    patterns = [re.escape(name).replace(r"\*", ".*").replace("*", ".*") for name in named]
    for name in os.listdir(FOLDER):
        if name.endswith((".mid", ".tfrecord")):
            assert any(re.match(pattern + "$", name) for pattern in patterns), name


def test_the_minuet_is_its_score(make):
    score = make.minuet()
    right, left = ([n for n in score.notes if n.instrument == i] for i in (0, 1))
    assert [n.pitch for n in right][:8] == [74, 67, 69, 71, 72, 74, 67, 67]  # D G A B c | D G G
    for part in (right, left):  # 32 bars of 3/4 without a gap
        assert [n.start_time for n in part[1:]] == [n.end_time for n in part[:-1]]
        assert part[-1].end_time == 32 * 3 / 2
    by_file = read("minuet_in_g.mid")
    assert data.notes_of(by_file).tolist() == data.notes_of(score).tolist()
    assert read("minuet_in_g.tfrecord") == score
    # Of G major: its scale alone, but for the sharps of the way to D major and back.
    assert {n.pitch % 12 for n in score.notes} == {7, 9, 11, 0, 2, 4, 6} | {1}


def test_a_song_in_3_4_has_windows_at_its_own_bars():
    converter = data.WindowConverter("cat-mel_2bar_small")
    (song,) = examples.read(os.path.join(FOLDER, "minuet_in_g.mid"))
    score = converter.score(song)
    np.testing.assert_array_equal(score.bars, 3.0 * np.arange(33))
    assert [t.name for t in score.tracks] == ["right hand"]
    windows = converter.windows(score)
    assert [w.first_bar for w in windows][:8] == list(range(8))
    assert {score.bars[w.first_bar] % 3 for w in windows} == {0}


def test_nothing_in_the_project_leads_out_of_it():
    """A clone has nothing beside it: no text names a path outside, relative or of somebody's machine."""
    relative = re.compile(r"(?<![\w.])(?:\.\./)+[\w.*{-]*")
    joined = re.compile(r"""join\((?:REPO|HERE|ROOT)[^()]*["']\.\.["']|REPO, os\.pardir""")
    absolute = re.compile(r"(?<![\w.:/])/(?:work|root|home|Users|mnt|farm)/[\w.]+")
    found = []
    for folder, folders, names in os.walk(REPO):
        in_tests = folder.startswith(os.path.join(REPO, "tests"))  # where hostile names lead anywhere
        folders[:] = [
            f for f in folders if f not in ("build", "demo", "dist") and (not f.startswith(".") or f == ".ci")
        ]
        for name in names:
            path = os.path.join(folder, name)
            if name.endswith((".py", ".md", ".sh", ".toml", ".cfg", ".txt", ".ipynb", ".html")) or name in (
                "run",
                "Makefile",
            ):
                with open(path, encoding="utf-8") as f:
                    text = f.read()
                hits = absolute.findall(text) + joined.findall(text)
                for target in relative.findall(text) if not in_tests else ():
                    if os.path.relpath(os.path.join(folder, target), REPO).startswith(os.pardir):
                        hits.append(target)
                found += [(os.path.relpath(path, REPO), hit) for hit in hits if name != "test_songs.py"]
    assert found == []
