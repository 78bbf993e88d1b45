"""MusicVAE's small models of two bars as graphs that train fast on a CPU, under magenta's variable names.

magenta's own graph steps through `dynamic_rnn` and `dynamic_decode`. Here the 32 steps are written out, what does not
depend on the step before is one matrix product for all steps, and the products may be in bfloat16, which processors
with AMX do four times as fast; variables, gates and sums stay in float32. tests/test_base_model_recipe.py holds its
posterior and its loss against magenta's own model.
"""

from typing import Callable, Dict, List, NamedTuple, Tuple

import numpy as np
import tensorflow.compat.v1 as tf

STEPS = 32
Z_SIZE = 256
ENCODER_UNITS = 512
DECODER_UNITS = 256
_FORGET_BIAS = 1.0  # of magenta's LSTMBlockCell
_ENCODER = "encoder/cell_0/bidirectional_rnn/%s/multi_rnn_cell/cell_0/lstm_cell"
_DECODER = "decoder/multi_rnn_cell/cell_%d/lstm_cell"


class Network(NamedTuple):
    """Tensors of the graph.

    Attributes:
        mean: Mean of q(z|x), float32 [batch, Z_SIZE].
        scale: Its scale.
        logits: Of the events, float32 [batch, STEPS, classes].
        cross_entropy: Of each window's events, summed over its steps, in nats, float32 [batch].
        kl: KL(q(z|x) || N(0, I)) in nats, float32 [batch].
    """

    mean: tf.Tensor
    scale: tf.Tensor
    logits: tf.Tensor
    cross_entropy: tf.Tensor
    kl: tf.Tensor


def shapes(of_class: np.ndarray) -> Dict[str, List[int]]:
    """Returns the shape of each trained variable by magenta's name for it; `of_class` is a model's."""
    depth, input_depth = of_class.shape
    found = {}
    for direction in ("fw", "bw"):
        found[_ENCODER % direction + "/kernel"] = [input_depth + ENCODER_UNITS, 4 * ENCODER_UNITS]
        found[_ENCODER % direction + "/bias"] = [4 * ENCODER_UNITS]
    for name in ("encoder/mu", "encoder/sigma"):
        found[name + "/kernel"], found[name + "/bias"] = [2 * ENCODER_UNITS, Z_SIZE], [Z_SIZE]
    found["decoder/z_to_initial_state/kernel"] = [Z_SIZE, 4 * DECODER_UNITS]
    found["decoder/z_to_initial_state/bias"] = [4 * DECODER_UNITS]
    for layer, inputs in enumerate((depth + Z_SIZE, DECODER_UNITS)):
        found[_DECODER % layer + "/kernel"] = [inputs + DECODER_UNITS, 4 * DECODER_UNITS]
        found[_DECODER % layer + "/bias"] = [4 * DECODER_UNITS]
    found["decoder/output_projection/kernel"] = [DECODER_UNITS, depth]
    found["decoder/output_projection/bias"] = [depth]
    return found


def begun(name: str, fresh: np.ndarray, given: np.ndarray) -> np.ndarray:
    """Returns what a variable starts from, where a checkpoint of this model or of another one is given.

    Of another model's kernels and biases those are taken whole that have this one's shape. Of kernels that hear events,
    in their first rows, the other rows are: those of z and of the hidden state. What speaks of events starts fresh.
    """
    if given.shape == fresh.shape:
        return given
    shared = {_ENCODER % "fw": ENCODER_UNITS, _ENCODER % "bw": ENCODER_UNITS, _DECODER % 0: Z_SIZE + DECODER_UNITS}
    rows = shared.get(name[: -len("/kernel")], 0)
    return np.concatenate([fresh[:-rows], given[-rows:]]) if rows else fresh


def variables(of_class: np.ndarray, seed: int) -> Dict[str, tf.Variable]:
    """Makes the trained variables, initialised as magenta's are: small for posterior and initial state, else Glorot."""
    made = {}
    for i, (name, shape) in enumerate(sorted(shapes(of_class).items())):
        if name.endswith("bias"):
            initializer = tf.zeros_initializer()
        elif name.startswith(("encoder/mu", "encoder/sigma", "decoder/z_to_initial_state")):
            initializer = tf.random_normal_initializer(stddev=0.001, seed=seed + i)
        else:
            initializer = tf.glorot_uniform_initializer(seed=seed + i)
        made[name] = tf.get_variable(name, shape, initializer=initializer, use_resource=True)
    return made


