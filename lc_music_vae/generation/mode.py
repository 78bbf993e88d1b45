"""What every mode of generation has in common. A mode is one object in a module of its own, in `modes/`."""

import logging
from typing import Any, FrozenSet, List, NamedTuple, Optional, Sequence, Tuple

from lc_music_vae.errors import InputError
from lc_music_vae.generation.inputs import Given
from lc_music_vae.options import Request
from lc_music_vae.showing.outputs import Output

logger = logging.getLogger(__name__)

_FAR = 2.0  # see TrainedModel.distances
_DEFAULT_OUTPUTS = 8


class Sheet(NamedTuple):
    """What the picture of a run shows: sequences and their titles, in rows of so many."""

    sequences: Sequence[Any]
    titles: Sequence[str]
    columns: Optional[int] = None


class Mode:
    """A way to make music with a trained model.

    The modes here decode points of the small latent; `points` says which. One that does not overrides `make`.

    Attributes:
        name: As `--mode` takes it.
        text: What it makes, in a few words, for the help and the tables.
        num_inputs: How many inputs it is given.
        num_latents: How many points of the small latent it may be given, in place of inputs or beside them.
        whole_songs: Whether its inputs are songs as they are, not windows picked from them.
        min_outputs: The fewest outputs that make sense.
        options: What else it takes, by the names of flags.
    """

    name = ""
    text = ""
    num_inputs = 0
    num_latents = 0
    whole_songs = False
    min_outputs = 1
    options: FrozenSet[str] = frozenset(("num_outputs", "qpm", "program"))

    def takes(self) -> FrozenSet[str]:
        """Returns the flags that only some modes take, and this one does."""
        numbers = range(1, self.num_inputs + 1)
        names = ["input_midi_%d" % i for i in numbers]
        names += [] if self.whole_songs else ["input_bars_%d" % i for i in numbers]
        names += ["latent", "latent_2"][: self.num_latents]
        names += ["melody_track", "metre"] if self.num_inputs else []
        return self.options.union(names)

    def num_outputs(self, request: Request) -> int:
        """Returns how many outputs are asked for.

        Raises:
            InputError: Fewer than make sense.
        """
        number = self.default_outputs(request) if request.num_outputs is None else request.num_outputs
        if number < self.min_outputs:
            raise InputError("--num_outputs=%d must be %d or more in mode %s" % (number, self.min_outputs, self.name))
        return number

    def default_outputs(self, request: Request) -> int:
        """Returns how many outputs are made unless the request says it."""
        del request
        return _DEFAULT_OUTPUTS

    def points(
        self, model: Any, ends: Sequence[Any], *, num_outputs: int, request: Request, seed: int
    ) -> Tuple[Any, List[str]]:
        """Returns the points to decode, float [number of outputs, encoded_z_size], and what each output is called.

        Args:
            model: The `TrainedModel`.
            ends: The points of the inputs, in order.
            num_outputs: As `num_outputs` returned it.
            request: What was asked for.
            seed: Seed of what is drawn; the i-th point is a function of (seed, i).
        """
        raise TypeError("mode %s decodes no points" % self.name)

    def titles(self, titles: List[str], given: Given) -> List[str]:
        """Returns the titles of the outputs, their inputs named where a mode does so."""
        del given
        return titles

    def make(self, model: Any, given: Given, request: Request, *, temperature: float, seed: int) -> Sequence[Output]:
        """Generates.

        Args:
            model: The `TrainedModel`.
            given: The inputs, read.
            request: What was asked for.
            temperature: Of the decoder.
            seed: Of the points.
        """
        num_outputs = self.num_outputs(request)
        where, titles = self.points(model, _ends(model, given), num_outputs=num_outputs, request=request, seed=seed)
        sequences = model.decode(where, temperature)
        return [Output(*parts) for parts in zip(self.titles(titles, given), sequences, where)]

    def sheet(self, made: Sequence[Output], given: Given, *, pictured: Sequence[Any], num_outputs: int) -> Sheet:
        """Returns what the picture shows.

        Args:
            made: The outputs.
            given: The inputs.
            pictured: The windows that were given, as NoteSequences.
            num_outputs: As `num_outputs` returned it.
        """
        del given, pictured, num_outputs
        return Sheet([output.note_sequence for output in made], [output.title for output in made])

    def settings(self, request: Request) -> dict:
        """Returns what the index records of a run beside what it records of all."""
        del request
        return {}


def numbered(n: int) -> List[str]:
    """Returns the names of n outputs that have no other: 000, 001 ..."""
    return ["%03d" % i for i in range(n)]


def _ends(model: Any, given: Given) -> List[Any]:
    """Returns the inputs' points of the small latent; warns of those that it cannot hold."""
    for one in given.inputs:
        if one.latent and len(one.latent) != model.encoded_z_size:
            raise InputError(
                "%s: this model's latent has %d numbers, not %d" % (one.name, model.encoded_z_size, len(one.latent))
            )
    means: Sequence[Any] = []
    if given.windows:
        means, _ = model.encode_windows(given.windows)
        distances = model.distances(given.windows)
        for one, distance in zip(given.of_files(), [] if distances is None else distances):
            if distance > _FAR:
                logger.warning(
                    "--input_midi_%d=%s lies far from the songs that were trained on (%.1f times their own distance): "
                    "the small latent cannot hold it, and what comes out will be more like them than like it",
                    one.number,
                    one.path,
                    distance,
                )
    remaining = iter(means)
    return [one.latent or next(remaining) for one in given.inputs]
