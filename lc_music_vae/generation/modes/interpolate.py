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

    def detail(self, num_outputs, request):
        """Returns shares that go over from the one end to the other on a straight line."""
        import numpy as np

        from lc_music_vae.models import points

        start, end = np.eye(2)
        return points.between(start, end, num_outputs)

    def sheet(self, made, given, *, request):
        """Returns the interpolation between the two given windows."""
        sheet = super().sheet(made, given, request=request)
        return with_given(sheet, given)
