"""`index.json` of a folder that may be a stranger's: it costs nobody the page, a file, or a secret."""

import json
import math
import os

import pytest
from helpers import AWKWARD, PNG, Reader, a_run, an_output, melody, tune, within, write_midi

from lc_music_vae.errors import InputError
from lc_music_vae.showing import audio, index, outputs, page, piano_rolls
from lc_music_vae.system import files

pytestmark = pytest.mark.faults("folders of generated files that are a stranger's")

SECRET = b"\x89PNG\r\n\x1a\n-----BEGIN PRIVATE KEY-----"
ADVICE = "move it away or choose another output_dir"


@pytest.fixture
def folder(tmp_path):
    """A folder with the file good.mid, and above it what nobody may read."""
    made = tmp_path / "out"
    made.mkdir()
    write_midi(melody(tune(2)), made / "good.mid")
    write_midi(melody(tune(2, 1)), made / "other.mid")
    write_midi(melody(tune(2)), tmp_path / "outside.mid")
    (made / "good.png").write_bytes(PNG)
    (tmp_path / "secret.key").write_bytes(SECRET)
    (tmp_path / "secret.png").write_bytes(SECRET)
    return made


def listed(folder, *runs):
    content = {"format": 1, "runs": [*runs, a_run("good", [an_output("good.mid")])]}
    (folder / "index.json").write_text(json.dumps(content))
    return content


def shown(folder):
    """The runs as the page's own script reads them, and the page."""
    with within(10):
        page.write(str(folder))
    text = (folder / "index.html").read_text(encoding="utf-8")

    def refuse(constant):
        raise AssertionError("%s is no JSON for a browser" % constant)

    return json.loads(Reader(text).scripts[0], parse_constant=refuse), text


def add(folder, **settings):
    made = [outputs.Output("000", melody(tune(2, 3)))]
    settings = dict({"seed": 1, "temperature": 0.5}, **settings)
    with within(10):
        made_folder = outputs.make_folder(str(folder))
        sheet = piano_rolls.draw([made[0].note_sequence], ["000"])
        run = outputs.Run("lc-cat-mel_2bar_small", "sample", settings)
        return outputs.write(made_folder, run, made, sheet=sheet)


def in_order(value):
    return json.dumps(value, sort_keys=True)  # as text, since NaN is not equal to itself


def without(name):
    value = a_run("good", [an_output("good.mid")])
    del value[name]
    return value


NOT_RUNS = [
    (None, "run 1 is None, not an object"),
    ("run", "run 1 is 'run', not an object"),
    (without("mode"), "run 1 has no mode"),
    (without("outputs"), "run 1 has no outputs"),
    (without("written"), "run 1 has no written"),
    (a_run("good", {"a": 1}), "run 1 has outputs={'a': 1}, not a list"),
    (a_run("good", [], mode=["sample"]), "run 1 has mode=['sample'], not a text"),
    (a_run("good", [], config="x" * 2000), "run 1 has config='" + "x" * 59),
    (
        a_run("good", [], written="</script>"),
        "run 1 has written='</script>', not a time as in 2026-11-22_231500",
    ),
    (a_run("good", [], written="2026-11-22_231500\n"), "run 1 has written='2026-11-22_231500\\n', not a time"),
    (a_run("good", [], seed=True), "run 1 has seed=True, not a whole number from 0 to 4294967295"),
    (a_run("good", [], seed=10**400), "run 1 has seed=1000"),
    (a_run("good", [], temperature=math.nan), "run 1 has temperature=nan, not a number"),
    (a_run("good", [], temperature="0.5"), "run 1 has temperature='0.5', not a number"),
]
NOT_OUTPUTS = [
    ([], "output 1 is [], not an object"),
    ({"title": "x"}, "output 1 has no file"),
    ({"file": "other.mid"}, "output 1 has no title"),
    (an_output("other.mid", title=None), "output 1 has title=None, not a text"),
    (an_output("tunes.abc"), "output 1 has file='tunes.abc', not the name of a .mid file in this folder"),
    (an_output("../outside.mid"), "output 1 has file='../outside.mid', not the name"),
    (an_output("/etc/passwd"), "output 1 has file='/etc/passwd', not the name"),
    (an_output("sub/../other.mid"), "output 1 has file='sub/../other.mid', not the name"),
    (an_output("other\0.mid"), "output 1 has file='other\\x00.mid', not the name"),
    (an_output("\ud800.mid"), "output 1 has file='\\ud800.mid', not the name"),
    (an_output("x" * 300 + ".mid"), "output 1 has file='xxx"),
    (an_output(".."), "output 1 has file='..', not the name"),
    (dict(an_output("other.mid"), file=7), "output 1 has file=7, not the name"),
]
LEFT_OUT = [
    ({"latent": [0.1, math.inf]}, "latent=[0.1, inf], not numbers"),
    ({"latent": "0.1"}, "latent='0.1', not numbers"),
    ({"latent": [True]}, "latent=[True], not numbers"),
    ({"nearest": {"song": "a.mid"}}, "nearest={'song': 'a.mid'}, not a song"),
    ({"nearest": {"song": "a", "bars": [1], "similarity": 1, "copy": True}}, "nearest={"),
    ({"nearest": {"song": "a", "bars": [1, 2], "similarity": math.nan, "copy": True}}, "nearest={"),
    ({"nearest": {"song": "a", "bars": [1, 2], "similarity": 1, "copy": True, "semitones": 0.5}}, "nearest={"),
    ({"detail": [2]}, "detail=[2], not numbers from 0 to 1"),
    ({"same_bars": [[1, "a.mid"]]}, "same_bars=[[1, 'a.mid']], not bars, songs and their bars"),
    ({"same_bars": [[0, "a.mid", 1]]}, "same_bars=[[0, 'a.mid', 1]], not bars"),
    ({"audio": "/dev/zero"}, "audio='/dev/zero', not the name of a .wav file in this folder"),
]


