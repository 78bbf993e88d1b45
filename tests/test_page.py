import base64
import json
import os

import note_seq
import pytest
from helpers import AWKWARD, PNG, Reader, drum_beat, melody, tune, write_midi

from lc_music_vae.errors import InputError
from lc_music_vae.music import examples
from lc_music_vae.showing import index, page


# Everything that could break out of a script element, an attribute, a URL or JSON.
def shown(folder):
    """The runs as the page's own script reads them."""
    assert page.write(str(folder)) == str(folder / "index.html")
    data, script = Reader((folder / "index.html").read_text(encoding="utf-8")).scripts
    assert script.strip().startswith('"use strict"')
    return json.loads(data)


def code():
    """The page without what it shows."""
    return "".join(page.source(*names) for names in (["page.html"], ["play", "voices.js"], ["play", "files.js"]))


def test_every_output_is_there_with_its_notes_newest_run_first(three_runs):
    newest, drums, first = shown(three_runs)
    assert [r["mode"] for r in (newest, drums, first)] == ["reconstruct", "sample", "sample"]
    assert newest["config"] == "lc-cat-mel_2bar_small"
    assert base64.b64decode(newest["picture"][len("data:image/png;base64,") :]) == PNG
    assert (drums["date"], drums["seed"], drums["temperature"]) == ("2026-11-23 09:08", 2, 0.5)
    assert (drums["inputs"], drums["similarity"], first["inputs"], first["similarity"]) == (["x.mid"], 0.8, [], None)
    assert [o["title"] for o in first["outputs"]] == ["000", "001"]
    assert [o["file"] for o in first["outputs"]] == ["a0.mid", "a1.mid"]
    assert first["outputs"][0]["bars"] == [0, 2, 4]  # it ends where its second bar does
    assert first["outputs"][0]["latent"] == [0.1, -1.2, 0.3, 2.0]
    assert first["outputs"][0]["nearest"]["bars"] == [5, 6]
    assert first["outputs"][1]["nearest"]["copy"] is True
    second = first["outputs"][1]
    quarter = 60 / 90.0
    expected = [(0, quarter, 69), (quarter, 2.5 * quarter, 60), (7 * quarter, 7.5 * quarter, 64)]
    assert [(a, b, p) for a, b, p, _, _ in second["notes"]] == [
        (pytest.approx(a, abs=2e-3), pytest.approx(b, abs=2e-3), p) for a, b, p in expected
    ]
    assert all(note[3:] == [80, False] for note in second["notes"])
    assert second["bars"] == pytest.approx([0, 4 * quarter, 8 * quarter], abs=1e-3)  # it ends within its second bar
    numbers = second["bars"] + [time for note in second["notes"] for time in note[:2]]
    assert [round(number, 4) for number in numbers] == numbers  # which is all that anybody hears
    assert second["seconds"] == second["bars"][-1]
    (beat,) = drums["outputs"]
    assert all(note[4] is True for note in beat["notes"])
    assert beat["audio"] == "b.wav"
    assert first["outputs"][0]["audio"] is None


def test_programs_are_there_where_they_are_no_piano(three_runs):
    write_midi(melody([(0, 1, 60), (1, 2, 62)], program=73), three_runs / "a0.mid")
    flute, piano = shown(three_runs)[2]["outputs"]
    assert [note[3:] for note in flute["notes"]] == [[80, False, 73]] * 2
    assert all(len(note) == 5 for note in piano["notes"])
    assert index.is_heard(flute["notes"], flute["bars"])
    assert not index.is_heard([[0, 1, 60, 80, False, 128]], flute["bars"])
    assert not index.is_heard([[0, 1, 60, 80, False, 1, 1]], flute["bars"])
    again = shown(three_runs)[2]["outputs"]
    assert again == [flute, piano]


def test_names_do_no_harm(three_runs):
    (awkward,) = shown(three_runs)[0]["outputs"]
    assert (awkward["title"], awkward["nearest"]["song"]) == (AWKWARD, AWKWARD)
    assert len(awkward["notes"]) == len(tune(3, 2))


