"""The modes of generation: what each takes, how many outputs it makes, and where it decodes. No model is loaded."""

import numpy as np
import pytest
from helpers import EXAMPLE, generate, melody, one_line, tune

from lc_music_vae.checkpoints import run_json
from lc_music_vae.generation.inputs import Given, Input
from lc_music_vae.generation.mode import Mode, Sheet
from lc_music_vae.generation.modes import MODES, get_mode
from lc_music_vae.models import knobs, points
from lc_music_vae.music import examples
from lc_music_vae.options import Request
from lc_music_vae.showing.outputs import Bars, Output

# Flags that only some modes take, each with a value; and who takes them.
VALUES = {
    "num_outputs": 3,
    "qpm": 90,
    "program": 3,
    "input_midi_1": EXAMPLE,
    "input_bars_1": "1-2",
    "input_midi_2": EXAMPLE,
    "input_bars_2": "9-10",
    "latent": "0,1,0,0",
    "latent_2": "1,0,0,0",
    "similarity": 0.5,
    "copies": "allow",
    "knobs": "density=1",
    "along": "density",
    "melody_track": "all",
    "metre": "4/4",
    "list_bars": True,
    "dimensions": "2,1",
    "max_page_mb": 5.0,
    "num_bars": 8,
    "form": "AABA",
    "chords": "C G",
    "control_midi": EXAMPLE,
}
_DECODED = {"num_outputs", "qpm", "program"}
_READ = {"melody_track", "metre"}
_CONTROLS = {"chords", "control_midi"}
TAKEN = {
    "sample": _DECODED | _CONTROLS | {"latent", "copies", "freedom", "knobs"},
    "interpolate": (_DECODED | _READ | _CONTROLS)
    | {"input_midi_1", "input_bars_1", "input_midi_2", "input_bars_2", "latent", "latent_2", "list_bars"},
    "reconstruct": _READ | _CONTROLS | {"input_midi_1", "detail"},
    "similar": (_DECODED | _READ | _CONTROLS)
    | {"input_midi_1", "input_bars_1", "latent", "similarity", "list_bars", "knobs", "num_bars"},
    "walk": _DECODED | _CONTROLS | {"latent", "dimensions", "along"},
    "play": {"qpm", "program", "max_page_mb"},
    "compose": _DECODED | {"num_bars", "form", "knobs"},
    "continue": _DECODED | _READ | {"input_midi_1", "input_bars_1", "num_bars", "form"},
}


class FourNumbers:
    """Stands for a model with a small latent of four numbers."""

    encoded_z_size = 4
    center = np.array([0.1, -0.2, 0.3, 0.4])
    low, high = np.array([-2.0, -1, 0, -3]), np.array([2.0, 2, 1, 3])

    def __init__(self):
        self.decoded = []

    def decode(self, where, temperature, residual=None):
        self.decoded.append((where, temperature))
        self.residual = residual
        return ["music %d" % i for i in range(len(where))]

    def between(self, ends, residuals, num_steps, *, temperature):
        """The way is not even: its steps are 0, 1/4 and then evenly on to 1."""
        t = np.concatenate([[0], np.linspace(0.25, 1, num_steps - 1)])
        where = np.array([(1 - x) * np.array(ends[0]) + x * np.array(ends[1]) for x in t])
        self.ends = ends, residuals
        return Music(self.decode(where, temperature), where, None), t

    def hear(self, windows):
        """Of a window, itself: four numbers that are its point, and five that the small latent leaves out."""
        return np.array([w[:4] for w in windows]), np.array([w[4:] for w in windows])

    def effects(self):
        return np.array([5.0, 4.0, 3.0, 2.0])

    def knobs_for(self, values):
        """Density rises with the first number that the small latent leaves out, register with the second."""
        density = run_json.Knob("density", 0.9, 5, 2, 1, 0, [1, 0, 0, 0, 0])
        register = run_json.Knob("register", 0.8, 60, 5, 1, 0, [0, 0.5, 0, 0, 0])
        return knobs.Knobs([density, register], 5)

    def how_far(self, residuals):
        return np.abs(residuals).max(axis=1)

    def sample(self, n, temperature, *, copies, freedom, knobs):
        where = points.prior_samples(n, 4, 5)
        return Music(self.decode(where, temperature), where, [copies] * n)


class Music(list):
    """Stands for what a model makes."""

    def __init__(self, made, latents, copies):
        super().__init__(made)
        self.latents, self.copies = latents, copies


def at(*latents):
    """Inputs that are points."""
    return Given([Input("input %d" % i, i, latent=[float(x) for x in latent]) for i, latent in enumerate(latents, 1)])


A, B = np.array([1.0, 2, 3, 4, 0.1, 0.2, 0.3, 0.4, 0.5]), np.array([0.0, 1, 0, 1, 1, -1, 1, -1, 5])


