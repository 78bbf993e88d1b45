"""The mode that makes new bars in the style of the songs."""

from lc_music_vae.errors import InputError
from lc_music_vae.generation.inputs import parse_knobs
from lc_music_vae.generation.mode import Mode, numbered
from lc_music_vae.options import ALLOW, FREEDOM
from lc_music_vae.showing.outputs import Output


class Sample(Mode):
    """Draws points from the prior of the small latent, or decodes one point several times."""

    name = "sample"
    text = "new bars in the songs' manner"
    takes_controls = True
    num_latents = 1
    options = Mode.options | {"copies", "freedom", "knobs"}

    def default_outputs(self, request):
        """Returns 1 if a point is given, as it would be the same point each time."""
        return 1 if request.latent else super().default_outputs(request)

    def points(self, model, ends, *, num_outputs, request, seed):
        """Returns the given point, once for each output."""
        import numpy as np

        return np.repeat([ends[0]], num_outputs, 0), numbered(num_outputs)

    def make(self, model, given, request, *, temperature, seed):
        """Returns what is decoded from the given point, or samples of the model."""
        if given.inputs:
            if request.freedom is not None:
                raise InputError("--freedom=%g: what is made at --latent does not lean; leave it out" % request.freedom)
            return super().make(model, given, request, temperature=temperature, seed=seed)
        knobs = parse_knobs(request.knobs) if request.knobs else None
        n, how = self.num_outputs(request), {"copies": request.copies, "freedom": request.freedom, "knobs": knobs}
        music = model.sample(n, temperature, **how)
        parts = zip(numbered(len(music)), music, music.latents)
        return [Output(*part, is_turned=bool(knobs)) for part in parts]

    def settings(self, request):
        """Returns whether copies of the songs were drawn again, and how far samples lean; not at a given point."""
        if request.latent:
            return {"copies": ALLOW}
        return {"copies": request.copies, "freedom": FREEDOM if request.freedom is None else request.freedom}