def test_nothing_is_fetched(three_runs):
    page.write(str(three_runs))
    text = (three_runs / "index.html").read_text(encoding="utf-8")
    assert not [value for key, value in Reader(text).attributes if key in ("src", "href")]
    without = text.replace("http://www.w3.org/2000/svg", "")  # the name of SVG's elements, which nobody fetches
    for fetched in ("http:", "https:", "//cdn", "@import", "url(", "fetch(", "import(", "XMLHttp", "innerHTML"):
        assert fetched not in without, fetched
    assert text.count("data:image/png;base64,") == 3


def test_what_is_gone_or_damaged_is_left_out(three_runs, caplog):
    os.remove(str(three_runs / "a0.mid"))
    os.remove(str(three_runs / "b.wav"))
    os.remove(str(three_runs / "b.png"))
    (three_runs / "a1.mid").write_bytes(b"MThd but no more")
    runs = shown(three_runs)
    assert [r["mode"] for r in runs] == ["reconstruct", "sample"]  # nothing is left of the first run
    assert (runs[1]["picture"], runs[1]["outputs"][0]["audio"]) == (None, None)
    (warned,) = caplog.messages
    assert warned.startswith("index.html leaves out %s: not readable as MIDI" % (three_runs / "a1.mid"))


def test_a_song_that_is_all_rest_is_one_silent_bar(three_runs):
    silent = melody([(0, 1, 60)], qpm=300)
    del silent.notes[:]
    write_midi(silent, three_runs / "b.mid")
    (output_,) = shown(three_runs)[1]["outputs"]
    assert (output_["notes"], output_["bars"]) == ([], [0, 0.8])


def test_same_bytes_again_and_not_many(three_runs):
    first = shown(three_runs) and (three_runs / "index.html").read_bytes()
    shown(three_runs)
    assert (three_runs / "index.html").read_bytes() == first
    notes = sum(len(o["notes"]) for r in shown(three_runs) for o in r["outputs"])
    assert len(first) < len(code()) + 3 * len(PNG) * 4 / 3 + 40 * notes + 3000
    assert not [name for name in os.listdir(str(three_runs)) if name.startswith(".")]


def test_only_a_page_of_ours_is_replaced(three_runs):
    page.check(str(three_runs))  # there is none
    shown(three_runs)
    page.check(str(three_runs))
    (three_runs / "index.html").write_text("<h1>my home page</h1>")
    with pytest.raises(InputError) as e:
        page.check(str(three_runs))
    advice = "not a page of generated files; move it away or choose another output_dir"
    assert str(e.value) == "%s: %s" % (three_runs / "index.html", advice)


def test_before_the_first_run_the_page_is_empty(tmp_path):
    assert shown(tmp_path) == []
    assert os.listdir(str(tmp_path)) == ["index.html"]


def reads(monkeypatch):
    """Names of the MIDI files that are read from now on, as they are."""
    names, read = [], examples.read
    monkeypatch.setattr(examples, "read", lambda path: names.append(os.path.basename(path)) or read(path))
    return names


def test_what_the_page_has_is_not_read_again_unless_it_changed(three_runs, monkeypatch):
    first = shown(three_runs)
    names = reads(monkeypatch)
    for name in os.listdir(str(three_runs)):
        os.utime(str(three_runs / name), (1, 1))  # as where a folder was copied
    assert shown(three_runs) == first
    assert names == []
    write_midi(melody(tune(2, 9)), three_runs / "a1.mid")
    os.utime(str(three_runs / "a1.mid"), (1, 1))
    again = shown(three_runs)
    assert names == ["a1.mid"]
    changed = again[2]["outputs"].pop(1)
    assert len(changed["notes"]) == len(tune(2, 9))
    first[2]["outputs"].pop(1)
    assert again == first
    os.remove(str(three_runs / "a0.mid"))
    assert [o["file"] for o in shown(three_runs)[2]["outputs"]] == ["a1.mid"]
    os.remove(str(three_runs / "index.html"))
    shown(three_runs)
    assert len(names) == 4  # all three that are left


