"""Write random models with recurrent layers, with Keras's results.

recurrent.py DIR SEED COUNT

Each folder DIR/N gets model.keras and model.h5, and input_I.npy and output_I.npy.
"""
import os, sys
os.environ['CUDA_VISIBLE_DEVICES'] = ''
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'
import numpy as np
try:
    import keras
except ImportError:
    from tensorflow import keras

out, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
L = keras.layers
FUNCTIONS = ['tanh', 'relu', 'sigmoid', 'softsign', 'elu', 'linear', None]
GATES = ['sigmoid', 'hard_sigmoid']


def options(r, kind, units):
    o = dict(units=units, activation=r.choice(FUNCTIONS), use_bias=bool(r.integers(4)), bias_initializer='random_normal', unroll=bool(r.integers(2)))
    if r.integers(2):
        o['activation'] = 'tanh'
    if kind is not L.SimpleRNN:
        o['recurrent_activation'] = str(r.choice(GATES))
    if kind is L.GRU:
        o['reset_after'] = bool(r.integers(2))
    return o


def layer(r, x, last):
    """One recurrent layer on x, and its outputs: a sequence unless it is the last one."""
    kind = [L.SimpleRNN, L.GRU, L.LSTM][r.integers(3)]
    units = int(r.choice([1, 5, 16, 20]))
    sequences = not last or bool(r.integers(2))
    state = bool(r.integers(3) == 0)
    o = options(r, kind, units) | dict(return_sequences=sequences, return_state=state)
    if r.integers(2):
        mode = ['concat', 'sum', 'mul', 'ave', None][r.integers(5 if last else 4)]
        y = L.Bidirectional(kind(**o), merge_mode=mode)(x)
    else:
        y = kind(**o, go_backwards=bool(r.integers(3) == 0))(x)
    y = list(y) if isinstance(y, (list, tuple)) else [y]
    return y[0], y[1:]


def nested(r, shape):
    """A submodel with a recurrent layer."""
    i = keras.Input(shape)
    return keras.Model(i, layer(r, i, False)[0])


for n in range(count):
    r = np.random.default_rng([seed, n])
    keras.utils.set_random_seed(int(r.integers(1 << 30)))
    steps, features = int(r.integers(1, 7)), int(r.integers(1, 6))
    inputs, outputs = [keras.Input((steps, features))], []
    x = inputs[0]
    if r.integers(4) == 0:
        x = nested(r, x.shape[1:])(x)
    for last in [False] * int(r.integers(2)) + [True]:
        x, states = layer(r, x, last)
        outputs += states
    if len(x.shape) == 3 and r.integers(2):
        x = L.TimeDistributed(L.Dense(3))(x)
    outputs.append(x)
    if r.integers(3) == 0:  # states as inputs
        kind = [L.SimpleRNN, L.GRU, L.LSTM][r.integers(3)]
        given = [keras.Input((4,)) for _ in range(2 if kind is L.LSTM else 1)]
        inputs += given
        y = kind(4, return_state=True)(inputs[0], initial_state=given)
        outputs += y
    model = keras.Model(inputs, outputs)
    folder = os.path.join(out, str(n))
    os.makedirs(folder)
    model.save(os.path.join(folder, 'model.keras'))
    model.save(os.path.join(folder, 'model.h5'))
    values = [r.standard_normal((1 + n % 3,) + tuple(i.shape[1:])).astype('float32') for i in inputs]
    y = model(values, training=False)
    for i, v in enumerate(values):
        np.save(os.path.join(folder, f'input_{i}.npy'), v)
    for i, v in enumerate(y if isinstance(y, (list, tuple)) else [y]):
        np.save(os.path.join(folder, f'output_{i}.npy'), np.asarray(v))
print('Keras', keras.__version__)
