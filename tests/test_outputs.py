"""The folder that is generated to, and its index."""

import json
import os
import re
import signal
import threading
import time
import wave

import note_seq
import numpy as np
import pytest
from helpers import melody, tune
from PIL import Image

from lc_music_vae.encoding import nearness
from lc_music_vae.errors import InputError
from lc_music_vae.generation import generate as generating
from lc_music_vae.generation.inputs import Given
from lc_music_vae.generation.modes import MODES
from lc_music_vae.options import Request
from lc_music_vae.showing import audio, midi_file, outputs, piano_rolls
from lc_music_vae.system import files


def write(folder, mode="sample", n=2, latent=(0.123456, -1.0), engine=None):
    near = nearness.Nearest("/songs/a.mid", (5, 6), 0.75, False)
    made = [outputs.Output("%03d" % i, melody(tune(2, i)), np.array(latent), near) for i in range(n)]
    sheet = piano_rolls.draw([o.note_sequence for o in made], [o.title for o in made])
    run = outputs.Run("lc-cat-mel_2bar_small", mode, {"seed": 1, "temperature": 0.5})
    return outputs.write(folder, run, made, sheet=sheet, formats={"audio": engine} if engine is not None else None)


def index_of(folder):
    with open(os.path.join(folder, "index.json")) as f:
        return json.load(f)


def test_the_point_of_an_output_is_given_where_it_alone_gives_the_music_again():
    at = outputs.Output("x", None, np.array([0.5, -1]))
    assert at.place() == "--latent=0.50,-1.00"
    assert at._replace(detail=[0.0]).place() == "--latent=0.50,-1.00"
    for other in (at._replace(detail=[0.3]), at._replace(is_turned=True), outputs.Output("x", None)):
        assert other.place() == ""


def test_the_index_lists_every_run_and_finds_each_latent_again(tmp_path):
    folder = outputs.make_folder(str(tmp_path / "out"))
    written = [write(folder), write(folder, "walk", 3)]
    index = index_of(folder)
    assert index["format"] == 1
    assert [(run["mode"], len(run["outputs"])) for run in index["runs"]] == [("sample", 2), ("walk", 3)]
    for run, paths in zip(index["runs"], written):
        assert [output["file"] for output in run["outputs"]] == [os.path.basename(p) for p in paths[:-1]]
        assert run["picture"] == os.path.basename(paths[-1])
        assert run["written"] in paths[0]
        assert all(map(os.path.isfile, paths))
        assert (run["seed"], run["temperature"]) == (1, 0.5)
    nearest = {"song": "a.mid", "bars": [5, 6], "similarity": 0.75, "copy": False, "semitones": 0}
    assert [output["title"] for output in index["runs"][0]["outputs"]] == ["000", "001"]
    assert index["runs"][0]["outputs"][1]["latent"] == [0.1235, -1.0]
    assert index["runs"][0]["outputs"][1]["nearest"] == nearest


def test_names_are_magentas_and_a_second_later_where_anything_of_that_name_is(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1.6e9)
    folder = outputs.make_folder(str(tmp_path))
    stem = os.path.join(folder, "lc-cat-mel_2bar_small_sample_")
    first, second, third, fourth = (time.strftime("%Y-%m-%d_%H%M%S", time.localtime(1.6e9 + i)) for i in range(4))
    open("%s%s-001-of-002.wav" % (stem, first), "w").close()
    open("%s%s.png" % (stem, second), "w").close()
    for stamp in (third, fourth):
        names = ["%s-000-of-002.mid", "%s-001-of-002.mid", "%s.png"]
        assert write(folder) == [stem + name % stamp for name in names]


def test_a_folder_that_cannot_be_made_or_written_to(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for path, message in (
        (str(tmp_path / "file"), "output_dir=%s cannot be made: File exists"),
        (str(tmp_path), "output_dir=%s cannot be written to; choose another"),
    ):
        monkeypatch.setattr(os, "access", lambda folder, rights: rights != os.W_OK)  # as for others than root
        with pytest.raises(InputError) as e:
            outputs.make_folder(path)
        assert str(e.value) == message % path


def test_a_page_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "index.html").write_text("<h1>my home page</h1>")
    with pytest.raises(InputError, match="index.html: not a page of generated files"):
        outputs.make_folder(str(tmp_path))
    assert (tmp_path / "index.html").read_text() == "<h1>my home page</h1>"


