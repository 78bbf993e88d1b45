"""The mode that shows the effect of each dimension of the small latent."""

from lc_music_vae.generation.mode import Mode


class Walk(Mode):
    """Moves one dimension after another, while the others stay fixed."""

    name = "walk"
    text = "what each dimension of the small latent does"
    num_latents = 1
    min_outputs = 2

    def points(self, model, ends, *, num_outputs, request, seed):
        """Returns a row of points for each dimension, around the given point or the songs' mean."""
        import numpy as np

        from lc_music_vae.models import points

        way = points.walk(np.array(ends[0]) if ends else model.center, num_outputs, low=model.low, high=model.high)
        titles = ["knob %d: %.2f" % (i + 1, way[i, step, i]) for i in range(len(way)) for step in range(num_outputs)]
        return way.reshape(-1, model.encoded_z_size), titles

    def sheet(self, made, given, *, request):
        """Returns one row of the sheet for each dimension."""
        sheet = super().sheet(made, given, request=request)
        return sheet._replace(columns=self.num_outputs(request))
