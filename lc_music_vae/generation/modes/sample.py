"""The mode that makes new bars in the style of the songs."""

from lc_music_vae.generation.mode import Mode, numbered
from lc_music_vae.options import ALLOW
from lc_music_vae.showing.outputs import Output


class Sample(Mode):
    """Draws points from the prior of the small latent, or decodes one point several times."""

    name = "sample"
    text = "new bars in the songs' manner"
    num_latents = 1
    options = Mode.options | {"copies"}

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
            return super().make(model, given, request, temperature=temperature, seed=seed)
        music = model.sample(self.num_outputs(request), temperature, copies=request.copies)
        return [Output(*parts) for parts in zip(numbered(len(music)), music, music.latents)]

    def settings(self, request):
        """Returns whether copies of the songs were drawn again; at a given point they are not."""
        return {"copies": ALLOW if request.latent else request.copies}