def test_when_sound_fails_the_run_is_listed_all_the_same(tmp_path):
    folder = outputs.make_folder(str(tmp_path))
    with pytest.raises(InputError, match="false ended with status 1 and said: nothing"):
        write(folder, engine=audio.Engine("false", "none.sf2"))
    (run,) = index_of(folder)["runs"]
    assert all((tmp_path / output["file"]).exists() for output in run["outputs"])
    assert not (tmp_path / run["outputs"][0]["audio"]).exists()
    write(folder)
    assert run["outputs"][0]["file"] in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_sound_is_written_beside_each_file_where_it_is_asked_for_and_never_over_another(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1.6e9)
    folder = outputs.make_folder(str(tmp_path))
    write(folder)
    heard = write(folder, engine=audio.Engine())
    for path in heard[:-1]:
        with wave.open(path[:-4] + ".wav") as sound:
            assert sound.getnframes() == 4 * sound.getframerate()  # two bars
    before, run = index_of(folder)["runs"]
    assert [output["audio"] for output in run["outputs"]] == [os.path.basename(p)[:-4] + ".wav" for p in heard[:-1]]
    assert not any("audio" in output for output in before["outputs"])
    assert len([name for name in os.listdir(folder) if name.endswith(".wav")]) == 2
    for path in heard[:-1]:
        os.remove(path)
    os.remove(heard[-1])
    assert not set(write(folder, engine=audio.Engine())) & set(heard)  # their sound is still there


def test_the_page_shows_what_the_index_lists(tmp_path):
    folder = outputs.make_folder(str(tmp_path))
    for mode in ("sample", "walk"):
        paths = write(folder, mode)
        text = (tmp_path / "index.html").read_text(encoding="utf-8")
        assert all(os.path.basename(path) in text for path in paths[:-1])
    assert text.index('"mode":"walk"') < text.index('"mode":"sample"')


@pytest.mark.slow
def test_48_runs_at_the_same_time_are_all_listed_each_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1.6e9)  # all of them in one second
    folder = outputs.make_folder(str(tmp_path))
    numbers = {"m%02d" % i: 1 + i % 3 for i in range(24)}
    threads = [threading.Thread(target=write, args=(folder, mode, n)) for mode, n in numbers.items()]
    threads += [threading.Thread(target=write, args=(folder, "same", n)) for n in (1, 2) * 12]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    runs = index_of(folder)["runs"]
    assert {run["mode"]: len(run["outputs"]) for run in runs if run["mode"] != "same"} == numbers
    assert sorted(len(run["outputs"]) for run in runs if run["mode"] == "same") == [1] * 12 + [2] * 12
    listed = [output["file"] for run in runs for output in run["outputs"]] + [run["picture"] for run in runs]
    assert len(set(listed)) == len(listed)
    assert sorted(listed + ["index.html", "index.json"]) == sorted(os.listdir(folder))
    text = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert all('"%s"' % name in text for name in listed if name.endswith(".mid"))


def killed_at(call, folder):
    """Writes a run in another process, which is killed at a call of `files.flush`; returns whether it came to that."""
    child = os.fork()
    if not child:
        try:
            flush, left = files.flush, [call]

            def flush_or_die(path):
                left[0] -= 1
                if left[0] < 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                flush(path)

            files.flush = flush_or_die
            write(folder)
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] == signal.SIGKILL


