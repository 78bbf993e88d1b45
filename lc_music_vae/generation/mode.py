"""The base of all modes of generation. Each mode is one object in its own module in `modes/`."""

import logging
from typing import Any, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae.errors import InputError
from lc_music_vae.generation.inputs import Given, parse_knobs
from lc_music_vae.options import Request
from lc_music_vae.showing.outputs import Bars, Output

logger = logging.getLogger(__name__)

_FAR = 2.0  # see TrainedModel.distances
_DEFAULT_OUTPUTS = 8


class Sheet(NamedTuple):
    """The sheet, the picture of a run: sequences and their titles, in rows of `columns` or as the parts of a score.

    `letters` are the phrases of each sequence, if they are known: the number of each one's first bar, from 0, and its
    letter.
    """

    sequences: Sequence[Any]
    titles: Sequence[str]
    columns: Optional[int] = None
    is_score: bool = False
    letters: Sequence[Sequence[Tuple[int, str]]] = ()

    @classmethod
    def of(cls, made: Sequence[Output]) -> "Sheet":
        """Returns the sheet that shows outputs one after another."""
        return cls([output.note_sequence for output in made], [output.title for output in made])


class Mode:
    """A way to make music with a trained model.

    A mode usually decodes points of the small latent, which `points` returns. Other modes override `make`.

    Attributes:
        name: Value of `--mode`.
        text: What the mode makes, in a few words, for the help and the tables.
        num_inputs: How many inputs the mode takes.
        num_latents: How many points of the small latent it takes, instead of inputs or in addition to them.
        whole_songs: Whether its inputs are whole songs, not windows picked from them.
        min_outputs: The smallest number of outputs that makes sense.
        takes_controls: Whether it decodes with chords or hits, where a config needs some.
        makes_page: Whether the mode writes the page of the model, and no music.
        options: Names of the other flags that it takes.
    """

    name = ""
    text = ""
    num_inputs = 0
    num_latents = 0
    whole_songs = False
    min_outputs = 1
    takes_controls = False
    makes_page = False
    options: FrozenSet[str] = frozenset(("num_outputs", "qpm", "program"))

    def takes(self) -> FrozenSet[str]:
        """Returns the flags that this mode takes, but not every mode."""
        numbers = range(1, self.num_inputs + 1)
        names = ["input_midi_%d" % i for i in numbers]
        names += [] if self.whole_songs else ["input_bars_%d" % i for i in numbers]
        names += ["latent", "latent_2"][: self.num_latents]
        names += ["chords", "control_midi"] if self.takes_controls else []
        names += ["melody_track", "metre"] if self.num_inputs else []
        names += ["list_bars"] if self.num_inputs and not self.whole_songs else []
        return self.options.union(names)

    def reads_songs(self, request: Request) -> bool:
        """Returns whether it will read a song: the process that does so can be started early."""
        del request
        return self.num_inputs > 0

    def takes_windows(self, request: Request) -> bool:
        """Returns whether its inputs are windows that are picked from songs."""
        del request
        return not self.whole_songs

    def num_outputs(self, request: Request) -> int:
        """Returns the requested number of outputs.

        Raises:
            InputError: The number is smaller than `min_outputs`.
        """
        number = self.default_outputs(request) if request.num_outputs is None else request.num_outputs
        if number < self.min_outputs:
            raise InputError("--num_outputs=%d must be %d or more in mode %s" % (number, self.min_outputs, self.name))
        return number

    def default_outputs(self, request: Request) -> int:
        """Returns the number of outputs to make if the request does not give one."""
        del request
        return _DEFAULT_OUTPUTS

    def points(
        self, model: Any, ends: Sequence[Any], *, num_outputs: int, request: Request, seed: int
    ) -> Tuple[Any, List[str]]:
        """Returns the points to decode, float [number of outputs, encoded_z_size], and the name of each output.

        Args:
            model: The `TrainedModel`.
            ends: The points of the inputs, in order.
            num_outputs: Number of outputs, from `num_outputs`.
            request: What to generate.
            seed: Seed of the points that are drawn; the i-th point is a function of (seed, i).
        """
        raise TypeError("mode %s decodes no points" % self.name)

    def detail(self, num_outputs: int, request: Request) -> Any:
        """Returns how much of what the small latent leaves out of each input is kept, [num_outputs, num_inputs].

        Args:
            num_outputs: Number of outputs, from `num_outputs`.
            request: What to generate.
        """
        raise TypeError("mode %s takes no bars" % self.name)

    def turn(self, model: Any, num_outputs: int, request: Request) -> Any:
        """Returns what knobs add to the z of outputs, [n, z_size] for n outputs or 1; None if none is turned."""
        del num_outputs
        if not request.knobs:
            return None
        values = parse_knobs(request.knobs)
        return model.knobs_for(values).shift(values)[None]

    def make(self, model: Any, given: Given, request: Request, *, temperature: float, seed: int) -> Sequence[Output]:
        """Generates the outputs.

        Args:
            model: The `TrainedModel`.
            given: The inputs, after they were read.
            request: What to generate.
            temperature: Temperature of the decoder.
            seed: Seed of the points.
        """
        num_outputs = self.num_outputs(request)
        places, residuals = ends(model, given)
        where, titles = self.points(model, places, num_outputs=num_outputs, request=request, seed=seed)
        turn = self.turn(model, num_outputs, request)
        detail = self.detail(num_outputs, request) if given.windows else None
        added = [part for part in (turn, None if detail is None else detail @ residuals) if part is not None]
        sequences = model.decode(where, temperature, residual=sum(added) if added else None)
        kept = [()] * len(titles) if detail is None else detail.tolist()
        return [
            Output(title, sequence, point, detail=share, is_turned=turn is not None)
            for title, sequence, point, share in zip(titles, sequences, where, kept)
        ]

    def sheet(self, made: Sequence[Output], given: Given, *, request: Request) -> Sheet:
        """Returns the contents of the sheet.

        Args:
            made: The outputs.
            given: The inputs.
            request: What was asked for.
        """
        del given, request
        return Sheet.of(made)

    def bars(self, made: Sequence[Output], given: Given) -> Sequence[Bars]:
        """Returns the bars that the page shows before the outputs, or after them: those that were given."""
        del made
        return given.bars

    def settings(self, request: Request) -> dict:
        """Returns the settings of this mode that the index records in addition to those of all modes."""
        del request
        return {}


