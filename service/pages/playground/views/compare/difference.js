// The difference between two matrices, cell by cell.

// B − A for each cell; numbers that are the same, also where both are infinite, differ by 0.
export const differenceOf = (a, b) => a.map((row, index) => row.map((number, column) => apart(number, b[index][column])));

const apart = (one, other) => (Object.is(one, other) ? 0 : other - one);

const sizeOf = (number) => (Number.isNaN(number) ? Infinity : Math.abs(number));

// The place of the largest difference, the first of those that are equally large.
export function largestOf(difference) {
  const largest = { row: 0, column: 0 };
  difference.forEach((line, row) =>
    line.forEach((number, column) => {
      if (sizeOf(number) > sizeOf(difference[largest.row][largest.column])) Object.assign(largest, { row, column });
    }),
  );
  return largest;
}
