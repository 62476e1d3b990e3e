// Matrices as pictures on a canvas: for more cells than a table can hold.
import { SURFACE, diverging, sequential } from "./colours.js";

const STEPS = 512;

const HATCH = { light: "#b9bec6", dark: "#4d545f" };

const HATCH_PERIOD = 6;

// A colour as a pixel of a canvas has it; every machine that browsers run on has the low byte first.
function pixelOf(colour) {
  const [red, green, blue] = [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

// Returns a function from a share of the scale to a pixel: 0 to 1 for a sequential scale, −1 to 1 for a diverging one.
export function pixelsOf(kind, theme) {
  const isSequential = kind === "sequential";
  const scale = isSequential ? sequential : (share) => diverging(share, theme);
  const least = isSequential ? 0 : -1;
  const width = 1 - least;
  const table = Uint32Array.from({ length: STEPS + 1 }, (_, step) => pixelOf(scale(least + (width * step) / STEPS)));
  const missing = pixelOf(HATCH[theme]);
  return (share) => {
    const step = Math.round(((share - least) / width) * STEPS);
    return step >= 0 ? table[step > STEPS ? STEPS : step] : share < least ? table[0] : missing;
  };
}

export const hatchOf = (theme) => ({ line: pixelOf(HATCH[theme]), surface: pixelOf(SURFACE[theme]) });

// Draws cells of `size` × `size` pixels each.  `pixelAt(row, column)` returns a pixel, or null for a masked cell.
export function drawCells(canvas, { rows, columns, size, theme, pixelAt }) {
  canvas.width = columns * size;
  canvas.height = rows * size;
  const image = new ImageData(canvas.width, canvas.height);
  const pixels = new Uint32Array(image.data.buffer);
  const { line, surface } = hatchOf(theme);
  for (let row = 0; row < rows; row += 1) {
    for (let column = 0; column < columns; column += 1) {
      const pixel = pixelAt(row, column);
      for (let y = row * size; y < (row + 1) * size; y += 1) {
        const start = y * canvas.width + column * size;
        if (pixel !== null) pixels.fill(pixel, start, start + size);
        else for (let x = 0; x < size; x += 1) pixels[start + x] = (column * size + x + y) % HATCH_PERIOD < 2 ? line : surface;
      }
    }
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}
