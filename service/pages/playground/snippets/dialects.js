// How NumPy, PyTorch and Keras spell the same operation; all else in the snippets is written once.
//
// In templates `xp.` stands for the namespace, and axis= and keepdims= are spelt as NumPy spells them.
const SUBSTITUTES = [/\bxp\./g, /\baxis=/g, /\bkeepdims=/g];

const spelling =
  (...words) =>
  (text) =>
    SUBSTITUTES.reduce((spelt, pattern, index) => spelt.replace(pattern, words[index]), text);

// `array` makes a tensor of a literal, `toNumpy` and `fromNumpy` are needed where a formula is evaluated pair by pair.
export const numpy = {
  imports: ["import numpy as np"],
  setup: [],
  spell: spelling("np.", "axis=", "keepdims="),
  array: (text, dtype = "float64") => `np.array(${text}, dtype=${dtype === "bool" ? "bool" : `np.${dtype}`})`,
  transpose: (x) => `${x}.T`,
  atLeast: (x, least) => `np.maximum(${x}, ${least})`,
  cumsum: (x) => `np.cumsum(${x}, axis=-1)`,
  descending: (x) => `-np.sort(-${x}, axis=-1)`,
  sigmoid: (x) => `np.exp(-np.logaddexp(0.0, -(${x})))`,
  arange: (start, stop) => `np.arange(${start}, ${stop})`,
  toNumpy: (x) => x,
  fromNumpy: (x) => x,
};

export const pytorch = {
  imports: ["import torch"],
  setup: ["torch.set_default_dtype(torch.float64)"],
  spell: spelling("torch.", "dim=", "keepdim="),
  array: (text, dtype = "float64") => `torch.tensor(${text}, dtype=torch.${dtype})`,
  transpose: (x) => `${x}.T`,
  atLeast: (x, least) => `torch.clamp(${x}, min=${least})`,
  cumsum: (x) => `torch.cumsum(${x}, dim=-1)`,
  descending: (x) => `torch.sort(${x}, dim=-1, descending=True).values`,
  sigmoid: (x) => `torch.sigmoid(${x})`,
  softmax: (x) => `torch.softmax(${x}, dim=-1)`,
  arange: (start, stop) => `torch.arange(${start}, ${stop})`,
  toNumpy: (x) => `${x}.numpy()`,
  fromNumpy: (x) => `torch.tensor(${x})`,
};

export const keras = {
  imports: ["import os", "", 'os.environ.setdefault("JAX_ENABLE_X64", "1")', "import keras", "from keras import ops"],
  setup: ['keras.config.set_floatx("float64")'],
  spell: spelling("ops.", "axis=", "keepdims="),
  array: (text, dtype = "float64") => `ops.convert_to_tensor(${text}, dtype="${dtype}")`,
  transpose: (x) => `ops.transpose(${x})`,
  // ops.maximum makes float32 of float64 beside a number, and so does ops.cumsum with some backends.
  atLeast: (x, least) => `ops.where(${x} > ${least}, ${x}, ${least})`,
  cumsum: (x) => `ops.cumsum(${x}, axis=-1, dtype="float64")`,
  descending: (x) => `-ops.sort(-${x}, axis=-1)`,
  // With JAX, ops.tanh makes float32 of float64.
  tanh: (x) => `2 * ops.sigmoid(2 * ${x}) - 1`,
  sigmoid: (x) => `ops.sigmoid(${x})`,
  softmax: (x) => `ops.softmax(${x}, axis=-1)`,
  arange: (start, stop) => `ops.arange(${start}, ${stop})`,
  toNumpy: (x) => `ops.convert_to_numpy(${x})`,
  fromNumpy: (x) => `ops.convert_to_tensor(${x}, dtype="float64")`,
};
