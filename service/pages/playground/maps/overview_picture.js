// A large matrix made small: blocks of cells as their maximum or mean, in slices that leave the page responsive.
import { hatchOf, pixelsOf } from "./raster.js";

const SLICE_MILLISECONDS = 12;

const HATCH_PERIOD = 6;

export const DECADES = { weights: 6, scores: 3 };

// Lets input and painting in between.
const pause = () => new Promise((resolve) => setTimeout(resolve));

// Calls `step` for rows 0 to `count`, and gives way in between; ends early once `isStale` says so.
export async function inSlices(count, isStale, step) {
  let until = performance.now() + SLICE_MILLISECONDS;
  for (let row = 0; row < count; row += 1) {
    step(row);
    if (performance.now() < until) continue;
    await pause();
    if (isStale()) return false;
    until = performance.now() + SLICE_MILLISECONDS;
  }
  return true;
}

// Sums up rows and columns of a matrix as it arrives.  Returns null when it has become stale.
export async function marginalsOf(matrix, isStale) {
  const { rows, columns, values } = matrix;
  const [rowLargest, columnSums] = [new Float32Array(rows), new Float64Array(columns)];
  let largest = 0;
  const isWhole = await inSlices(rows, isStale, (row) => {
    let most = -Infinity;
    const start = row * columns;
    for (let column = 0; column < columns; column += 1) {
      const value = values[start + column];
      if (value > most) most = value;
      if (value === value) columnSums[column] += value;
      const size = value < 0 ? -value : value;
      if (size > largest && size < Infinity) largest = size;
    }
    rowLargest[row] = most;
  });
  return isWhole ? { rowLargest, columnSums, largest: largest || 1 } : null;
}

// Blocks of `block` × `block` cells.  Of scores the maximum is that of |score|, with its sign; `rowScale` divides a row.
export async function reduced({ rows, columns, values }, { block, how, rowScale }, isStale) {
  const [height, width] = [Math.ceil(rows / block), Math.ceil(columns / block)];
  const result = new Float32Array(height * width);
  const isWhole = await inSlices(rows, isStale, (row) => {
    const target = Math.floor(row / block) * width;
    const scale = rowScale ? 1 / (Math.abs(rowScale[row]) || 1) : 1;
    const rowsInBlock = Math.min(block, rows - row + (row % block));
    let column = row * columns;
    for (let x = 0; x < width; x += 1) {
      const end = Math.min(column + block, (row + 1) * columns);
      const share = scale / (rowsInBlock * (end - column));
      let most = result[target + x];
      for (; column < end; column += 1) {
        const value = values[column];
        if (how === "mean") most += value * share;
        else if (Math.abs(value * scale) > Math.abs(most)) most = value * scale;
      }
      result[target + x] = most;
    }
  });
  return isWhole ? { height, width, block, values: result } : null;
}

// From a number to its share of the colours.
export function shareBy(scale, stage, largest) {
  if (scale === "row") return (value) => value;
  if (scale === "linear") return (value) => value / largest;
  const decades = DECADES[stage];
  return (value) => Math.sign(value) * Math.max(0, 1 + Math.log10(Math.abs(value) / largest) / decades);
}

// Draws blocks, one pixel of the canvas each; a block without a visible cell is hatched.
export function drawBlocks(canvas, blocks, { stage, scale, largest, mask, theme }) {
  const { height, width, block, values } = blocks;
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const pixel = pixelsOf(stage === "weights" ? "sequential" : "diverging", theme);
  const share = shareBy(scale, stage, largest);
  const { line, surface } = hatchOf(theme);
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = y * width + x;
      const isHatched = (x + y) % HATCH_PERIOD < 2;
      pixels[at] = isAnyVisible(mask, y * block, x * block, block)
        ? pixel(share(values[at]))
        : isHatched
          ? line
          : surface;
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// The last query of a block sees the most keys to the right, the first the most to the left.
function isAnyVisible(mask, row, column, block) {
  if (mask.kind === "none") return true;
  const [lastRow, lastColumn] = [row + block - 1, column + block - 1];
  return column <= lastRow && (mask.kind === "causal" || lastColumn >= row - mask.left);
}
