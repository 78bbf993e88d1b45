"""What is said of outputs that are like the training songs."""

import json

import numpy as np
import pytest
from helpers import EXAMPLE, Reader, generate

from lc_music_vae.encoding.nearness import Nearest
from lc_music_vae.encoding.same_bars import SameBar
from lc_music_vae.generation import copies
from lc_music_vae.generation.inputs import Given
from lc_music_vae.showing.outputs import Output

FAR = Nearest("songs/a.mid", (3, 4), 0.5, False)
NEAR = Nearest("songs/a.mid", (3, 4), 0.93, False)
COPY = Nearest("songs/b.mid", (1, 1), 1.0, True)
MOVED = Nearest("songs/b.mid", (5, 6), 0.95, False, -1)
BAR = [SameBar(2, "songs/a.mid", 7)]
AT = (0.5, -1)


def said(caplog, *outputs):
    with caplog.at_level("INFO"):
        copies.say(outputs)
    return [(record.levelname, record.getMessage()) for record in caplog.records]


def test_each_near_copy_is_named_and_all_are_counted(caplog):
    lines = said(
        caplog,
        Output("000", None, AT, FAR, same_bars=BAR),
        Output("001", None, AT, NEAR),
        Output("002", None, AT, COPY, same_bars=BAR),
        Output("003", None, AT, MOVED),
        Output("004", None, AT),
    )
    assert lines == [
        ("INFO", "000: --latent=0.50,-1.00; 50 % like bars 3-4 of a.mid"),
        ("INFO", "001: --latent=0.50,-1.00; 93 % like bars 3-4 of a.mid"),
        ("INFO", "002: --latent=0.50,-1.00; 100 % like bar 1 of b.mid"),
        ("INFO", "003: --latent=0.50,-1.00; 95 % like bars 5-6 of b.mid, 1 semitone lower"),
        ("INFO", "004: --latent=0.50,-1.00"),
        ("WARNING", "001 is nearly a copy: bars 3-4 of a.mid"),
        ("WARNING", "002 is a copy, note for note: bar 1 of b.mid"),
        ("WARNING", "003 is nearly a copy: bars 5-6 of b.mid, 1 semitone lower"),
        (
            "INFO",
            "of 5 outputs: 3 nearly bars of the songs (0.9 alike or more), 1 of these in another key, 2 with a whole "
            "bar of the songs, note for note (of 4 notes or more)",
        ),
    ]


def test_what_was_given_is_no_copy_by_accident(caplog):
    lines = said(
        caplog,
        Output("000", None, AT, COPY, [1, 0], BAR, as_given=True),
        Output("001", None, AT, FAR, [0.5, 0.5]),
        Output("002", None, AT, None, [0, 1]),
    )
    assert lines == [  # and no latent, which would not give the same music without the detail
        ("INFO", "000: 100 % like bar 1 of b.mid"),
        ("INFO", "001: 50 % like bars 3-4 of a.mid"),
        ("INFO", "002"),
        ("INFO", "of 3 outputs: 1 nearly the bars given"),
    ]


def test_nothing_is_said_of_music_that_is_no_point(caplog):
    assert said(caplog, Output("song.mid", None)) == []


class Knows:
    """Stands for a model that knows its songs."""

    def nearest(self, sequences):
        return [FAR, COPY]

    def same_bars(self, sequences):
        return [[], BAR]

    def heard(self, sequences):
        return [np.array([[24 * i, 24 * i + 24, pitch] for i, pitch in enumerate(s)]) for s in sequences]


def test_outputs_are_compared_with_songs_and_with_what_was_given():
    class Window:
        notes = np.array([[24 * i, 24 * i + 12, 60 + i] for i in range(8)])

    as_given, other = list(range(60, 68)), [*range(60, 66), 50, 51]
    made = [Output("000", other, AT), Output("001", as_given, AT)]
    found = copies.compared(Knows(), made, Given(windows=[Window()]))
    assert [(o.nearest, o.same_bars, o.as_given) for o in found] == [(FAR, [], False), (COPY, BAR, True)]
    assert copies.compared(Knows(), [Output("song.mid", other)], Given()) == [Output("song.mid", other)]


@pytest.mark.slow
def test_an_interpolation_between_a_songs_own_bars_warns_of_no_end(trained, tmp_path, caplog):
    """Its ends are the bars given; the index says which those were, and how much of their detail each step has."""
    given = {"input_midi_1": EXAMPLE, "input_bars_1": "1-2", "input_midi_2": EXAMPLE, "input_bars_2": "9-10"}
    with caplog.at_level("INFO"):
        generate("interpolate", trained, num_outputs=3, output_dir=str(tmp_path), temperature=0.01, **given)
    (run,) = json.loads((tmp_path / "index.json").read_text())["runs"]
    assert [output["nearest"]["bars"] for output in run["outputs"][::2]] == [[1, 2], [9, 10]]
    first, between, last = (output["detail"] for output in run["outputs"])
    assert (first, last, sum(between)) == ([1, 0], [0, 1], 1)
    assert 0 < between[0] < 1
    assert [bars["title"] for bars in run["given"]] == ["bars 1-2 of ode_to_joy.mid", "bars 9-10 of ode_to_joy.mid"]
    assert [note[2] for note in run["given"][0]["notes"]] == [66, 66, 67, 69, 69, 67, 66, 64]
    (shown,) = json.loads(Reader((tmp_path / "index.html").read_text(encoding="utf-8")).scripts[0])
    assert [(one["number"], one["title"]) for one in shown["given"]] == [
        (1, run["given"][0]["title"]),
        (2, run["given"][1]["title"]),
    ]
    assert shown["given"][0]["seconds"] == 4  # two bars at magenta's tempo
    named = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert not any(message.startswith(("000", "002")) for message in named)
    assert any("nearly the bars given" in message for message in caplog.messages)
