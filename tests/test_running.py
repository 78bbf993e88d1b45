"""How a script begins and ends, with a main of the test's own; `test_command_line.py` has the real ones."""

import gc
import logging
import os
import shutil
import signal
import subprocess
import sys
import warnings

import pytest
from absl import flags
from helpers import REPO

import lc_music_vae
from lc_music_vae.errors import InputError, printable
from lc_music_vae.system import command_line, interrupts, progress, results

OURS = ("lc_music_vae", "lc_music_vae.system.results")


@pytest.fixture(autouse=True)
def as_it_was(monkeypatch):
    """What a script sets for its process is taken back; leaving it at once is an exception here."""
    ours, libraries = ([logging.getLogger(name) for name in names] for names in (OURS, ("tensorflow", "absl")))
    levels = [(one, one.level) for one in ours + libraries]
    threshold = gc.get_threshold()

    def left(status):
        raise Left(status)

    monkeypatch.setattr(os, "_exit", left)
    monkeypatch.setattr(command_line.atexit, "_run_exitfuncs", lambda: print("exit functions"))
    for name in ("TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS"):
        monkeypatch.setenv(name, "as it was")
    with warnings.catch_warnings():
        yield
    gc.set_threshold(*threshold)
    for one in ours:
        one.handlers, one.propagate = [], True
    for one, level in levels:
        one.setLevel(level)


class Left(BaseException):
    """The process would have ended at once with this status."""


def run(main=lambda values: None, *arguments, **kwargs):
    found = command_line.FlagSet("prog")
    found.add("steps", int, 5, text="How many.", lower_bound=1)
    return command_line.run("prog", "\nWhat it does.\n", found.values, main=main, argv=["prog", *arguments], **kwargs)


def fails(capsys, *arguments):
    """Returns the exit status, and what is said."""
    with pytest.raises((SystemExit, Left)) as e:
        run(*arguments)
    return (e.value.code if isinstance(e.value, SystemExit) else e.value.args[0]), capsys.readouterr().err


def test_main_is_given_its_flags(capsys):
    seen = []
    assert run(lambda values: seen.append((values.steps, values.log)), "--steps=7", "--log=WARN") is None
    assert seen == [(7, "WARN")]
    assert capsys.readouterr() == ("", "")
    assert gc.get_threshold()[0] == 100000


def test_results_are_on_stdout_and_talk_on_stderr(capsys):
    def main(values):
        logging.getLogger("lc_music_vae.training.train").info("talk")
        results.logger.info("a result")

    run(main, "--log=INFO")
    assert capsys.readouterr() == ("a result\n", "talk\n")
    run(main, "--log=ERROR")
    assert capsys.readouterr() == ("a result\n", "")


def test_the_version(capsys):
    run(lambda values: 1 / 0, "--version")
    assert capsys.readouterr().out == "lc_music_vae %s\n" % lc_music_vae.__version__


@pytest.mark.parametrize("program", ["midime_train.py", "midime_generate.py"])
def test_who_reads_the_help_may_have_seen_enough(program, monkeypatch):
    monkeypatch.delenv("PYTHONWARNINGS")
    command = "%s %s --help | true; echo ${PIPESTATUS[0]}" % (sys.executable, program)
    done = subprocess.run(["bash", "-c", command], cwd=REPO, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert (done.stdout, done.stderr) == ("0\n", "")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_says_what_it_does_and_does_nothing(flag, capsys):
    run(lambda values: 1 / 0, flag)
    shown = capsys.readouterr().out
    assert shown.startswith("What it does.\n")
    assert "--steps: How many." in shown
    assert "--log: <DEBUG|INFO|WARN|ERROR|FATAL>: " in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["song.mid", "more"], "prog: error: unexpected argument 'song.mid'; flags are written --name=value"),
        (["--steps=0"], "flag --steps=0: 0 is not a positive integer"),
        (["--stepz=1"], "Unknown command line flag 'stepz'. Did you mean: steps ?"),
    ],
)
def test_wrong_flags_are_one_line(arguments, said, capsys):
    status, error = fails(capsys, lambda values: 1 / 0, *arguments)
    assert status == 1
    assert error.startswith("prog: error: ")
    assert said in error
    assert error.count("\n") == 1


def raising(error):
    def main(values):
        raise error

    return main


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (InputError("--x=1 is not\nright"), "--x=1 is not\\nright"),
        (flags.Error(" two\nlines "), "two"),
        (KeyError("first\nsecond"), "'first\\nsecond' (KeyError); --log=DEBUG shows where"),
        (RuntimeError(" first\nsecond"), "first (RuntimeError); --log=DEBUG shows where"),
        (RuntimeError(), "RuntimeError (RuntimeError); --log=DEBUG shows where"),
    ],
)
def test_errors_are_one_line(error, said, capsys):
    assert fails(capsys, raising(error)) == (1, "prog: error: %s\n" % said)
    status, shown = fails(capsys, raising(error), "--log=DEBUG")
    assert status == 1
    assert shown.startswith("Traceback (most recent call last):\n")
    assert shown.endswith("\nprog: error: %s\n" % said)


@pytest.mark.parametrize(
    ("number", "where", "said"),
    [
        (signal.SIGINT, None, "prog: stopped; the same command goes on from there\n"),
        (signal.SIGINT, "at step 5", "prog: stopped at step 5; the same command goes on from there\n"),
        (signal.SIGTERM, "at step 5", "prog: stopped at step 5; the same command goes on from there\n"),
    ],
)
def test_signals_end_it_with_their_own_status(number, where, said, capsys):
    before = signal.getsignal(signal.SIGTERM)

    def main(values):
        with interrupts.saying(lambda: where) if where else warnings.catch_warnings():
            os.kill(os.getpid(), number)

    assert fails(capsys, main) == (128 + number, said)
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(Left):
        run(main, when_stopped="nothing is kept")
    assert capsys.readouterr().err.endswith("; nothing is kept\n")


