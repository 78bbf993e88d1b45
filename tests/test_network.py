"""No network unless asked: training and generating open no socket, and the suite itself cannot."""

import json
import socket

import pytest
from helpers import EXAMPLE, run_process

pytestmark = pytest.mark.slow

# Runs the scripts that it is given; each connection and look-up is written down, and fails.
RECORDING = """
import importlib, json, socket, sys
asked = []
def refuse(*arguments, **unused):
    asked.append(repr(arguments))
    raise OSError("no network here")
for name in ("connect", "connect_ex", "sendto"):
    setattr(socket.socket, name, refuse)
for name in ("getaddrinfo", "gethostbyname", "create_connection"):
    setattr(socket, name, refuse)
try:
    for script, *flags in json.loads(sys.argv[1]):
        importlib.import_module(script).main([script] + flags)
finally:
    print("asked", json.dumps(asked))
"""


def asked(*commands, before=""):
    done = run_process("-c", before + RECORDING, json.dumps(commands))
    return done.returncode, json.loads(done.stdout.splitlines()[-1][len("asked ") :]), done.stderr


def test_training_and_generating_ask_nothing(tmp_path):
    run = "--run_dir=%s" % (tmp_path / "run")
    train = ["midime_train", "--config=lc-cat-mel_2bar_small", "--examples_path=" + EXAMPLE, "--num_steps=2", run]
    status, found, error = asked(train, ["midime_generate", run, "--num_outputs=2"])
    assert status == 0, error
    assert found == []


def test_a_download_is_asked_for(tmp_path):
    """The same recorder hears it."""
    command = ["midime_train", "--config=lc-cat-mel_2bar_big", "--pretrained_path=cat-mel_2bar_big"]
    command.append("--examples_path=" + EXAMPLE)
    at_once = "from lc_music_vae.checkpoints import downloads\ndownloads._PAUSE = 0\n"
    status, found, error = asked(command + ["--run_dir=%s" % (tmp_path / "run")], before=at_once)
    assert status == 1, error
    assert any("storage.googleapis.com" in call for call in found)


def test_the_suite_cannot_reach_the_network():
    with socket.socket() as own, pytest.raises(AssertionError, match=r"a connection to \('192.0.2.1', 80\)"):
        own.connect(("192.0.2.1", 80))
    with pytest.raises(AssertionError, match="a look-up of 'example.org'"):
        socket.create_connection(("example.org", 80))
    with socket.socket() as own, pytest.raises(AssertionError, match="a connection"):
        own.connect(("127.0.0.1", 80))
