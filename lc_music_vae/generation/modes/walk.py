"""The mode that shows the effect of each dimension of the small latent."""

import logging
from typing import List, Optional

from lc_music_vae.errors import InputError
from lc_music_vae.generation.mode import Mode

logger = logging.getLogger(__name__)


class Walk(Mode):
    """Moves one dimension after another, while the others stay fixed."""

    name = "walk"
    text = "what each dimension of the small latent does"
    num_latents = 1
    min_outputs = 2
    options = Mode.options | {"dimensions"}

    def points(self, model, ends, *, num_outputs, request, seed):
        """Returns a row of points for each dimension, around the given point or the songs' mean."""
        import numpy as np

        from lc_music_vae.models import points

        size = model.encoded_z_size
        chosen = _dimensions(request.dimensions, size)
        if chosen is None:
            chosen = points.moving(model.effects()) or list(range(size))
            _say_left_out(sorted(set(range(size)) - set(chosen)))
        center = np.array(ends[0]) if ends else model.center
        way = points.walk(center, num_outputs, low=model.low, high=model.high, dimensions=chosen)
        titles = ["knob %d: %.2f" % (i + 1, point[i]) for i, row in zip(chosen, way) for point in row]
        return way.reshape(-1, size), titles

    def sheet(self, made, given, *, request):
        """Returns one row of the sheet for each dimension."""
        sheet = super().sheet(made, given, request=request)
        return sheet._replace(columns=self.num_outputs(request))


def _dimensions(text: Optional[str], size: int) -> Optional[List[int]]:
    """Returns the dimensions, from 0, in the value of `--dimensions`; None if none are given."""
    if text is None:
        return None
    if text == "all":
        return list(range(size))
    numbers = text.split(",")
    if not all(number.isdecimal() and 1 <= int(number) <= size for number in numbers):
        raise InputError("--dimensions=%s: expected all, or numbers from 1 to %d, such as 2,1" % (text, size))
    return [int(number) - 1 for number in numbers]


def _say_left_out(dimensions: List[int]) -> None:
    if dimensions:
        numbers = ", ".join(str(i + 1) for i in dimensions)
        logger.info("left out, as they change hardly anything: knobs %s; --dimensions=all shows them", numbers)
