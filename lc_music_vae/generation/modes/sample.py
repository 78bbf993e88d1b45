"""The mode that makes new bars in the style of the songs."""

from lc_music_vae.generation.mode import Mode, numbered


class Sample(Mode):
    """Draws points from the prior of the small latent, or decodes one point several times."""

    name = "sample"
    text = "new bars in the songs' manner"
    num_latents = 1

    def default_outputs(self, request):
        """Returns 1 if a point is given, as it would be the same point each time."""
        return 1 if request.latent else super().default_outputs(request)

    def points(self, model, ends, *, num_outputs, request, seed):
        """Returns the given point, or points drawn from N(0, I)."""
        import numpy as np

        from lc_music_vae.models import points

        if ends:
            return np.repeat([ends[0]], num_outputs, 0), numbered(num_outputs)
        return points.prior_samples(num_outputs, model.encoded_z_size, seed), numbered(num_outputs)
