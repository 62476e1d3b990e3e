// Numbers as people write and read them.
const NUMBER = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

const LARGE = 1e6;

// Full-width digits and the typographic minus are numbers too; anything that is not finite is not.
export function parseNumber(text) {
  const plain = text.normalize("NFKC").trim().replace(/[−–]/g, "-").replace(/^\+/, "");
  if (!NUMBER.test(plain)) return null;
  const number = Number(plain);
  return Number.isFinite(number) ? number : null;
}

const withMinus = (text) => text.replaceAll("-", "−");

export function formatNumber(value, decimals = 4, { fixed = false } = {}) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return withMinus(written(value, decimals, fixed));
}

// A number among others of the same number of decimals.  An exact 0 is written alone: it is not a rounded one.
export function formatAligned(value, decimals) {
  if (!Number.isFinite(value) || value === 0 || isExtreme(value, decimals)) return formatNumber(value, decimals);
  return withMinus(value.toFixed(decimals));
}

// The decimals that numbers need to be written alike, `most` at most.
export function decimalsOf(values, most) {
  let needed = 0;
  for (const value of values) {
    if (needed === most) return most;
    if (!Number.isFinite(value) || isExtreme(value, most)) continue;
    const text = value.toFixed(most);
    while (needed < most && /[1-9]/.test(text.slice(needed - most))) needed += 1;
  }
  return needed;
}

// As it is typed, with a true minus; every digit that it has.
export function formatFull(value) {
  return Number.isFinite(value) ? withMinus(String(value)).replace("e+", "e") : formatNumber(value);
}

export function formatDifference(value) {
  return value === 0 || !Number.isFinite(value) ? formatNumber(value) : withMinus(value.toExponential(1).replace("e+", "e"));
}

export function formatPercent(share) {
  const percent = share * 100;
  return `${percent >= 10 || percent === 0 ? Math.round(percent) : Number(percent.toFixed(1))}`;
}

const isExtreme = (value, decimals) =>
  value !== 0 && (Math.abs(value) >= LARGE || Math.abs(value) < 0.5 * 10 ** -decimals);

function written(value, decimals, fixed) {
  const size = Math.abs(value);
  if (size === 0 || (fixed && size === 1)) return String(value + 0);
  if (isExtreme(value, decimals)) return value.toExponential(1).replace("e+", "e");
  const text = value.toFixed(decimals);
  return fixed || !decimals ? text : text.replace(/\.?0+$/, "");
}
