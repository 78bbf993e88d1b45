"""The mode that makes variations of given bars."""

from lc_music_vae.generation.mode import Mode, numbered, with_given

_SIMILARITY = 0.8


class Similar(Mode):
    """Draws points around the point of a window."""

    name = "similar"
    text = "variations of given bars"
    takes_controls = True
    num_inputs = 1
    num_latents = 1
    options = Mode.options | {"knobs", "similarity"}

    def points(self, model, ends, *, num_outputs, request, seed):
        """Returns points as near to the given point as requested."""
        import numpy as np

        from lc_music_vae.models import points

        where = points.similar(np.array(ends[0]), num_outputs, self._similarity(request), seed=seed)
        return where, numbered(num_outputs)

    def detail(self, num_outputs, request):
        """Returns the share that variations of this similarity keep."""
        import numpy as np

        from lc_music_vae.models import points

        return np.full([num_outputs, 1], points.kept(self._similarity(request)))

    def sheet(self, made, given, *, request):
        """Returns the given window followed by its variations."""
        sheet = super().sheet(made, given, request=request)
        return with_given(sheet, given)

    def settings(self, request):
        """Returns the similarity."""
        return {"similarity": self._similarity(request)}

    @staticmethod
    def _similarity(request) -> float:
        return _SIMILARITY if request.similarity is None else request.similarity
