"""A whole song as the model hears it."""

from lc_music_vae.generation.mode import Mode, Sheet
from lc_music_vae.showing.outputs import Output


class Reconstruct(Mode):
    """Sends a song through the small VAE, window after window."""

    name = "reconstruct"
    text = "a whole song as the model hears it"
    num_inputs = 1
    whole_songs = True
    options = frozenset()  # a reconstruction is one song, and keeps its tempo and programs

    def num_outputs(self, request):
        """One song."""
        del request
        return 1

    def make(self, model, given, request, *, temperature, seed):
        """Returns the song."""
        song = model.reconstruct(given.songs[0].note_sequence, temperature)
        return [Output(given.inputs[0].name, song)]

    def sheet(self, made, given, *, pictured, num_outputs):
        """The tracks of the song that were read, above what became of them."""
        song, again = given.songs[0].note_sequence, made[0].note_sequence
        heard = {note.instrument for note in again.notes}
        original = type(again)(tempos=song.tempos)
        original.notes.extend(note for note in song.notes if note.instrument in heard)
        return Sheet([original, again], ["the song", "as the model hears it"], columns=1)
