"""The mode that reconstructs a whole song."""

from lc_music_vae.generation.mode import Mode, Sheet
from lc_music_vae.showing.outputs import Output


class Reconstruct(Mode):
    """Passes a song through the small VAE, one window after another."""

    name = "reconstruct"
    text = "a whole song as the model hears it"
    takes_controls = True
    num_inputs = 1
    whole_songs = True
    options = frozenset(("detail",))  # the output is one song, with the tempo and programs of the input

    def num_outputs(self, request):
        """Returns 1, as the output is one song."""
        del request
        return 1

    def make(self, model, given, request, *, temperature, seed):
        """Returns the reconstructed song."""
        song = model.reconstruct(given.songs[0].note_sequence, temperature, detail=request.detail or 0.0)
        return [Output(given.inputs[0].name, song)]

    def sheet(self, made, given, *, request):
        """Returns the song's tracks that were read, above their reconstruction."""
        song, again = given.songs[0].note_sequence, made[0].note_sequence
        heard = {note.instrument for note in again.notes}
        original = type(again)(tempos=song.tempos, time_signatures=song.time_signatures)
        original.notes.extend(note for note in song.notes if note.instrument in heard)
        title = "as the model hears it" + (", with %g of the detail" % request.detail if request.detail else "")
        return Sheet([original, again], ["the song", title], is_score=True)

    def settings(self, request):
        """Returns how much of the detail is kept."""
        return {"detail": request.detail or 0.0}
