// What rows and columns are in sum, along the edges of an overview: bars as long as their numbers are large.
const THICKNESS = 40;

const INK = { light: "#1a6b78", dark: "#5fc4cf" };

// `side` has a bar for each block of rows, with their mean entropy or largest number; `foot` one for each block of columns.
export function drawMarginals({ side, foot }, { entropy, rowLargest, columnSums, blocks }, theme) {
  const { block, width, height } = blocks;
  const rows = meansOf(entropy ?? rowLargest, block, height);
  const columns = meansOf(columnSums, block, width);
  draw(side, { width: THICKNESS, height, theme }, rows, (context, at, length) => context.fillRect(0, at, length, 1));
  draw(foot, { width, height: THICKNESS, theme }, columns, (context, at, length) => context.fillRect(at, 0, 1, length));
}

function meansOf(numbers, block, count) {
  return Array.from({ length: count }, (_, index) => {
    const part = numbers.subarray(index * block, (index + 1) * block);
    return part.reduce((sum, number) => sum + (Number.isFinite(number) ? Math.abs(number) : 0), 0) / part.length;
  });
}

function draw(canvas, { width, height, theme }, numbers, bar) {
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d");
  context.fillStyle = INK[theme];
  const largest = numbers.reduce((most, number) => Math.max(most, number), 0) || 1;
  numbers.forEach((number, at) => bar(context, at, (THICKNESS * number) / largest));
}
