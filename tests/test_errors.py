"""The one exception that is written for people: in Python as for the command line, one line."""

import pytest

from lc_music_vae.errors import InputError


@pytest.mark.parametrize(
    ("text", "in_python", "argument"),
    [
        ("--run_dir=/x holds no model", "run_dir=/x holds no model", "run_dir"),
        ("give either --run_dir or --config", "give either run_dir or config", "run_dir"),
        ("train anew (with --num_steps=9)", "train anew (with num_steps=9)", "num_steps"),
        ("nothing there; 'midime_train --seed=1' trains", "nothing there; 'midime_train seed=1' trains", "seed"),
        ("/songs/a--b.mid: a -- b, c--run_dir, --9", "/songs/a--b.mid: a -- b, c--run_dir, --9", None),
        ("song.mid: not readable", "song.mid: not readable", None),
        ("", "", None),
    ],
)
def test_arguments_are_named_as_the_reader_knows_them(text, in_python, argument):
    error = InputError(text)
    assert str(error) == in_python
    assert error.for_command_line() == text
    assert error.argument == argument
    assert isinstance(error, ValueError)


def test_it_is_one_line_whatever_a_name_holds():
    error = InputError("--run_dir=a\nb\x1b[2J: no such folder")
    assert str(error) == r"run_dir=a\nb\x1b[2J: no such folder"
    assert error.for_command_line() == r"--run_dir=a\nb\x1b[2J: no such folder"
