"""The families of MusicVAE configs, and what is read of magenta's private attributes."""

import copy
import os
import re

import numpy as np
import pytest
from helpers import REPO
from magenta.models.music_vae import configs as music_vae_configs
from magenta.models.music_vae import data as music_vae_data

from lc_music_vae import families
from lc_music_vae.errors import InputError
from lc_music_vae.families import magenta_facts
from lc_music_vae.families import melody as melody_family
from lc_music_vae.families.band import Band
from lc_music_vae.families.drums import Drums
from lc_music_vae.families.groove import Groove
from lc_music_vae.families.melody import Melody
from lc_music_vae.families.performance import Performance

PACKAGE = os.path.join(REPO, "lc_music_vae")
CONFIGS = music_vae_configs.CONFIG_MAP
FAMILY_OF = {
    "OneHotMelodyConverter": Melody,
    "DrumsConverter": Drums,
    "GrooveConverter": Groove,
    "TrioConverter": Band,
    "MultiInstrumentPerformanceConverter": Performance,
}
# What is read or changed of magenta's that is private, by class.
_OF_ALL = {"_steps_per_quarter", "_presplit_on_time_changes"}
_OF_SLICES = _OF_ALL | {"_slice_steps", "_steps_per_bar", "_pad_to_total_time"}
PRIVATES = {
    "OneHotMelodyConverter": _OF_SLICES | {"_event_extractor_fn", "_min_pitch", "_max_pitch", "_chord_encoding"},
    "DrumsConverter": _OF_SLICES | {"_drums_extractor_fn", "_pitch_class_map"},
    "GrooveConverter": _OF_ALL | {"_split_bars", "_pitch_class_map", "_note_dropout"},
    "TrioConverter": _OF_ALL | {"_slice_bars", "_chord_encoding"},
    "MultiInstrumentPerformanceConverter": _OF_ALL
    | {"_hop_size_bars", "_min_pitch", "_max_pitch", "_max_events_per_instrument", "_chord_encoding"},
    "NoteSequenceAugmenter": {"_transpose_range"},
}
EVERY_PRIVATE = set.union(*PRIVATES.values())


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_magenta_still_has_the_private_attributes_that_are_read(name):
    for part in (CONFIGS[name].data_converter, CONFIGS[name].note_sequence_augmenter):
        if part is None:
            continue
        kind = type(part).__name__
        missing = sorted(PRIVATES[kind] - set(vars(part)))
        assert not missing, "this magenta's %s has no %s any more: lc_music_vae/families/magenta_facts.py reads it" % (
            kind,
            ", ".join(missing),
        )


@pytest.mark.parametrize("name", ["cat-drums_2bar_small", "groovae_2bar_humanize"])
def test_drum_classes_are_what_magenta_writes(name):
    facts = magenta_facts.facts_of(name)
    count = len(facts.drum_classes)
    tensor = np.zeros([32, facts.writer.output_depth], np.float32)
    for step in range(count):  # each class in a sixteenth of its own
        tensor[step, 1 << step if facts.writer.output_depth == 1 << count else step] = 1
    if facts.writer.output_depth == 1 << count:
        tensor[count:, 0] = 1
    (sequence,) = facts.writer.from_tensors([tensor])
    assert tuple(note.pitch for note in sorted(sequence.notes, key=lambda n: n.start_time)) == facts.drum_classes


def modules():
    for folder, _, names in os.walk(PACKAGE):
        for name in sorted(names):
            if name.endswith(".py"):
                with open(os.path.join(folder, name), encoding="utf-8") as f:
                    yield os.path.relpath(os.path.join(folder, name), PACKAGE), f.read()


def test_one_module_alone_touches_them():
    touched = {path: EVERY_PRIVATE & set(re.findall(r"\b_[a-z]\w*", text)) for path, text in modules()}
    assert {path: names for path, names in touched.items() if names} == {
        os.path.join("families", "magenta_facts.py"): EVERY_PRIVATE
    }


def test_that_module_touches_no_others():
    ((_, text),) = [module for module in modules() if module[0].endswith("magenta_facts.py")]
    assert set(re.findall(r"[.\"](_[a-z]\w*)", text)) == EVERY_PRIVATE