@pytest.mark.slow
@pytest.mark.faults("signals, locks, full disks, what changes or goes")
def test_a_killed_run_leaves_nothing_half_written_and_the_next_removes_what_it_left(tmp_path):
    calls = 0
    while killed_at(calls, str(tmp_path / str(calls))):
        left = tmp_path / str(calls)
        calls += 1
        for name in os.listdir(str(left)):
            if name.endswith(".mid"):
                assert note_seq.midi_file_to_note_sequence(str(left / name)).notes
            elif name.endswith(".png"):
                Image.open(str(left / name)).load()
        listed = index_of(left)["runs"] if (left / "index.json").exists() else []
        assert all((left / output["file"]).exists() for run in listed for output in run["outputs"])
        write(outputs.make_folder(str(left)))
        assert len(index_of(left)["runs"]) == len(listed) + 1
        assert not [name for name in os.listdir(str(left)) if name.startswith(".")]
        text = (left / "index.html").read_text(encoding="utf-8")
        assert all(output["file"] in text for run in index_of(left)["runs"] for output in run["outputs"])
    assert calls == 10  # two MIDI files, picture, index, page: each the file, then its folder


@pytest.mark.faults("signals, locks, full disks, what changes or goes")
def test_who_waits_for_another_says_so_once_and_can_be_stopped(tmp_path, caplog):
    folder = outputs.make_folder(str(tmp_path))
    said = "waiting for another command that writes to %s; Ctrl-C stops this one" % folder
    threading.Timer(1.6, os.kill, [os.getpid(), signal.SIGINT]).start()
    with files.locked(folder):
        with caplog.at_level("INFO"), pytest.raises(KeyboardInterrupt):
            write(folder)
        began = time.monotonic()
    assert caplog.messages == [said]
    assert os.listdir(folder) == []
    with caplog.at_level("INFO"):
        write(folder)
    assert caplog.messages == [said]
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("text", ["{", "[]", '{"format": 9, "runs": []}', '{"name": "a web page"}', '"x"'])
def test_an_index_that_is_not_ours_is_left_alone(tmp_path, text):
    (tmp_path / "index.json").write_text(text)
    with pytest.raises(InputError) as e:
        outputs.make_folder(str(tmp_path))
    advice = "not an index of generated files; move it away or choose another output_dir"
    assert str(e.value) == "%s: %s" % (tmp_path / "index.json", advice)
    assert (tmp_path / "index.json").read_text() == text


def test_a_sheet_shows_so_many_outputs_and_says_so(monkeypatch, caplog):
    monkeypatch.setattr(generating, "_MAX_DRAWN", 3)
    made = [outputs.Output("%03d" % i, melody(tune(2, i))) for i in range(5)]
    with caplog.at_level("INFO"):
        sheet = generating._draw(MODES["sample"].sheet(made, Given(), request=Request()))
    assert "the sheet shows the first 2 of 5, and the last" in caplog.text
    alone = piano_rolls.draw([made[i].note_sequence for i in (0, 1, 4)], ["000", "001", "004"])
    assert sheet.tobytes() == alone.tobytes()


def written(folder, sequences):
    """The paths of sequences that are written with some picture."""
    run = outputs.Run("lc-cat-mel_2bar_small", "sample", {})
    made = [outputs.Output("x", sequence) for sequence in sequences]
    return outputs.write(folder, run, made, sheet=Image.new("L", (2, 2)))


@pytest.mark.faults("what no MIDI file can say")
@pytest.mark.parametrize("qpm", [3, 99999999, 0, float("nan")])
def test_a_tempo_that_midi_does_not_have_is_one_line_and_nothing_is_written(tmp_path, qpm):
    notes = melody(tune(2))
    notes.tempos[0].qpm = qpm
    with pytest.raises(InputError, match=re.escape("a tempo of %g quarters a minute cannot be written" % qpm)):
        written(str(tmp_path), [melody(tune(2)), notes])
    assert os.listdir(str(tmp_path)) == []


@pytest.mark.parametrize("qpm", [midi_file._MIN_QPM, 10, 1000, midi_file._MAX_QPM])
def test_every_other_tempo_comes_back(tmp_path, qpm):
    path, _ = written(str(tmp_path), [melody([(0, 1, 60)], qpm=qpm)])
    assert note_seq.midi_file_to_note_sequence(path).tempos[0].qpm == pytest.approx(qpm, rel=1e-3)
