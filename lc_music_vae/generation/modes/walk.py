"""The mode that shows the effect of each dimension of the small latent."""

import logging
from typing import Any, List, Optional

from lc_music_vae.errors import InputError
from lc_music_vae.generation.mode import Mode

logger = logging.getLogger(__name__)

_TURNED = 2.0  # how far a walk turns a knob either way, in standard deviations over the model's samples


class Walk(Mode):
    """Moves one dimension after another, while the others stay fixed."""

    name = "walk"
    text = "what each dimension of the small latent does"
    takes_controls = True
    num_latents = 1
    min_outputs = 2
    options = Mode.options | {"dimensions", "along"}

    def points(self, model, ends, *, num_outputs, request, seed):
        """Returns a row of points for each dimension, around the given point or the songs' mean."""
        import numpy as np

        from lc_music_vae.models import points

        size = model.encoded_z_size
        center = np.array(ends[0]) if ends else model.center
        if request.along:
            if request.dimensions:
                raise InputError("give either --along or --dimensions")
            titles = ["%s: %+.2f" % (request.along, value) for value in _values(num_outputs)]
            return np.tile(center, (num_outputs, 1)), titles
        chosen = _dimensions(request.dimensions, size)
        if chosen is None:
            chosen = points.moving(model.effects()) or list(range(size))
            _say_left_out(sorted(set(range(size)) - set(chosen)))
        way = points.walk(center, num_outputs, low=model.low, high=model.high, dimensions=chosen)
        titles = ["knob %d: %.2f" % (i + 1, point[i]) for i, row in zip(chosen, way) for point in row]
        return way.reshape(-1, size), titles

    def turn(self, model, num_outputs, request):
        """Returns what the knob of a walk along it adds at each step."""
        import numpy as np

        if not request.along:
            return None
        one = {request.along: 1.0}
        return np.outer(_values(num_outputs), model.knobs_for(one).shift(one))

    def settings(self, request):
        """Returns the knob that is turned, if one is."""
        return {"along": request.along} if request.along else {}

    def sheet(self, made, given, *, request):
        """Returns one row of the sheet for each dimension."""
        sheet = super().sheet(made, given, request=request)
        return sheet._replace(columns=self.num_outputs(request))


def _values(num_outputs: int) -> Any:
    """Returns the values of a knob at the steps of a walk along it."""
    import numpy as np

    return np.linspace(-_TURNED, _TURNED, num_outputs)


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
