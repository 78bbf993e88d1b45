"""What magenta's converters and augmenters say about a MusicVAE config's windows.

They keep this information in private attributes. Only this module reads and changes them, so that a rename in magenta
affects one place. tests/test_families.py has the list of these attributes.
"""

import copy
import functools
import math
from typing import Any, FrozenSet, NamedTuple, Optional, Tuple

from magenta.models.music_vae import configs as music_vae_configs

_EXTRACTORS = ("_event_extractor_fn", "_drums_extractor_fn")


class Facts(NamedTuple):
    """The facts about a MusicVAE config's windows.

    Attributes:
        converter: A copy of magenta's converter that keeps a single window whole, including its rests.
        writer: The same for `from_tensors`, without chords: what is decoded is written without them.
        bars: Length of a window in bars of four quarters.
        steps: Length of a tensor.
        steps_per_quarter: Number of steps in a quarter after quantization.
        input_depth: Depth of the encoder's input tensors.
        control_depth: Depth of the controls that encoding and decoding need in addition; 0 if they need none.
        pitch_range: Lowest and highest pitch, if the converter defines them.
        drum_pitches: Pitches of the drums that the converter knows; empty if it has no drum classes.
        drum_classes: The pitch that each of its drum classes is written as.
        transpose_range: Semitones (lowest, highest) that magenta transposes by in its own training, if it does.
        events_per_instrument: How many events of each instrument a tensor holds, one instrument after another; 0 if
            its time is in steps.
        dropping_converter: The same converter, which drops notes of the inputs at random, if magenta's own does.
    """

    converter: Any
    writer: Any
    bars: int
    steps: int
    steps_per_quarter: int
    input_depth: int
    control_depth: int
    pitch_range: Optional[Tuple[int, int]]
    drum_pitches: FrozenSet[int]
    drum_classes: Tuple[int, ...]
    transpose_range: Optional[Tuple[int, int]]
    events_per_instrument: int = 0
    dropping_converter: Any = None


def facts_of(music_vae: str) -> Facts:
    """Returns the facts about the config named `music_vae` in magenta's CONFIG_MAP."""
    config = music_vae_configs.CONFIG_MAP[music_vae]
    augmenter = config.note_sequence_augmenter
    converter = _for_windows(config.data_converter)
    own = vars(converter)
    class_of = getattr(converter, "pitch_class_map", own.get("_pitch_class_map", {}))
    first = {number: pitch for pitch, number in reversed(list(class_of.items()))}
    dropping_converter = None
    if own.get("_note_dropout"):
        dropping_converter = copy.copy(converter)
        converter._note_dropout = False
    return Facts(
        converter=converter,
        writer=_without_chords(converter),
        bars=_window_bars(vars(config.data_converter)),
        steps=config.hparams.max_seq_len,
        steps_per_quarter=own["_steps_per_quarter"],
        input_depth=converter.input_depth,
        control_depth=converter.control_depth,
        pitch_range=(own["_min_pitch"], own["_max_pitch"]) if "_min_pitch" in own else None,
        drum_pitches=frozenset(class_of),
        drum_classes=tuple(first[number] for number in sorted(first)),
        transpose_range=None if augmenter is None else augmenter._transpose_range,
        events_per_instrument=own.get("_max_events_per_instrument", 0),
        dropping_converter=dropping_converter,
    )


def _without_chords(converter: Any) -> Any:
    """Returns the converter for writing: one that knows chords may ask for those that each window was decoded with."""
    if not getattr(converter, "_chord_encoding", None):
        return converter
    writer = copy.copy(converter)
    writer._chord_encoding = None
    return writer


def _window_bars(own: Any) -> int:
    """Returns how many bars are in one tensor of a converter with these attributes."""
    if own.get("_slice_steps"):
        return own["_slice_steps"] // own["_steps_per_bar"]
    return own.get("_slice_bars") or own.get("_split_bars") or own["_hop_size_bars"]


def _for_windows(converter: Any) -> Any:
    """Returns a copy of magenta's converter that keeps a single window whole, including its rests.

    magenta's own converter starts a melody at its first note, ends it at a bar of rest and splits at time changes. This
    is right for a song but wrong for a window that is already cut.
    """
    converter = copy.deepcopy(converter)
    converter.set_mode("infer")
    converter.max_tensors_per_notesequence = None
    converter._presplit_on_time_changes = False
    if hasattr(converter, "_split_bars"):
        converter._split_bars = None  # it would lose a window that ends with rests
    for extractor in _EXTRACTORS:
        if hasattr(converter, extractor):
            converter._pad_to_total_time = True
            cut = getattr(converter, extractor)
            setattr(converter, extractor, functools.partial(cut.func, **dict(cut.keywords, gap_bars=math.inf)))
    return converter