def build(
    trained: Dict[str, tf.Variable],
    of_class: np.ndarray,
    events: tf.Tensor,
    *,
    inputs: tf.Tensor,
    noise: tf.Tensor,
    products: tf.DType,
) -> Network:
    """Builds encoder, decoder with teacher forcing, and loss.

    Args:
        trained: What `variables` made.
        of_class: What the encoder hears of each class of event, [classes, input depth], of ones and zeros.
        events: The windows, int32 [batch, STEPS]; a window's own length is always STEPS.
        inputs: What the decoder hears as the step before, int32 [batch, STEPS]; -1 is silence, as at the first step.
        noise: Standard normal, float32 [batch, Z_SIZE]; z = mean + scale * noise.
        products: tf.float32, or tf.bfloat16 for products in half the bits.
    """

    def dot(a: tf.Tensor, b: tf.Tensor) -> tf.Tensor:
        return tf.matmul(tf.cast(a, products), tf.cast(b, products))

    def dense(a: tf.Tensor, name: str) -> tf.Tensor:
        return tf.cast(dot(a, trained[name + "/kernel"]), tf.float32) + trained[name + "/bias"]

    def over_steps(steps: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
        """Multiplies [STEPS, batch, n] by [n, m]."""
        flat = dot(tf.reshape(steps, [-1, steps.shape[-1]]), kernel)
        return tf.reshape(flat, [STEPS, -1, kernel.shape[-1]])

    lstm = recurrent(products)
    batch = tf.shape(events)[0]
    depth, input_depth = of_class.shape
    of_events = tf.cast(tf.gather(tf.constant(of_class, tf.float32), tf.transpose(events)), products)
    last = []
    for direction in ("fw", "bw"):
        of_input, of_hidden = tf.split(trained[_ENCODER % direction + "/kernel"], [input_depth, ENCODER_UNITS])
        bias = tf.zeros([batch, 1]) + trained[_ENCODER % direction + "/bias"]
        heard = of_events if direction == "fw" else of_events[::-1]
        zeros = tf.zeros([batch, ENCODER_UNITS])
        last.append(lstm(over_steps(heard, of_input), bias, of_hidden, zeros, tf.cast(zeros, products))[-1])
    encoded = tf.concat(last, 1)
    mean = dense(encoded, "encoder/mu")
    scale = tf.nn.softplus(dense(encoded, "encoder/sigma"))
    z = mean + scale * noise

    states = tf.split(tf.tanh(dense(z, "decoder/z_to_initial_state")), 4, axis=1)  # cell and hidden of each layer
    heard = tf.one_hot(tf.transpose(inputs), depth, dtype=products)
    of_event, of_z, of_hidden = tf.split(trained[_DECODER % 0 + "/kernel"], [depth, Z_SIZE, DECODER_UNITS])
    added = tf.cast(dot(z, of_z), tf.float32) + trained[_DECODER % 0 + "/bias"]
    outputs = lstm(over_steps(heard, of_event), added, of_hidden, states[0], tf.cast(states[1], products))
    of_input, of_hidden = tf.split(trained[_DECODER % 1 + "/kernel"], [DECODER_UNITS, DECODER_UNITS])
    bias = tf.zeros([batch, 1]) + trained[_DECODER % 1 + "/bias"]
    outputs = lstm(over_steps(outputs, of_input), bias, of_hidden, states[2], tf.cast(states[3], products))
    logits = over_steps(outputs, trained["decoder/output_projection/kernel"])
    logits = tf.transpose(tf.cast(logits, tf.float32), [1, 0, 2]) + trained["decoder/output_projection/bias"]

    cross_entropy = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=events, logits=logits)
    kl = 0.5 * tf.square(mean) + 0.5 * tf.square(scale) - 0.5 - tf.log(scale)
    return Network(mean, scale, logits, tf.reduce_sum(cross_entropy, 1), tf.reduce_sum(kl, 1))


