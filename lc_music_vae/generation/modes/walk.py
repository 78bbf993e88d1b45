"""The mode that shows the effect of each dimension of the small latent."""

from lc_music_vae.generation.mode import Mode

_TURNED = 2.0  # how far a walk turns a knob either way, in standard deviations over the model's samples


class Walk(Mode):
    """Moves one dimension after another, while the others stay fixed."""

    name = "walk"
    text = "what each dimension of the small latent does"
    num_latents = 1
    min_outputs = 2
    options = Mode.options | {"along"}

    def points(self, model, ends, *, num_outputs, request, seed):
        """Returns a row of points for each dimension, around the given point or the songs' mean."""
        import numpy as np

        from lc_music_vae.models import points

        if request.along:
            values = np.linspace(-_TURNED, _TURNED, num_outputs)
            titles = ["%s: %+.2f" % (request.along, value) for value in values]
            return np.tile(ends[0] if ends else model.center, (num_outputs, 1)), titles
        way = points.walk(np.array(ends[0]) if ends else model.center, num_outputs, low=model.low, high=model.high)
        titles = ["knob %d: %.2f" % (i + 1, way[i, step, i]) for i in range(len(way)) for step in range(num_outputs)]
        return way.reshape(-1, model.encoded_z_size), titles

    def turn(self, model, num_outputs, request):
        """Returns what the knob of a walk along it adds at each step."""
        import numpy as np

        if not request.along:
            return super().turn(model, num_outputs, request)
        one = {request.along: 1.0}
        return np.outer(np.linspace(-_TURNED, _TURNED, num_outputs), model.knobs_for(one).shift(one))

    def settings(self, request):
        """Returns the knob that is turned, if one is."""
        return {"along": request.along} if request.along else {}

    def sheet(self, made, given, *, pictured, request):
        """Returns one row of the sheet for each dimension."""
        sheet = super().sheet(made, given, pictured=pictured, request=request)
        return sheet._replace(columns=self.num_outputs(request))