def bars(*windows):
    """Inputs that are bars of songs a.mid, b.mid ..."""
    names = ["%s.mid" % letter for letter, _ in zip("ab", windows)]
    inputs = [Input(name, i, path="songs/" + name) for i, name in enumerate(names, 1)]
    return Given(inputs, [examples.Song(name, None) for name in names], windows)


def residual_of(name, given, **request):
    """Returns what is added to each output's z, and how much it is of what is left out of each input."""
    model = FourNumbers()
    made = MODES[name].make(model, given, Request(mode=name, **request), temperature=0.7, seed=5)
    return model.residual, [output.detail for output in made]


def test_knobs_move_variations_from_the_bars_given():
    plain, _ = residual_of("similar", bars(A), similarity=0.5, num_outputs=3)
    turned, _ = residual_of("similar", bars(A), similarity=0.5, num_outputs=3, knobs="density=1.5,register=-1")
    np.testing.assert_allclose(turned - plain, np.tile([1.5, -2, 0, 0, 0], (3, 1)))


def test_a_walk_along_a_knob_stays_where_it_is_in_the_small_latent():
    model = FourNumbers()
    made = MODES["walk"].make(
        model, Given(), Request(mode="walk", along="register", num_outputs=5), temperature=0.7, seed=5
    )
    np.testing.assert_array_equal(model.decoded[0][0], np.tile(model.center, (5, 1)))
    np.testing.assert_allclose(model.residual, [[0, 2 * x, 0, 0, 0] for x in (-2, -1, 0, 1, 2)])
    assert [output.title for output in made][::4] == ["register: -2.00", "register: +2.00"]
    assert {output.place() for output in made} == {""}  # all are at one point


def test_samples_get_the_knobs_that_are_written(monkeypatch):
    given = []
    model = FourNumbers()
    monkeypatch.setattr(model, "sample", lambda n, t, **how: given.append(how["knobs"]) or Music([], [], []))
    for written in ("density=1.5,register=-1", None):
        MODES["sample"].make(model, Given(), Request(knobs=written), temperature=0.7, seed=5)
    assert given == [{"density": 1.5, "register": -1.0}, None]


def test_every_mode_is_here():
    assert set(MODES) == set(TAKEN)
    assert all(mode.name == name and mode.text for name, mode in MODES.items())


@pytest.mark.parametrize("flag", VALUES)
@pytest.mark.parametrize("name", MODES)
def test_a_flag_that_a_mode_does_not_take_is_refused_before_anything_else(name, flag, tmp_path):
    """There is no model: where the flag is taken, that is what is said, or which input is missing."""
    error = one_line(generate, name, str(tmp_path), **{flag: VALUES[flag]})
    refused = "%s=%s: mode %s does not take it; leave it out" % (flag, VALUES[flag], name)
    assert (error == refused) == (flag not in TAKEN[name])
    assert "does not take it" not in error or error == refused


@pytest.mark.parametrize("name", MODES)
def test_the_defaults_and_sound_are_for_every_mode(name, tmp_path):
    error = one_line(generate, name, str(tmp_path), audio=True, temperature=1, seed=3, melody_track="auto", metre="any")
    assert "does not take it" not in error


def test_an_unknown_mode():
    names = "sample, interpolate, reconstruct, similar, walk, compose, continue, play"
    assert one_line(get_mode, "dance") == "mode=dance must be one of " + names


def test_how_many_outputs():
    default = {name: mode.num_outputs(Request(mode=name)) for name, mode in MODES.items()}
    assert default == {
        "sample": 8,
        "interpolate": 8,
        "reconstruct": 1,
        "similar": 8,
        "walk": 8,
        "play": 8,
        "compose": 8,
        "continue": 8,
    }
    assert MODES["sample"].num_outputs(Request(latent="0,0,0,0")) == 1
    assert MODES["sample"].num_outputs(Request(latent="0,0,0,0", num_outputs=3)) == 3
    assert MODES["similar"].num_outputs(Request(mode="similar", num_outputs=1)) == 1
    for name in ("interpolate", "walk"):
        said = "num_outputs=1 must be 2 or more in mode %s" % name
        assert one_line(MODES[name].num_outputs, Request(mode=name, num_outputs=1)) == said


def made(name, *latents, **request):
    """Returns the outputs and where they were decoded."""
    model = FourNumbers()
    outputs = MODES[name].make(model, at(*latents), Request(mode=name, **request), temperature=0.7, seed=5)
    ((where, temperature),) = model.decoded
    assert temperature == 0.7
    assert [output.note_sequence for output in outputs] == ["music %d" % i for i in range(len(where))]
    np.testing.assert_array_equal([output.latent for output in outputs], where)
    return [output.title for output in outputs], where