def _gates(of_input, of_hidden, added, cell) -> Tuple[tf.Tensor, ...]:
    """Returns the gates, the new cell and the new hidden state; gates and state in the inputs' bits."""
    before = tf.cast(of_input, tf.float32) + tf.cast(of_hidden, tf.float32) + added
    i, c, f, o = tf.split(before, 4, axis=1)  # the order of LSTMBlockCell
    i, c, f, o = tf.sigmoid(i), tf.tanh(c), tf.sigmoid(f + _FORGET_BIAS), tf.sigmoid(o)
    cell = f * cell + i * c
    return tf.cast(tf.concat([i, c, f, o], 1), of_input.dtype), cell, tf.cast(o * tf.tanh(cell), of_input.dtype)


def _gates_gradient(gates, cell_before, cell, d_output, d_hidden, d_cell, d_added) -> Tuple[tf.Tensor, ...]:
    """Returns the gradients of what goes into the gates, of the cell before, and of what was added so far."""
    i, c, f, o = tf.split(tf.cast(gates, tf.float32), 4, axis=1)
    d_hidden = tf.cast(d_output, tf.float32) + tf.cast(d_hidden, tf.float32)
    squashed = tf.tanh(cell)
    d_cell += d_hidden * o * (1 - squashed * squashed)
    parts = d_cell * c * i * (1 - i), d_cell * i * (1 - c * c), d_cell * cell_before * f * (1 - f)
    d_before = tf.concat([*parts, d_hidden * squashed * o * (1 - o)], 1)
    return tf.cast(d_before, gates.dtype), d_cell * f, d_added + d_before


def _compiled(function: Callable) -> Callable:
    """Has XLA fuse a function's many small steps; TensorFlow 1.15 cannot."""
    return function if tf.__version__.startswith("1.") else tf.function(function, jit_compile=True)


def recurrent(products: tf.DType) -> Callable:
    """Returns an LSTM over STEPS steps with a gradient that needs one product for the kernel, not one a step."""
    gates_of, gradient_of = _compiled(_gates), _compiled(_gates_gradient)

    @tf.custom_gradient
    def lstm(of_inputs: tf.Tensor, added: tf.Tensor, kernel: tf.Tensor, cell: tf.Tensor, hidden: tf.Tensor):
        """Returns the hidden states, [STEPS, batch, units].

        Args:
            of_inputs: Each step's inputs times their kernel, [STEPS, batch, 4 units].
            added: What is added at each step, float32 [batch, 4 units].
            kernel: Of the hidden state, float32 [units, 4 units].
            cell: At the start, float32 [batch, units].
            hidden: At the start, [batch, units].
        """
        kernel = tf.cast(kernel, products)
        cells, hiddens, kept = [cell], [hidden], []
        for of_input in tf.unstack(of_inputs, num=STEPS):
            gates, cell, hidden = gates_of(of_input, tf.matmul(hiddens[-1], kernel), added, cells[-1])
            cells.append(cell)
            hiddens.append(hidden)
            kept.append(gates)

        def gradient(d_outputs: tf.Tensor):
            d_cell, d_hidden, d_added = tf.zeros_like(cells[0]), tf.zeros_like(hiddens[0]), tf.zeros_like(added)
            d_inputs = []
            d_each = tf.unstack(d_outputs, num=STEPS)
            for step in reversed(range(STEPS)):
                d_before, d_cell, d_added = gradient_of(
                    kept[step], cells[step], cells[step + 1], d_each[step], d_hidden, d_cell, d_added
                )
                d_hidden = tf.matmul(d_before, kernel, transpose_b=True)
                d_inputs.insert(0, d_before)
            units = kernel.shape[0]
            heard = tf.reshape(tf.stack(hiddens[:-1]), [-1, units])
            d_stacked = tf.stack(d_inputs)
            d_kernel = tf.matmul(heard, tf.reshape(d_stacked, [-1, 4 * units]), transpose_a=True)
            return d_stacked, d_added, tf.cast(d_kernel, tf.float32), d_cell, d_hidden

        return tf.stack(hiddens[1:]), gradient

    return lstm
