"""`make test-page`: the page of real generate runs in a real browser, from file://.

Screenshots are left in build/page/ to look at.
"""

import os
import time

import browser
import note_seq
import numpy as np
import pytest
from helpers import AWKWARD, EXAMPLE, REPO, generate, loudest_hertz, read_wav
from PIL import Image

import lc_music_vae
from lc_music_vae import data
from lc_music_vae.encoding import nearness
from lc_music_vae.music.likeness import dice
from lc_music_vae.showing import page
from lc_music_vae.system import files

SHOTS = os.path.join(REPO, "build", "page")

# What the page's own `schedule` renders of an output, as 16-bit numbers.
RENDER = """(async () => {
  const output = outputs[%d];
  const context = new OfflineAudioContext(1, Math.ceil(44100 * (output.seconds + 0.5)), 44100);
  schedule(context, output.notes, 0);
  const rendered = await context.startRendering();
  return Array.from(rendered.getChannelData(0), (x) => Math.round(x * 32767));
})()"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory):
    """A folder with samples, an interpolation, and a reconstruction with sound."""
    run_dir = str(tmp_path_factory.mktemp("run"))
    lc_music_vae.train("lc-cat-mel_2bar_small", EXAMPLE, run_dir, num_steps=50)
    ends = {"input_midi_1": EXAMPLE, "input_bars_1": "1-2", "input_midi_2": EXAMPLE, "input_bars_2": "9-10"}
    generate("reconstruct", run_dir, input_midi_1=EXAMPLE, seed=1)
    generate("interpolate", run_dir, num_outputs=3, seed=1, **ends)
    generate("sample", run_dir, num_outputs=3, seed=1, audio=True)
    return os.path.join(run_dir, "generated")


@pytest.fixture(scope="module")
def composed(generated):
    """A folder with two tunes, a song gave the form of which."""
    folder = os.path.join(os.path.dirname(generated), "tunes")
    generate("compose", os.path.dirname(generated), folder, form=EXAMPLE, num_bars=16, num_outputs=2, seed=1)
    return folder


def at(folder):
    return os.path.join(str(folder), page.PAGE)


def test_every_output_is_shown(opened, generated):
    opened.open(at(generated))
    opened.check_clean()
    assert len([url for url in opened.requests if url.startswith("file:")]) == 1  # the page alone
    shown = opened.run("outputs.filter((output) => output.file).map((output) => output.file)")
    assert sorted(shown) == sorted(name for name in os.listdir(generated) if name.endswith(".mid"))
    assert opened.run("[...document.querySelectorAll('h2')].map((e) => e.textContent)") == [
        "sample",
        "interpolate",
        "reconstruct",
    ]
    for name in shown:
        notes = note_seq.midi_file_to_note_sequence(os.path.join(generated, name)).notes
        of = "outputs.find((output) => output.file === '%s')" % name
        assert opened.run(of + ".item.querySelectorAll('rect').length") == len(notes)
    text = opened.run("document.body.innerText")
    index = files.read_json(os.path.join(generated, page.INDEX))
    for run in index["runs"]:
        for output in run["outputs"]:
            assert output["title"] in text
            if output["latent"] and not output.get("detail"):  # else its point alone does not give the same music
                assert "latent " + ",".join("%.2f" % x for x in output["latent"]) in text
            if output["nearest"]:
                assert "bars %d-%d of ode_to_joy.mid" % tuple(output["nearest"]["bars"]) in text
    assert opened.run("[...document.images].map((e) => e.naturalWidth > 300)") == [True] * 3
    for link in opened.run("[...document.links].map((e) => e.href)"):
        assert os.path.exists(link[len("file://") :])


def test_every_output_plays_by_its_button_and_stops(opened, generated):
    opened.open(at(generated))
    for i, output in enumerate(opened.run("outputs.map(({file, audio, notes}) => ({file, audio, notes}))")):
        notes = output["notes"]
        if "file" in output:  # bars that were given have none
            assert len(notes) == len(note_seq.midi_file_to_note_sequence(os.path.join(generated, output["file"])).notes)
        opened.run("started = 0")
        opened.click("outputs[%d].button" % i)
        opened.wait("playing === outputs[%d] && playing.player.now() > 0.1" % i)
        assert opened.run("document.activeElement.ariaLabel").startswith("Stop ")
        if output.get("audio"):
            assert opened.run("started") == 0
            assert any(url.endswith(output["audio"]) for url in opened.requests)
        else:
            assert opened.run("started") == len(notes)
            assert opened.run("context.state") == "running"
            opened.wait("peak() > 0.02")
        if i % 2:
            opened.press("Escape")
        else:
            opened.click("outputs[%d].button" % i)
        assert opened.run("playing === null && document.activeElement.ariaLabel").startswith("Play ")
        if not output.get("audio"):
            opened.wait("peak() < 1e-3")
    opened.check_clean()


@pytest.mark.parametrize("kind", ["notes", "file"])
def test_the_cursor_moves_and_playing_ends_with_the_last_bar(kind, opened, generated):
    opened.open(at(generated))
    opened.run("outputs[0].audio = %s" % ("null" if kind == "notes" else "outputs[0].audio"))
    seconds = opened.run("outputs[0].seconds")
    opened.click("outputs[0].button")
    places, start = [], time.monotonic()
    while opened.run("playing !== null"):
        assert time.monotonic() - start < seconds + browser.PATIENCE
        places.append(float(opened.run("outputs[0].cursor.getAttribute('x1') || 0")))
    assert len(set(places)) > 10
    assert places == sorted(places)
    assert seconds - 0.5 < places[-1] <= seconds
    assert opened.run("outputs[0].item.className") == ""
    assert opened.run("outputs[0].button.ariaLabel").startswith("Play ")
    opened.check_clean()


def test_one_output_plays_at_a_time(opened, generated):
    opened.open(at(generated))
    for i in (3, 0, 4):
        opened.click("outputs[%d].button" % i)
        opened.wait("playing.player.now() > 0")
        assert opened.run("outputs.filter((o) => o.item.classList.contains('playing')).length") == 1
        assert opened.run("outputs.indexOf(playing)") == i
    opened.press("Escape")


def test_what_is_heard_are_the_notes_of_the_file(opened, generated):
    opened.open(at(generated))
    number = opened.run("outputs.findIndex((output) => (output.file || '').includes('interpolate'))")
    path = os.path.join(generated, opened.run("outputs[%d].file" % number))
    sound = np.array(opened.run(RENDER % number)) / 32767.0
    assert 0.1 < np.abs(sound).max() < 1
    notes = sorted(note_seq.midi_file_to_note_sequence(path).notes, key=lambda note: note.start_time)
    assert len(notes) >= 4
    for note in notes:
        start, end = int(44100 * note.start_time), int(44100 * note.end_time)
        held = np.pad(sound[start + 2000 : end - 1000], [(0, 1 << 17)], mode="constant")
        expected = 440 * 2 ** ((note.pitch - 69) / 12.0)
        assert abs(1200 * np.log2(loudest_hertz(held, below=1.5 * expected) / expected)) < 5
    first = int(44100 * notes[0].start_time)
    assert not sound[:first].any()
    assert abs(np.argmax(np.abs(sound) > 0.05 * np.abs(sound).max()) - first) < 0.02 * 44100
    assert np.abs(sound[-4410:]).max() < 0.01


def test_drums_are_heard_though_the_sound_file_is_no_sound(opened, three_runs):
    page.write(str(three_runs))
    opened.open(at(three_runs))
    number = opened.run("outputs.findIndex((output) => output.file === 'b.mid')")
    opened.click("outputs[%d].button" % number)
    opened.wait("started === outputs[%d].notes.length" % number)  # b.wav is damaged
    opened.wait("peak() > 0.02")
    opened.press("Escape")
    sound = np.array(opened.run(RENDER % number)) / 32767.0
    for start, _, pitch, _, _ in opened.run("outputs[%d].notes" % number):
        hit = sound[int(44100 * start) : int(44100 * (start + 0.06))]
        assert np.abs(hit).max() > 0.03, (start, pitch)
    alone = sound[int(44100 * 0.75) : int(44100 * 0.8)]  # a hi-hat on the last quarter's offbeat
    assert loudest_hertz(alone) > 4000


def test_what_has_no_sound_file_is_saved_as_one(opened, generated, tmp_path):
    opened.open(at(generated))
    number = opened.run("outputs.findIndex((output) => (output.file || '').includes('interpolate'))")
    opened.run("var saved = null; download = (name, bytes) => { saved = [name, Array.from(bytes)]; }; 0")
    opened.click("outputs[%d].item.querySelector('.text')" % number)
    opened.wait("saved !== null")
    name, content = opened.run("saved")
    assert name == opened.run("outputs[%d].file" % number)[: -len(".mid")] + ".wav"
    (tmp_path / "a.wav").write_bytes(bytes(content))
    rendered = np.array(opened.run(RENDER % number)) / 32767.0
    np.testing.assert_allclose(read_wav(tmp_path / "a.wav")[:, 0], rendered, atol=1e-3)


def test_each_program_has_the_voice_of_its_family(opened, generated):
    opened.open(at(generated))
    expected = {0: "piano", 4: "electric", 10: "box", 19: "organ", 25: "guitar", 33: "bass", 40: "strings"}
    expected.update({56: "brass", 66: "reed", 73: "flute", 80: "lead", 127: "box"})
    assert {program: opened.run("voiceOf(%d)" % program) for program in expected} == expected
    opened.open(at(generated))
    loud = "outputs[0].notes = [[0, 0.5, 60, 80, false, %d]]; outputs[0].seconds = 0.5; 0"
    heard = []
    for program in (0, 19, 73):
        opened.run(loud % program)
        heard.append(np.array(opened.run(RENDER % 0)))
    assert not any(np.allclose(a, b, atol=300) for a, b in zip(heard, heard[1:]))


def test_where_there_are_too_many_the_page_says_how_many_more(opened, three_runs, monkeypatch):
    monkeypatch.setattr(page, "_MAX_SHOWN", 3)
    page.write(str(three_runs))
    opened.open(at(three_runs))
    opened.check_clean()
    assert opened.run("outputs.length") == 3
    assert "The newest 3 are shown here; index.json lists 1 more." in opened.run("document.body.innerText")


def test_names_are_shown_as_they_are(opened, three_runs):
    page.write(str(three_runs))
    opened.open(at(three_runs))
    opened.check_clean()
    assert opened.run("outputs.length") == 4
    assert opened.run("outputs[0].item.querySelector('header p').textContent") == AWKWARD
    assert opened.run("document.scripts.length") == 2
    for link in opened.run("[...document.links].map((e) => decodeURIComponent(e.href))"):
        assert os.path.exists(link[len("file://") :]), link
    assert opened.run("document.querySelector('.copy').textContent") == "a copy of bars 5-6 of ode_to_joy.mid"
    text = opened.run("document.body.innerText")
    assert "83 % like bars 5-6 of ode_to_joy.mid" in text
    settings = (
        "2026-11-23 09:08",
        "lc-cat-mel_2bar_small",
        "temperature 0.5",
        "seed 2",
        "similarity 0.8",
        "from x.mid",
    )
    assert " \u00b7 ".join(settings) + "\n" in text


def test_keys_are_enough(opened, generated):
    opened.open(at(generated))
    focus = "outputs.findIndex((output) => output.button === document.activeElement)"
    opened.press("Tab")
    assert opened.run(focus) == 0
    style = opened.run(
        "(({outlineStyle, outlineWidth}) => [outlineStyle, outlineWidth])(getComputedStyle(document.activeElement))"
    )
    assert style == ["solid", "3px"]
    for key in (" ", "Enter"):
        for stop in (key, "Escape"):
            opened.press(key)
            opened.wait("playing === outputs[0] && playing.player.now() > 0")
            opened.press(stop)
            assert opened.run("playing") is None
    moves = [("ArrowRight", 1), ("ArrowDown", 2), ("ArrowLeft", 1), ("ArrowUp", 0), ("ArrowUp", 0)]
    for key, expected in moves:
        opened.press(key)
        assert opened.run(focus) == expected
    last = opened.run("outputs.length") - 1
    for _ in range(last + 1):
        opened.press("ArrowRight")
    assert opened.run(focus) == last
    opened.run("document.activeElement.blur(); window.scrollTo(0, 0)")
    reachable = opened.run("[...document.querySelectorAll('button, a, summary')].length")
    opened.open(at(generated))
    names = []
    for _ in range(reachable):
        opened.press("Tab")
        names.append(opened.run("document.activeElement.ariaLabel || document.activeElement.textContent"))
    buttons = [name for name in names if name.startswith("Play ")]
    assert len(set(buttons)) == len(buttons) == last + 1
    assert len([name for name in names if name.startswith("MIDI of ")]) == opened.run(
        "outputs.filter((o) => o.file).length"
    )
    assert names.count("all on one sheet") == 3
    assert "BODY" not in names
    opened.check_clean()


@pytest.mark.parametrize(
    ("name", "width", "dark"), [("light", 1200, False), ("dark", 1200, True), ("phone", 390, False)]
)
def test_it_looks_like_something(name, width, dark, opened, generated):
    opened.open(at(generated), width=width, dark=dark)
    assert opened.run("document.documentElement.scrollWidth") <= width
    opened.press("Tab")
    os.makedirs(SHOTS, exist_ok=True)
    path = os.path.join(SHOTS, name + ".png")
    opened.screenshot(path)
    picture = Image.open(path).convert("RGB")
    assert picture.width == width
    assert picture.height > 800
    colors = {color: count for count, color in picture.getcolors(1 << 24)}
    assert len(colors) > 50
    background = picture.getpixel((2, 2))
    assert colors[background] < 0.8 * picture.width * picture.height
    assert (sum(background) < 200) == dark
    note = (0x6F, 0xB3, 0xDA) if dark else (0x2A, 0x6F, 0x97)
    assert colors[note] > 5000  # notes and buttons
    opened.check_clean()


def test_tunes_have_letters_and_beside_them_which_windows_of_form_and_tune_are_alike(opened, composed):
    opened.open(at(composed))
    opened.check_clean()
    (run,) = files.read_json(os.path.join(composed, page.INDEX))["runs"]
    assert [one["title"] for one in run["given"]] == ["ode_to_joy.mid, the form"]
    for i, output in enumerate(run["outputs"], 1):
        item = "outputs[%d].item" % i
        assert (
            opened.run("[...%s.querySelectorAll('.letters span')].map((e) => e.textContent)" % item)
            == (output["tune"]["letters"])
        )
        square = opened.run(
            "(() => { const of = %s.querySelectorAll('canvas')[1]; return Array.from(of.getContext('2d')"
            ".getImageData(0, 0, of.width, of.height).data).filter((_, i) => i %% 4 === 3); })()" % item
        )
        notes = data.notes_of(note_seq.midi_file_to_note_sequence(os.path.join(composed, output["file"])))
        ticks = 8 * data.TICKS_PER_QUARTER
        windows = [np.unique(nearness.onsets(notes[notes[:, 0] // ticks == k] - [k * ticks, 0, 0])) for k in range(8)]
        np.testing.assert_allclose(np.array(square).reshape(8, 8) / 255, dice(windows, windows), atol=0.01)
        widths = (
            "[...%s.querySelectorAll('.letters span')].map((e) => Math.round(e.getBoundingClientRect().width / 10))"
        )
        assert len(set(opened.run(widths % item))) == 1  # both phrases have eight bars
    places = run["outputs"][0]["tune"]["places"]
    assert len(set(places)) < len(places)  # it repeats, so its square is dark off the diagonal, too
    os.makedirs(SHOTS, exist_ok=True)
    opened.screenshot(os.path.join(SHOTS, "tunes.png"))
