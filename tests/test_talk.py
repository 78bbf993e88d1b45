"""What is said in Python, and who hears it."""

import contextlib
import logging
import os
import warnings
from unittest import mock

import pytest

from lc_music_vae.system import talk

logger = logging.getLogger("lc_music_vae.training.train")
package = logging.getLogger("lc_music_vae")
tensorflow = logging.getLogger("tensorflow")


@contextlib.contextmanager
def nobody_listens():
    """As in a fresh process: pytest's handlers, which it puts up anew for each test, are away."""
    with contextlib.ExitStack() as stack:
        for one in (logging.getLogger(), package):
            stack.enter_context(mock.patch.object(one, "handlers", []))
        stack.enter_context(mock.patch.dict(os.environ))
        for name in ("TF_CPP_MIN_LOG_LEVEL", "PYTHONWARNINGS"):
            os.environ.pop(name, None)
        stack.callback(package.setLevel, package.level)
        package.setLevel(logging.NOTSET)
        yield


def state():
    filters = [logging.getLogger(name).filters[:] for name in ("tensorflow", "absl")]
    return package.handlers[:], package.level, package.propagate, filters, dict(os.environ), warnings.filters[:]


@nobody_listens()
def test_talk_goes_to_stderr_and_all_is_put_back(capsys):
    before = state()

    def work():
        logger.info("talk")
        logger.debug("more")
        assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "2"
        assert not tensorflow.filter(logging.makeLogRecord({"levelno": logging.WARNING}))
        assert tensorflow.filter(logging.makeLogRecord({"levelno": logging.ERROR}))
        raise KeyError

    with pytest.raises(KeyError):
        talk.heard()(work)()
    logger.info("nobody listens")
    assert capsys.readouterr() == ("", "talk\n")
    assert state() == before


@nobody_listens()
def test_who_listens_already_hears_it_once(capsys, caplog):
    """A handler of the package's or of the root's; absl's, which TensorFlow brings, is nobody's."""
    package.setLevel("INFO")
    for owner in (package, logging.getLogger()):
        owner.addHandler(caplog.handler)
        with talk.heard():
            logger.info("to %s", owner.name)
        owner.removeHandler(caplog.handler)
    assert capsys.readouterr() == ("", "")
    assert caplog.messages == ["to lc_music_vae", "to root"]
    from absl import logging as absl_logging

    logging.getLogger().addHandler(absl_logging.get_absl_handler())
    with talk.heard():
        logger.info("talk")
    assert capsys.readouterr() == ("", "talk\n")


@nobody_listens()
def test_levels_that_were_set_stay(capsys):
    package.setLevel("ERROR")
    with talk.heard():
        logger.info("talk")
    package.setLevel("DEBUG")
    with talk.heard():
        logger.debug("more")
        assert tensorflow.filter(logging.makeLogRecord({"levelno": logging.INFO}))
        assert "TF_CPP_MIN_LOG_LEVEL" not in os.environ
    assert capsys.readouterr() == ("", "more\n")


@nobody_listens()
def test_the_last_of_several_puts_back(capsys):
    """Two threads that train end in any order."""
    before = state()
    first, second = talk.heard(), talk.heard()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    logger.info("talk")
    assert capsys.readouterr() == ("", "talk\n")
    second.__exit__(None, None, None)
    assert state() == before
