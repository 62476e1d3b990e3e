// Browser versus service: every number that is shown, and how far apart the two are.
const PRECISION = 1e-12;

const MATRICES = ["scores", "logits", "weights", "output"];

const DIAGNOSTICS = ["entropy", "effective_keys", "softmax_sensitivity"];

// Rounding errors grow with the numbers that are added up, so the tolerance does, too.
function tolerances(request, reference) {
  const features = request.query[0].length;
  const products = largest(request.query) * largest(request.key) * features;
  const scores = PRECISION * Math.max(1, products, largest(reference.scores), largest(reference.logits));
  const weights = scores / Math.min(1, request.normalizer.temperature ?? 1);
  const output = weights * Math.max(1, largest(request.value ?? [])) * Math.max(1, largest(reference.weights));
  return { scores, logits: scores, weights: weights * Math.max(1, largest(reference.weights)), output };
}

const largest = (matrix) =>
  matrix.reduce(
    (most, row) => row.reduce((all, value) => (Number.isFinite(value) ? Math.max(all, Math.abs(value)) : all), most),
    0,
  );

// Up to this size of every number, and of its inverse, no product or square on the way leaves float64.
const SAFE_MAGNITUDE = 1e75;

// Beyond it the order of the operations decides which sums overflow: two right ways may then differ by anything.
function leavesFloat64(part) {
  if (typeof part === "object" && part !== null) return Object.values(part).some(leavesFloat64);
  const size = Math.abs(part);
  return typeof part === "number" && (size > SAFE_MAGNITUDE || (size > 0 && size < 1 / SAFE_MAGNITUDE));
}

// Returns the largest difference and, of the cells beyond their tolerance, the one that is furthest off.  Where numbers
// leave float64 only an agreement says something: a difference then counts as unchecked.
export function compare(request, answer, reference) {
  if (!reference) return { checked: false };
  const limits = tolerances(request, reference);
  const found = { checked: true, difference: 0, tolerance: limits.weights, worst: null };
  for (const matrix of MATRICES.filter((name) => reference[name])) {
    compareMatrix(found, matrix, answer[matrix], reference[matrix], limits[matrix]);
  }
  for (const name of DIAGNOSTICS.filter((each) => answer.diagnostics[each])) {
    const expected = reference.diagnostics.map((row) => [row[name]]);
    const size = Math.max(1, largest(expected));
    compareMatrix(
      found,
      name,
      answer.diagnostics[name].map((value) => [value]),
      expected,
      limits.weights * size * request.key.length,
    );
  }
  const { difference, tolerance, worst } = found;
  if ((worst || !Number.isFinite(tolerance)) && !(difference <= PRECISION) && leavesFloat64(request)) {
    return { checked: false, leavesFloat64: true };
  }
  return { ...found, passed: worst === null };
}

function compareMatrix(found, matrix, received, expected, tolerance) {
  expected.forEach((line, row) =>
    line.forEach((browser, column) => {
      const service = received?.[row]?.[column];
      const difference = apart(service, browser);
      const excess = Number.isNaN(difference) ? Infinity : difference / tolerance;
      if (excess > 1 && !(found.worst?.excess >= excess)) {
        found.worst = { matrix, row, column, service, browser, difference, tolerance, excess };
      }
      // A difference that is no number stays.
      if (difference > found.difference || Number.isNaN(difference)) found.difference = difference;
    }),
  );
  const extra =
    received &&
    (received.length !== expected.length || received.some((line, row) => line.length !== expected[row].length));
  if (extra && !found.worst) found.worst = { matrix, row: 0, column: 0, difference: NaN, tolerance, excess: Infinity };
}

function apart(service, browser) {
  if (service === browser || (Number.isNaN(service) && Number.isNaN(browser))) return 0;
  return typeof service === "number" ? Math.abs(service - browser) : NaN;
}
