// A file that cannot be used: its text names the expected and the received part, and how to mend it.
export class FileProblem extends Error {
  constructor(key, values = {}) {
    super(key);
    this.key = key;
    this.values = values;
  }
}

export function require(condition, key, values) {
  if (!condition) throw new FileProblem(key, values);
}

export const MAX_BYTES = 64 * 2 ** 20;

export const shapeText = (shape) => `(${shape.join(", ")})`;
