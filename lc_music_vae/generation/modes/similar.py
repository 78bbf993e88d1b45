"""The mode that makes variations of given bars."""

from lc_music_vae.errors import InputError
from lc_music_vae.generation.mode import Mode, numbered, with_given
from lc_music_vae.showing.outputs import Output

_SIMILARITY = 0.8


class Similar(Mode):
    """Draws points around the point of a window."""

    name = "similar"
    text = "variations of given bars"
    takes_controls = True
    num_inputs = 1
    num_latents = 1
    options = Mode.options | {"knobs", "similarity", "num_bars"}

    def takes_windows(self, request):
        """Returns whether it varies a window: with `--num_bars`, it varies a whole tune."""
        return request.num_bars is None

    def make(self, model, given, request, *, temperature, seed):
        """Returns variations of a window, or of the first bars of a tune."""
        if request.num_bars is None:
            return super().make(model, given, request, temperature=temperature, seed=seed)
        number, similarity = self.num_outputs(request), self._similarity(request)
        made = model.vary(given.songs[0], request.num_bars, number, similarity=similarity, temperature=temperature)
        return [Output(title, sequence) for title, sequence in zip(numbered(number), made)]

    def num_outputs(self, request):
        """Returns the requested number of variations; checks what goes with those of a whole tune."""
        for name in ("latent", "knobs", "input_bars_1") if request.num_bars is not None else ():
            if getattr(request, name):
                raise InputError("--num_bars varies a whole tune; leave out --%s=%s" % (name, getattr(request, name)))
        return super().num_outputs(request)

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
        """Returns the given window followed by its variations; of a tune, each on a line of its own."""
        sheet = super().sheet(made, given, request=request)
        return with_given(sheet if request.num_bars is None else sheet._replace(columns=1), given)

    def settings(self, request):
        """Returns the similarity, and the number of bars if a whole tune is varied."""
        whole = {} if request.num_bars is None else {"num_bars": request.num_bars}
        return {"similarity": self._similarity(request), **whole}

    @staticmethod
    def _similarity(request) -> float:
        return _SIMILARITY if request.similarity is None else request.similarity
