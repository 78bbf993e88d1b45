"""The mode that interpolates between two windows."""

from lc_music_vae.generation.mode import Mode, numbered, with_given


class Interpolate(Mode):
    """Goes from one window to another, including both ends."""

    name = "interpolate"
    text = "the way between two bars"
    num_inputs = 2
    num_latents = 2
    min_outputs = 2

    def points(self, model, ends, *, num_outputs, request, seed):
        """Returns points on the great circle between the two ends."""
        import numpy as np

        from lc_music_vae.models import points

        return points.slerp(np.array(ends[0]), np.array(ends[1]), num_outputs), numbered(num_outputs)

    def titles(self, titles, given):
        """Returns the titles; the first and the last also name the inputs."""
        start, end = given.inputs
        first, last = titles[0] + ": start, " + start.name, titles[-1] + ": end, " + end.name
        return [first, *titles[1:-1], last]

    def residual(self, residuals, *, num_outputs, request):
        """Returns a straight line from what the small latent leaves out of the one end to that of the other."""
        import numpy as np

        from lc_music_vae.models import points

        start, end = np.broadcast_arrays(*map(np.atleast_1d, residuals))
        return points.between(start, end, num_outputs)

    def sheet(self, made, given, *, pictured, request):
        """Returns the interpolation between the two given windows."""
        sheet = super().sheet(made, given, pictured=pictured, request=request)
        return with_given(sheet, pictured, given)