@pytest.mark.parametrize(("evil", "said"), NOT_RUNS, ids=[said[:40] for _, said in NOT_RUNS])
def test_a_run_that_is_none_is_left_out_said_and_kept(folder, evil, said, caplog):
    listed(folder, evil)
    kept = json.loads((folder / "index.json").read_text())["runs"]
    runs, _ = shown(folder)
    assert [[o["file"] for o in r["outputs"]] for r in runs] == [["good.mid"]]
    (warned,) = caplog.messages
    assert warned.startswith("index.html leaves out %s: %s" % (folder / "index.json", said))
    add(folder)
    after = json.loads((folder / "index.json").read_text())["runs"]
    assert (len(after), in_order(after[:2])) == (3, in_order(kept))
    assert len(shown(folder)[0]) == 2


@pytest.mark.parametrize(("evil", "said"), NOT_OUTPUTS, ids=[said[:50] for _, said in NOT_OUTPUTS])
def test_an_output_that_is_none_costs_none_of_the_others(folder, evil, said, caplog):
    (folder / "tunes.abc").write_text("X:1\nK:C\nCDEF|\n\nX:2\nK:C\nCDEF|\n")
    listed(folder, a_run("bad", [evil, an_output("other.mid")]))
    runs, _ = shown(folder)
    assert [[o["file"] for o in r["outputs"]] for r in runs] == [["good.mid"], ["other.mid"]]
    (warned,) = caplog.messages
    assert warned.startswith("index.html leaves out %s: run 1, %s" % (folder / "index.json", said))


@pytest.mark.parametrize(("more", "said"), LEFT_OUT, ids=[said[:40] for _, said in LEFT_OUT])
def test_what_an_output_may_do_without_is_left_out_alone(folder, more, said, caplog):
    listed(folder, a_run("bad", [an_output("other.mid", **more)]))
    (other,) = shown(folder)[0][1]["outputs"]
    assert (other["file"], [other[name] for name in more]) == ("other.mid", [None])
    (warned,) = caplog.messages
    assert "run 1, output 1 has " + said in warned


@pytest.mark.parametrize("name", ["/secret.key", "../secret.key", "../secret.png", "secret.key", "link.png", 5])
def test_no_secret_comes_into_the_page(folder, name, caplog):
    if isinstance(name, str) and name.startswith("/"):
        name = str(folder.parent) + name
    os.symlink(str(folder.parent / "secret.key"), str(folder / "link.png"))
    listed(folder, a_run("bad", [an_output("other.mid")], picture=name))
    runs, text = shown(folder)
    assert [r["picture"] is not None for r in runs] == [True, False]
    assert [[o["file"] for o in r["outputs"]] for r in runs] == [["good.mid"], ["other.mid"]]
    assert text.count("data:image/png;base64,") == 1
    assert len(caplog.messages) == 1


