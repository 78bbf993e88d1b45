"""The records that flags become: limits, words, defaults, and flags made from them."""

import dataclasses
import types

import pytest
from helpers import one_line

import midime_generate
import midime_train
from lc_music_vae import options
from lc_music_vae.options import Flag, Limits

RECORDS = [
    options.Encoding,
    options.ModelSource,
    options.Reading,
    options.Request,
    options.Sampling,
    options.Sound,
    options.Training,
]


@pytest.mark.parametrize(
    ("limits", "good", "bad", "expected"),
    [
        (Limits(1, 10), (1, 10, 2.5), (0, 11, -1, float("nan"), float("inf")), "from 1 to 10"),
        (Limits(low=0), (0, 1e300, float("inf")), (-1, float("nan")), "0 or more"),
        (Limits(0.5, 2, words="half or more"), (0.5, 2), (0.4, 2.1), "half or more"),
        (Limits(choices=("a", "b")), ("a", "b"), ("c", "", 1), "one of a, b"),
    ],
)
def test_limits(limits, good, bad, expected):
    for value in good:
        limits.check("speed", value)
    for value in bad:
        assert one_line(limits.check, "speed", value) == "speed=%s must be %s" % (value, expected)


@pytest.mark.parametrize("record", RECORDS)
def test_defaults_are_within_their_limits_and_none_of_them_is_given(record):
    made = record()
    assert made.given() == {}
    for field in dataclasses.fields(record):
        assert getattr(made, field.name) == field.default
        assert field.metadata["text"] or field.name == "mode"
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(made, field.name, None)


@pytest.mark.parametrize(
    ("record", "values", "said"),
    [
        (options.Sampling, {"temperature": 0}, "temperature=0 must be a number above 0; 0.001 is as good as none"),
        (options.Sampling, {"seed": 2**32}, "seed=4294967296 must be from 0 to 4294967295"),
        (options.Sampling, {"max_batch_size": 10001}, "max_batch_size=10001 must be from 1 to 10000"),
        (options.Sound, {"qpm": 9}, "qpm=9 must be from 10 to 1000 quarters a minute"),
        (options.Sound, {"program": -1}, "program=-1 must be from 0 to 127"),
        (options.Reading, {"metre": "3/4"}, "metre=3/4 must be one of any, 4/4"),
        (options.Request, {"similarity": 3}, "similarity=3 must be from 0 to 1"),
        (options.Request, {"num_outputs": 0}, "num_outputs=0 must be from 1 to 10000"),
        (options.Training, {"num_steps": -1}, "num_steps=-1 must be from 0 to 1000000000"),
        (options.Training, {"fidelity": "near"}, "fidelity=near must be one of free, balanced, close"),
        (options.Training, {"holdout": 0.91}, "holdout=0.91 must be from 0 to 0.9"),
    ],
)
def test_a_record_refuses_what_is_not_within_them(record, values, said):
    assert one_line(record, **values) == said
    assert one_line(dataclasses.replace, record(), **values) == said


def test_what_is_given_is_what_is_not_the_default():
    request = options.Request(mode="similar", num_outputs=8, similarity=0.0)
    assert request.given() == {"mode": "similar", "num_outputs": 8, "similarity": 0.0}
    assert options.Sampling(temperature=0.5, seed=0).given() == {"seed": 0}


def test_a_flag_is_its_field():
    flags = {flag.name: flag for flag in options.flags_of(options.Sampling, without=("seed",))}
    assert sorted(flags) == ["max_batch_size", "temperature"]
    assert flags["temperature"] == Flag(
        "temperature", float, 0.5, "How freely the decoder chooses notes: above 0; lower is plainer.", ()
    )
    kinds = {flag.name: flag.kind for record in RECORDS for flag in options.flags_of(record)}
    assert {name: kinds[name] for name in ("run_dir", "program", "qpm", "audio", "augment")} == {
        "run_dir": str,
        "program": int,
        "qpm": float,
        "audio": bool,
        "augment": bool,
    }
    (metre,) = (flag for flag in options.flags_of(options.Reading) if flag.name == "metre")
    assert metre.choices == ("any", "4/4")


@pytest.mark.parametrize(
    ("script", "records"),
    [
        (midime_generate, (options.ModelSource, options.Request, options.Sampling, options.Sound, options.Reading)),
        (midime_train, (options.Training,)),
    ],
)
def test_scripts_have_a_flag_for_each_field_with_its_default(script, records):
    values = script._flags()
    for flag in (flag for record in records for flag in options.flags_of(record)):
        assert values[flag.name].default == flag.default, flag.name


def test_flags_become_records():
    parsed = types.SimpleNamespace(temperature=1.0, seed=None, max_batch_size=None, other=3)
    assert options.from_flags(options.Sampling, parsed) == options.Sampling(temperature=1.0)
