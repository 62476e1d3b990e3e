// What differs between heads and batch rows besides their numbers: biases and slopes.
import { positionOf } from "../state/further.js";
import { leadingOf, placeOf } from "../state/slices.js";
import { indexWithin } from "../state/used_memory.js";

const MATRIX_RANK = 2;

const sizesOf = (nested) => (Array.isArray(nested) ? [nested.length, ...sizesOf(nested[0])] : []);

// The bias of the slice at `index`: a number or a matrix, as far as it has leading axes at all.
export function biasAt({ further }, index) {
  const { bias } = further;
  const leading = sizesOf(bias).slice(0, -MATRIX_RANK);
  return leading.length <= index.length ? indexWithin(leading, index).reduce((part, at) => part[at], bias) : bias;
}

// The encoding of positions with the slope of one head.
export function positionAt(state) {
  const position = positionOf(state);
  if (position?.name !== "alibi" || !state.heads) return position;
  const { heads } = leadingOf(state);
  const { head } = placeOf(state, state.batch);
  const slopes = position.slopes ?? defaultSlopes(heads);
  return { ...position, slopes: Array.isArray(slopes) ? (slopes.length === heads ? slopes[head] : slopes) : slopes };
}

// Press, Smith & Lewis 2022: 2^(-8h/n); for other numbers of heads than powers of two those of the next lower power, and
// every second of the next higher.
export function defaultSlopes(heads) {
  const power = 2 ** Math.floor(Math.log2(heads));
  const geometric = (count) => Array.from({ length: count }, (_, head) => 2 ** ((-8 * (head + 1)) / count));
  if (power === heads) return geometric(heads);
  const between = geometric(2 * power).filter((_, head) => head % 2 === 0);
  return [...geometric(power), ...between.slice(0, heads - power)];
}
