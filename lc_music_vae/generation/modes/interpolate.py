"""The mode that interpolates between two windows."""

from lc_music_vae.generation.mode import Mode, ends, numbered, with_given
from lc_music_vae.showing.outputs import Output


class Interpolate(Mode):
    """Goes from one window to another, including both ends."""

    name = "interpolate"
    text = "the way between two bars"
    takes_controls = True
    num_inputs = 2
    num_latents = 2
    min_outputs = 2

    def make(self, model, given, request, *, temperature, seed):
        """Returns music on the way between the two ends; each step keeps detail of the one or the other or both."""
        num_outputs = self.num_outputs(request)
        where, residuals = ends(model, given)
        music, along = model.between(where, residuals, num_outputs, temperature=temperature)
        start, end = given.inputs
        first, *others, last = numbered(num_outputs)
        titles = [first + ": start, " + start.name, *others, last + ": end, " + end.name]
        made = [Output(*parts) for parts in zip(titles, music, music.latents)]
        if residuals is None:
            return made
        return [output._replace(detail=(1 - t, t)) for output, t in zip(made, along.tolist())]

    def sheet(self, made, given, *, request):
        """Returns the interpolation between the two given windows."""
        sheet = super().sheet(made, given, request=request)
        return with_given(sheet, given)