def test_where_nobody_reads_any_more_it_ends_all_the_same(monkeypatch):
    class Gone:
        def write(self, text=None):
            raise BrokenPipeError

        flush = write

    monkeypatch.setattr(sys, "stderr", Gone())
    with pytest.raises(Left) as e:
        run(raising(KeyboardInterrupt()))
    assert e.value.args == (130,)


def test_a_process_of_its_own_is_left_at_once_after_exit_functions(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["prog", "--steps=3"])
    found = command_line.FlagSet("prog")
    found.add("steps", int, 5, text="How many.")
    listening = []

    def main(values):
        print(values.steps)
        listening.append(signal.set_wakeup_fd(-1))
        signal.set_wakeup_fd(listening[-1])

    with pytest.raises(Left) as e:
        command_line.run("prog", "What.", found.values, main=main)
    assert (e.value.args, capsys.readouterr().out) == ((0,), "3\nexit functions\n")
    run(main)  # in a process that is somebody else's
    assert listening[0] != -1
    assert listening[1] == -1


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("DEBUG", ["debug", "info", "warning", "error", "critical"]),
        ("INFO", ["info", "warning", "error", "critical"]),
        ("WARN", ["warning", "error", "critical"]),
        ("ERROR", ["error", "critical"]),
        ("FATAL", ["critical"]),
    ],
)
def test_what_is_logged(level, shown, capsys, monkeypatch):
    for name in ("TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS"):
        monkeypatch.delenv(name)
    libraries = [logging.getLogger("absl"), logging.getLogger("tensorflow")]
    for library in libraries:
        library.setLevel(logging.NOTSET)

    def main(values):
        assert not logging.getLogger("lc_music_vae").propagate
        for name in ("debug", "info", "warning", "error", "critical"):
            getattr(logging.getLogger("lc_music_vae.x"), name)(name)
        warnings.warn("a library's", stacklevel=1)

    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        run(main, "--log=" + level)
    assert capsys.readouterr().err.split() == shown
    quiet = level != "DEBUG"
    assert len(warned) == (0 if quiet else 1)
    assert os.environ.get("TF_CPP_MIN_LOG_LEVEL") == ("2" if quiet else None)
    assert os.environ.get("PYTHONWARNINGS") == ("ignore" if quiet else None)
    assert [one.level for one in libraries] == [logging.ERROR if quiet else logging.NOTSET] * 2


def test_what_the_user_set_stays():
    run()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == os.environ["PYTHONWARNINGS"] == "as it was"


@pytest.mark.parametrize(
    ("started_as", "on_path", "expected"),
    [
        ("midime_train.py", None, "{python} midime_generate.py '--run_dir=my run'"),
        ("../a b/midime_train.py", None, "{python} '../a b/midime_generate.py' '--run_dir=my run'"),
        ("/opt/bin/midime_train", "/opt/bin/midime_generate", "midime_generate '--run_dir=my run'"),
        ("/opt/bin/midime_train", "/usr/bin/midime_generate", "/opt/bin/midime_generate '--run_dir=my run'"),
    ],
)
def test_the_next_command_is_started_as_this_one_was(started_as, on_path, expected, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "argv", [started_as])
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv" / "bin" / "python"))
    monkeypatch.setattr(shutil, "which", lambda name: on_path)
    for cwd, python in ((tmp_path, ".venv/bin/python"), (tmp_path.parent, tmp_path.name + "/.venv/bin/python")):
        monkeypatch.chdir(cwd)
        found = command_line.other_command("midime_train", "midime_generate", "--run_dir=my run")
        assert found == expected.format(python=python)
    monkeypatch.chdir("/usr")
    found = command_line.other_command("midime_train", "midime_generate", "--run_dir=my run")
    assert found == expected.format(python=sys.executable)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("XYZ Grüße, 旋律 ♪ a\u00a0b", "XYZ Grüße, 旋律 ♪ a\u00a0b"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31m\x07\x9b", r"\x1b[31m\x07\x9b"),
        ("\u2028\u2029", r"\u2028\u2029"),
        ("\u202e\u200b\ufeff", r"\u202e\u200b\ufeff"),  # read from the right; of no width
        ("\udc80\U000e0001", r"\udc80\U000e0001"),
    ],
)
def test_what_a_terminal_would_obey_is_spelt_out(text, shown):
    assert printable(text) == str(InputError(text)) == shown


@pytest.mark.parametrize("level", ["INFO", "WARNING"])
@pytest.mark.parametrize("terminal", [True, False])
def test_bars_are_for_terminals_and_for_info(level, terminal, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    logging.getLogger("lc_music_vae").setLevel(level)
    logging.getLogger("lc_music_vae").handlers = [logging.StreamHandler()]
    with progress.bar("reading", 3, "song", mininterval=0) as bar:
        for i in range(3):
            bar.update()
            logging.getLogger("lc_music_vae.x").info("line %d", i)
    shown = capsys.readouterr().err
    assert progress.shown() is (terminal and level == "INFO")
    if progress.shown():
        assert "reading: 100%" in shown
        assert "3/3" in shown
        assert "song/s" in shown
        assert shown.endswith("\r")  # nothing is left of it
        assert shown.index("line 0\n") < shown.index("line 2\n")
    else:
        assert shown == ("line 0\nline 1\nline 2\n" if level == "INFO" else "")