def test_only_plain_files_that_are_what_they_are_called(folder, caplog):
    os.mkfifo(str(folder / "pipe.mid"))
    os.mkfifo(str(folder / "pipe.png"))
    os.symlink(str(folder.parent / "outside.mid"), str(folder / "link.mid"))
    os.symlink("/dev/zero", str(folder / "zero.png"))
    os.mkdir(str(folder / "folder.mid"))
    (folder / "text.mid").write_bytes(b"-----BEGIN PRIVATE KEY-----")
    (folder / "text.png").write_bytes(b"-----BEGIN PRIVATE KEY-----")
    (folder / "text.wav").write_bytes(b"-----BEGIN PRIVATE KEY-----")
    with open(str(folder / "large.png"), "wb") as f:
        f.write(PNG)
        f.truncate(1 << 40)  # takes no room
    with open(str(folder / "large.mid"), "wb") as f:
        f.write(b"MThd")
        f.truncate(1 << 40)
    for name in ("pipe", "link", "folder", "text", "large"):
        listed(folder, a_run("good", [an_output(name + ".mid")]))
        assert len(shown(folder)[0]) == 1
        assert caplog.messages[-1].startswith("index.html leaves out %s: " % (folder / (name + ".mid")))
    for name in ("pipe", "zero", "text", "large"):
        listed(folder, a_run(name, [an_output("other.mid")]))
        assert [r["picture"] is None for r in shown(folder)[0]] == [False, True]
        assert caplog.messages[-1].startswith("index.html leaves out %s: " % (folder / (name + ".png")))
    listed(folder, a_run("good", [an_output("other.mid", audio="text.wav")]))
    assert shown(folder)[0][1]["outputs"][0]["audio"] is None
    assert "text.wav: not readable as WAV (it begins as something else)" in caplog.messages[-1]


def test_much_that_is_wrong_is_one_line(folder, caplog):
    listed(folder, *[{}] * 1000)
    shown(folder)
    (warned,) = caplog.messages
    assert warned.count(str(folder)) == 3
    assert warned.endswith("; and 997 more")


@pytest.mark.parametrize("text", [AWKWARD, "\x00\x1b[31m\r\n\x7f", "\ud800", '"><img src=x onerror=alert(1)>'])
def test_nothing_reaches_the_page_unescaped(folder, text):
    nearest = {"song": text, "bars": [1, 2], "similarity": 0.5, "copy": False}
    listed(
        folder,
        a_run("good", [an_output("other.mid", title=text, nearest=nearest)], mode=text, config=text, inputs=[text]),
    )
    plain = shown(folder)[1].count("<")
    runs, page_ = shown(folder)
    (other,) = runs[1]["outputs"]
    assert [other["title"], other["nearest"]["song"], *(runs[1][k] for k in ("mode", "config"))] == [text] * 4
    assert runs[1]["inputs"] == [text]
    listed(folder)
    assert shown(folder)[1].count("<") == plain  # no markup came from it
    assert not [c for c in page_ if c < " " and c != "\n"]


def test_what_is_unknown_here_survives(folder):
    content = listed(folder, a_run("good", [an_output("other.mid", stars=5, nearest=None)], note="my favourites"))
    content["owner"] = {"name": "é", "since": [1, 2.5, None]}
    (folder / "index.json").write_text(json.dumps(content))
    add(folder)
    after = json.loads((folder / "index.json").read_text())
    assert after["runs"][:2] == content["runs"]
    assert (after["owner"], after["format"]) == (content["owner"], 1)
    assert "favourites" not in shown(folder)[1]