@pytest.mark.parametrize("name", sorted(CONFIGS))
def test_each_config_is_of_one_family(name):
    converter = CONFIGS[name].data_converter
    family = families.family_of(name)
    assert type(family) is FAMILY_OF[type(converter).__name__]
    assert [kind for kind in families.FAMILIES if isinstance(converter, kind.converters)] == [type(family)]
    assert family.pitch_range == ((21, 108) if family.reads == "melody" or "trio" in name else (0, 127))
    assert family.facts.input_depth == converter.input_depth
    assert family.facts.steps_per_quarter == (24 if family.reads == "band" and "trio" not in name else 4)
    assert family.controls == ("chords" if "chords" in name else "hits" if "hits" in name else "")
    assert bool(family.facts.drum_pitches) == (family.reads == "drums")
    bars = int(re.search(r"(\d+)bar|$", name).group(1) or 2)  # nade-drums_2bar_... and all others say it
    assert family.facts.bars == bars


def test_controls_that_a_family_does_not_know_are_refused(monkeypatch):
    monkeypatch.setattr(Melody, "controlled_by", "")
    with pytest.raises(InputError) as e:
        families.family_of("cat-mel_2bar_med_chords")
    assert str(e.value) == "MusicVAE config cat-mel_2bar_med_chords needs controls, and Melody has none"


def test_a_converter_of_no_family_is_refused_in_one_line(monkeypatch):
    class Unheard:
        control_depth = 0

    monkeypatch.setitem(CONFIGS, "new", CONFIGS["cat-mel_2bar_small"]._replace(data_converter=Unheard()))
    with pytest.raises(InputError) as e:
        families.family_of("new")
    assert str(e.value) == (
        "MusicVAE config new: its converter, Unheard, is not supported yet; supported are OneHotMelodyConverter, "
        "DrumsConverter, GrooveConverter, TrioConverter, MultiInstrumentPerformanceConverter"
    )


def test_a_new_family_is_a_line_in_the_table(monkeypatch):
    class Whistled(Melody):
        converters = (type("WhistleConverter", (music_vae_data.OneHotMelodyConverter,), {}),)

    converter = copy.copy(CONFIGS["cat-mel_2bar_small"].data_converter)
    converter.__class__ = Whistled.converters[0]
    monkeypatch.setitem(CONFIGS, "new", CONFIGS["cat-mel_2bar_small"]._replace(data_converter=converter))
    monkeypatch.setattr(families, "FAMILIES", (Whistled, *families.FAMILIES))
    assert type(families.family_of("new")) is Whistled
    assert type(families.family_of("cat-mel_2bar_small")) is Melody


def test_magentas_own_converter_stays_as_it_is():
    converter = CONFIGS["cat-mel_2bar_small"].data_converter
    before = copy.copy(vars(converter))
    facts = magenta_facts.facts_of("cat-mel_2bar_small")
    assert vars(converter) == before
    assert facts.converter is not converter
    assert isinstance(facts.converter, music_vae_data.OneHotMelodyConverter)
    assert facts.converter.is_inferring
    assert facts.converter.max_tensors_per_notesequence is None


def test_a_pitch_moves_by_the_fewest_octaves():
    for low, high in ((21, 108), (48, 83), (48, 72)):
        for pitch in range(128):
            into = melody_family.nearest_octave(pitch, low, high)
            all_of_them = [p for p in range(low, high + 1) if (p - pitch) % 12 == 0]
            assert into == min(all_of_them, key=lambda p: abs(p - pitch))


def test_pitches_move_together_so_that_most_are_in_range():
    rng = np.random.RandomState(0)
    for _ in range(200):
        pitches = rng.randint(0, 128, 5)
        outside = {o: sum(not 48 <= p + 12 * o <= 83 for p in pitches.tolist()) for o in range(-12, 13)}
        octaves = melody_family.octaves_into(pitches, 48, 83)
        assert outside[octaves] == min(outside.values())
        assert abs(octaves) == min(abs(o) for o in outside if outside[o] == min(outside.values()))


def test_how_many():
    assert [melody_family._times(number, "octave") for number in (0, 1, 2)] == ["0 octaves", "1 octave", "2 octaves"]