def test_samples_are_draws_or_one_point_again():
    titles, where = made("sample", num_outputs=3)
    assert titles == ["000", "001", "002"]
    np.testing.assert_array_equal(where, points.prior_samples(3, 4, 5))
    _, where = made("sample", (0, 1, 2, 3), latent="0,1,2,3", num_outputs=2)
    np.testing.assert_array_equal(where, [[0, 1, 2, 3]] * 2)


def test_an_interpolation_names_its_ends():
    titles, where = made("interpolate", (1, 0, 0, 0), (0, 1, 0, 0), num_outputs=3)
    assert titles == ["000: start, input 1", "001", "002: end, input 2"]
    np.testing.assert_allclose(where, [[1, 0, 0, 0], [0.75, 0.25, 0, 0], [0, 1, 0, 0]])


def test_variations_are_as_similar_as_asked():
    point = (1.0, 2, 3, 4)
    for given, similarity in (({}, 0.8), ({"similarity": 0.25}, 0.25)):
        _, where = made("similar", point, num_outputs=3, **given)
        np.testing.assert_array_equal(where, points.similar(np.array(point), 3, similarity, seed=5))
        assert MODES["similar"].settings(Request(**given)) == {"similarity": similarity}
    assert MODES["walk"].settings(Request()) == {}


def test_variations_keep_their_share_of_what_the_small_latent_leaves_out():
    for similarity, share in ((1, 1), (0.8, 0.96**0.5), (0.5, 0.75**0.5), (0, 0)):
        residual, kept = residual_of("similar", bars(A), num_outputs=3, similarity=similarity)
        np.testing.assert_allclose(residual, share * np.array([A[4:]] * 3), atol=1e-12)
        np.testing.assert_allclose(kept, [[share]] * 3)


def ends_of(given):
    """Returns what an interpolation goes between, and how much its outputs keep of what is left out of each input."""
    model = FourNumbers()
    made = MODES["interpolate"].make(model, given, Request(mode="interpolate", num_outputs=3), temperature=0.7, seed=5)
    return (*model.ends, [output.detail for output in made])


def test_an_interpolation_goes_from_what_is_left_out_of_the_one_end_to_that_of_the_other():
    places, residuals, kept = ends_of(bars(A, B))
    np.testing.assert_allclose(places, [A[:4], B[:4]])
    np.testing.assert_allclose(residuals, [A[4:], B[4:]])
    assert kept == [(1, 0), (0.75, 0.25), (0, 1)]
    one = bars(A)
    mixed = one._replace(inputs=[*at((0, 1, 0, 0)).inputs, one.inputs[0]._replace(number=2)])
    places, residuals, _ = ends_of(mixed)
    np.testing.assert_allclose(places, [[0, 1, 0, 0], A[:4]])
    np.testing.assert_allclose(residuals, [0 * A[4:], A[4:]])


def test_nothing_is_left_out_of_points():
    assert residual_of("similar", at((1, 0, 0, 0))) == (None, [()] * 8)
    assert ends_of(at((1, 0, 0, 0), (0, 1, 0, 0)))[1:] == (None, [()] * 3)


def test_the_input_that_is_far_from_the_songs_is_the_one_that_is_named(caplog):
    MODES["interpolate"].make(FourNumbers(), bars(A, B), Request(mode="interpolate"), temperature=0.7, seed=5)
    (said,) = caplog.messages
    assert said == (
        "--input_midi_2=songs/b.mid lies far from the songs that were trained on (5.0 times their own distance): what "
        "keeps near to it is like it rather than like them"
    )


def test_a_reconstruction_keeps_the_detail_asked_for_and_says_so():
    class Hears:
        def reconstruct(self, song, temperature, *, detail):
            return "%s, %g" % (song, detail)

    mode, given = MODES["reconstruct"], Given([Input("a.mid", 1)], [examples.Song("a.mid", "song")])
    for request, expected in ((Request(), 0), (Request(detail=0.5), 0.5), (Request(detail=1), 1)):
        (output,) = mode.make(Hears(), given, request, temperature=0.5, seed=1)
        assert output.note_sequence == "song, %g" % expected
        assert mode.settings(request) == {"detail": expected}


def test_samples_are_recorded_with_whether_copies_were_drawn_again():
    for given, expected in (
        ({}, {"copies": "redraw", "freedom": 0.2}),
        ({"copies": "allow", "freedom": 0}, {"copies": "allow", "freedom": 0}),
        ({"latent": "0,0,0,0"}, {"copies": "allow"}),  # draws there differ by the decoder's noise alone
    ):
        assert MODES["sample"].settings(Request(**given)) == expected