def numbered(n: int) -> List[str]:
    """Returns names for n outputs that have no other name: 000, 001 ..."""
    return ["%03d" % i for i in range(n)]


def ends(model: Any, given: Given) -> Tuple[List[Any], Any]:
    """Returns the inputs' points in the small latent, and what it leaves out of them, [number of inputs, z_size].

    Of an input that is a point, nothing is left out. Warns of inputs that are far from it.
    """
    for one in given.inputs:
        if one.latent and len(one.latent) != model.encoded_z_size:
            raise InputError(
                "%s: this model's latent has %d numbers, not %d" % (one.name, model.encoded_z_size, len(one.latent))
            )
    if not given.windows:
        return [one.latent for one in given.inputs], None
    import numpy as np

    means, residuals = model.hear(given.windows)
    distances = model.how_far(residuals)
    for one, distance in zip(given.of_files(), [] if distances is None else distances):
        if distance > _FAR:
            logger.warning(
                "--input_midi_%d=%s lies far from the songs that were trained on (%.1f times their own distance): "
                "what keeps near to it is like it rather than like them",
                one.number,
                one.path,
                distance,
            )
    heard = iter(zip(means, residuals))
    found = [(one.latent, np.zeros_like(residuals[0])) if one.latent else next(heard) for one in given.inputs]
    return [point for point, _ in found], np.stack([residual for _, residual in found])


def with_given(sheet: Sheet, given: Given) -> Sheet:
    """Returns a sheet that begins with the first input's window and ends with the second's, where they are bars."""
    first, last = ([(b.note_sequence, "given: " + b.title) for b in given.bars if b.number == n] for n in (1, 2))
    rows = [*first, *zip(sheet.sequences, sheet.titles), *last]
    return sheet._replace(sequences=[sequence for sequence, _ in rows], titles=[title for _, title in rows])
