"""What the README says, checked against the program."""

import os
import re

import pytest
from conftest import REPO

import midime_generate
import midime_train
from lc_music_vae import configs
from lc_music_vae.hparams import HParams

with open(os.path.join(REPO, "README.md"), encoding="utf-8") as _f:
    README = _f.read()


@pytest.mark.parametrize("module", [midime_train, midime_generate])
def test_every_flag_has_its_row_with_its_help_and_default(module):
    values = module._flags()
    for name in set(values) - {"h", "help"}:
        flag = values[name]
        default = "" if flag.default in (None, "") else "`%s`" % flag.default
        text = flag.help.split(">: ")[-1]  # absl puts the choices before it
        assert "| `--%s` | %s | %s |" % (name, default, text) in README


def test_no_flag_in_the_readme_is_unknown():
    known = set(midime_train._flags()) | set(midime_generate._flags())
    commands = re.findall(r"^(?:python midime|midime|--)[^\n]*", README.replace("\\\n", ""), re.MULTILINE)
    shown = {flag for command in commands for flag in re.findall(r"--([a-z_0-9]+)", command)}
    assert shown
    assert shown <= known


def test_hyperparameters_and_configs_are_all_there():
    for name, default in HParams()._asdict().items():
        text = ",".join(map(str, default)) if isinstance(default, tuple) else str(default)
        assert "| `%s` | `%s` |" % (name, text) in README
    for name, entry in configs.CONFIG_MAP.items():
        assert "`%s`" % name in README
        assert entry.checkpoint_url is None or entry.checkpoint_url in README


def test_links_to_files_lead_somewhere():
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", README):
        assert os.path.exists(os.path.join(REPO, target)), target