def test_what_was_written_just_now_is_not_read(three_runs, monkeypatch):
    expected = shown(three_runs)
    os.remove(str(three_runs / "index.html"))
    names = reads(monkeypatch)
    sequences = {name: note_seq.midi_file_to_note_sequence(str(three_runs / name)) for name in ("a0.mid", "a1.mid")}
    page.write(str(three_runs), sequences)
    assert len(names) == 2
    assert not set(names) & set(sequences)
    assert shown(three_runs) == expected


@pytest.mark.faults("folders of generated files that are a stranger's")
@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"notes":[[', '"notes":[[NaN,1,60,80,false],['),
        ('"notes":[[', '"notes":[[1e999,1,60,80,false],['),
        ('"notes":[[', '"notes":[[0,1,600,80,false],['),
        ('"notes":[[', '"notes":[[0,1,"x",80,false],['),
        ('"notes":[[', '"notes":[7,['),
        ('"bars":[', '"bars":["<b>",'),
        ('"bars":[', '"bars":[],"x":['),
        ('"notes":[', '"notes":{},"x":['),
        ('"outputs":[', '"outputs":[7,'),
        ('"sha256":"', '"sha256":[],"x":"'),
        ('[{"mode"', '[[[{"mode"'),
        ('"runs">[', '"runs">7,['),
        ('"runs">[', '"runs">%s[' % (10**5 * "[")),
    ],
)
def test_a_page_that_was_tampered_with_does_no_harm(three_runs, before, after):
    expected = shown(three_runs)
    text = (three_runs / "index.html").read_text(encoding="utf-8")
    assert before in text
    (three_runs / "index.html").write_text(text.replace(before, after), encoding="utf-8")
    assert shown(three_runs) == expected


def test_the_newest_are_shown_and_the_others_counted(three_runs, monkeypatch):
    monkeypatch.setattr(page, "_MAX_SHOWN", 3)
    assert [len(run_["outputs"]) for run_ in shown(three_runs)] == [1, 1, 1]
    said = "The newest 3 are shown here; index.json lists 1 more."
    assert said in (three_runs / "index.html").read_text(encoding="utf-8")
    os.remove(str(three_runs / "b.mid"))
    assert [len(run_["outputs"]) for run_ in shown(three_runs)] == [1, 2]  # what is gone takes no room
    assert "are shown here" not in (three_runs / "index.html").read_text(encoding="utf-8")
    write_midi(drum_beat(2), three_runs / "b.mid")
    monkeypatch.setattr(page, "_MAX_SHOWN", 4)
    assert [len(run_["outputs"]) for run_ in shown(three_runs)] == [1, 1, 2]
    assert "are shown here" not in (three_runs / "index.html").read_text(encoding="utf-8")
    monkeypatch.setattr(index, "MAX_MARKS", 10)
    assert [len(run_["outputs"]) for run_ in shown(three_runs)] == [1]  # however long it is


def test_what_has_no_room_or_no_time_is_said(three_runs, monkeypatch, caplog):
    monkeypatch.setattr(page, "_MAX_PICTURES", 2 * len(PNG))
    assert [run_["picture"] is None for run_ in shown(three_runs)] == [False, False, True]
    assert caplog.messages == ["index.html leaves out %s: there is no room left for it" % (three_runs / "a.png")]
    os.remove(str(three_runs / "index.html"))
    monkeypatch.undo()
    monkeypatch.setattr(page, "_MAX_SECONDS", 1e-9)
    assert [len(run_["outputs"]) for run_ in shown(three_runs)] == [1]
    said = "%s: no time left to read it; it will be there the next time" % (three_runs / "b.mid")
    assert said in caplog.messages[-1]
    assert [len(run_["outputs"]) for run_ in shown(three_runs)] == [1, 1]  # each time goes on from the last


def test_what_is_longer_than_a_song_is_left_out(three_runs, caplog):
    monstrous = melody([(0, 1, 60), (4 * 5001, 4 * 5001 + 1, 60)])
    page.write(str(three_runs), {"a0.mid": monstrous})
    assert caplog.messages == ["index.html leaves out %s: of 5002 bars, more than a song has" % (three_runs / "a0.mid")]