def test_nothing_leans_at_a_point():
    said = "freedom=0.5: what is made at latent does not lean; leave it out"
    request = Request(latent="0,0,0,0", freedom=0.5)
    sample = MODES["sample"]
    assert one_line(sample.make, FourNumbers(), at((0, 0, 0, 0)), request, temperature=0.5, seed=1) == said


def test_a_walk_is_a_row_a_dimension_about_the_songs_mean_or_a_point():
    titles, where = made("walk", num_outputs=3)
    assert titles[2:5] == ["knob 1: 2.00", "knob 2: -1.00", "knob 2: 0.50"]
    np.testing.assert_array_equal(
        where.reshape(4, 3, 4), points.walk(FourNumbers.center, 3, low=FourNumbers.low, high=FourNumbers.high)
    )
    _, where = made("walk", (1, 1, 1, 1), num_outputs=2)
    np.testing.assert_array_equal(where[2], [1, -1, 1, 1])


def test_a_walk_goes_by_effect_and_leaves_out_what_has_none_unless_asked(monkeypatch, caplog):
    monkeypatch.setattr(FourNumbers, "effects", lambda self: np.array([0.1, 4.0, 0.6, 5.0]))
    with caplog.at_level("INFO"):
        titles, where = made("walk", num_outputs=2)
    assert titles == ["knob 4: -3.00", "knob 4: 3.00", "knob 2: -1.00", "knob 2: 2.00"]
    np.testing.assert_array_equal(where[0], [0.1, -0.2, 0.3, -3])
    assert caplog.messages == ["left out, as they change hardly anything: knobs 1, 3; --dimensions=all shows them"]
    titles, _ = made("walk", num_outputs=2, dimensions="all")
    assert [title[:6] for title in titles[::2]] == ["knob 1", "knob 2", "knob 3", "knob 4"]
    titles, _ = made("walk", num_outputs=2, dimensions="3,1")
    assert [title[:6] for title in titles[::2]] == ["knob 3", "knob 1"]
    for wrong in ("5", "0", "1,", "x"):
        said = "dimensions=%s: expected all, or numbers from 1 to 4, such as 2,1" % wrong
        assert one_line(made, "walk", dimensions=wrong) == said


def test_a_point_of_another_size_is_refused():
    for name in ("sample", "walk", "similar"):
        request = Request(mode=name)
        error = one_line(MODES[name].make, FourNumbers(), at((1, 2, 3)), request, temperature=0.5, seed=1)
        assert error == "input 1: this model's latent has 4 numbers, not 3"


def test_a_mode_that_says_no_points_has_to_make_its_outputs_itself():
    with pytest.raises(TypeError, match="decodes no points"):
        Mode().make(FourNumbers(), at(), Request(), temperature=0.5, seed=1)
    with pytest.raises(TypeError, match="takes no bars"):
        Mode().detail(1, Request())


def test_sheets():
    outputs = [Output("000", "a"), Output("001", "b")]
    plain = MODES["sample"].sheet(outputs, at(), request=Request())
    assert plain == Sheet(["a", "b"], ["000", "001"])
    assert MODES["walk"].sheet(outputs, at(), request=Request(num_outputs=7)).columns == 7
    assert MODES["similar"].sheet(outputs, at((1, 2, 3, 4)), request=Request()) == plain


def test_the_sheet_shows_the_bars_given_where_they_belong():
    made = [Output("000", "x"), Output("001", "y")]
    shown = [Bars("bars 1-2 of a", 1, "bars of a"), Bars("bars 5-6 of b", 2, "bars of b")]
    sheet = MODES["similar"].sheet(made, bars(A)._replace(bars=shown[:1]), request=Request())
    assert sheet == Sheet(["bars of a", "x", "y"], ["given: bars 1-2 of a", "000", "001"])
    sheet = MODES["interpolate"].sheet(made, bars(A, B)._replace(bars=shown), request=Request())
    assert sheet.sequences == ["bars of a", "x", "y", "bars of b"]
    assert sheet.titles == ["given: bars 1-2 of a", "000", "001", "given: bars 5-6 of b"]
    sheet = MODES["interpolate"].sheet(made, Given(bars=shown[1:]), request=Request())
    assert sheet.titles == ["000", "001", "given: bars 5-6 of b"]


def test_the_sheet_of_a_reconstruction_says_how_much_of_the_detail_is_kept():
    song = melody(tune(2))
    given, made = Given([Input("a.mid", 1)], [examples.Song("a.mid", song)]), [Output("a.mid", song)]
    for request, title in (
        (Request(), "as the model hears it"),
        (Request(detail=0), "as the model hears it"),
        (Request(detail=0.5), "as the model hears it, with 0.5 of the detail"),
    ):
        sheet = MODES["reconstruct"].sheet(made, given, request=request)
        assert sheet.titles == ["the song", title]