def test_records_come_back_as_they_were(tmp_path):
    near = {"song": "a.mid", "bars": [1, 2], "similarity": 0.5, "copy": False, "semitones": -3}
    tune = {
        "form": "AB",
        "letters": ["A", "B"],
        "phrase_bars": 8,
        "num_bars": 16,
        "places": [0, -1],
        "rotation_key": [1, 0],
    }
    tune["latents"] = [[0.5, -1]]
    first = index.OutputRecord("a.mid", "000", [0.5, 1], near, "a.wav", [1, 0.5], [[1, "a.mid", 7]], tune=tune)
    heard = index.Heard([[0.0, 0.5, 60, 80, False]], [0.0, 2.0])
    whole = index.RunRecord(
        "similar",
        "lc",
        "2026-11-22_231500",
        [first, index.OutputRecord("b.mid", "001", None, None, flag="--input_bars_1=1-2")],
        1,
        0.5,
        ["song.mid"],
        0.8,
        "a.png",
        0.4,
        0.3,
        "redraw",
        given=[index.GivenRecord("bars 1-2 of song.mid", 1, heard)],
        num_bars=32,
        form="AABA",
    )
    least = index.RunRecord("sample", "lc", "2026-11-22_231501", [])
    for added in (whole, least):
        index.add(str(tmp_path), added)
    (first, second), faults = index.read(str(tmp_path))
    assert (first, second._replace(inputs=(), given=()), faults) == (whole, least, [])
    on_disk = files.read_json(str(tmp_path / "index.json"))["runs"]
    assert "audio" not in on_disk[0]["outputs"][1]
    assert not {"similarity", "copies", "picture", "seed", "temperature"} & set(on_disk[1])
    lines = (tmp_path / "index.json").read_text().splitlines()
    assert sum('"file"' in line for line in lines) == 2  # each on a line of its own


def evil_file(path, kind):
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        with open(path + ".target", "w") as f:
            f.write('{"format": 1, "runs": []}<meta name="generator" content="lc_music_vae">')
        os.symlink(path + ".target", path)
    elif kind == "zero":
        os.symlink("/dev/zero", path)
    elif kind == "nowhere":
        os.symlink(path + ".gone", path)
    elif kind == "folder":
        os.mkdir(path)
    else:
        with open(path, "wb") as f:
            f.write({"large": b"{", "deep": b"[" * 10**6, "bytes": b"\xff\xfe"}[kind])
            f.truncate(1 << 40 if kind == "large" else None)


def as_it_is(folder):
    found = {name: os.lstat(str(folder / name)) for name in os.listdir(str(folder))}
    return {name: (stat.st_mode, stat.st_ino, stat.st_size, stat.st_mtime_ns) for name, stat in found.items()}


@pytest.mark.parametrize("kind", ["pipe", "link", "zero", "nowhere", "folder", "large", "deep", "bytes"])
@pytest.mark.parametrize("name", ["index.json", "index.html"])
def test_an_index_or_page_that_is_no_plain_file_of_ours_is_one_line_and_left_alone(tmp_path, name, kind):
    path = str(tmp_path / name)
    evil_file(path, kind)
    before = as_it_is(tmp_path)
    what = (
        "not a page" if name == "index.html" else "cannot be read .*" if kind in ("pipe", "folder") else "not an index"
    )
    with pytest.raises(InputError, match="^%s: %s.*%s$" % (path, what, ADVICE)):
        add(tmp_path)
    assert as_it_is(tmp_path) == before


def test_a_page_that_came_meanwhile_is_left_alone(tmp_path):
    made = outputs.make_folder(str(tmp_path))
    (tmp_path / "index.html").write_text("<h1>my home page</h1>")
    with pytest.raises(InputError, match="not a page of generated files"):
        page.write(made)
    assert (tmp_path / "index.html").read_text() == "<h1>my home page</h1>"


def test_names_that_are_guessed_lead_nowhere(tmp_path):
    """As when somebody else prepares a shared folder."""
    target = tmp_path / "target"
    target.write_text("mine")
    made = tmp_path / "out"
    made.mkdir()
    for name in (".index.json.%d", ".index.html.%d", "index.json.tmp", ".lock"):
        os.symlink(str(target), str(made / (name % os.getpid() if "%" in name else name)))
    paths = add(made)
    audio.render(melody(tune(2)), str(made / "a.wav"), audio.Engine())
    assert all(map(os.path.isfile, paths))
    assert target.read_text() == "mine"
