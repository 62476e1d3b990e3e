// Numbers as people write and read them.
const NUMBER = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

const LARGE = 1e6;

// Full-width digits and the typographic minus are numbers too; anything that is not finite is not.
export function parseNumber(text) {
  const plain = text.normalize("NFKC").trim().replace(/^[−–]/, "-").replace(/^\+/, "");
  if (!NUMBER.test(plain)) return null;
  const number = Number(plain);
  return Number.isFinite(number) ? number : null;
}

export function formatNumber(value, decimals = 4, { fixed = false } = {}) {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  return written(value, decimals, fixed).replace(/^-/, "−");
}

export function formatFull(value) {
  return Number.isFinite(value) ? String(value).replace(/^-/, "−") : formatNumber(value);
}

export function formatDifference(value) {
  return value === 0 || !Number.isFinite(value) ? formatNumber(value) : value.toExponential(1);
}

export function formatPercent(share) {
  const percent = share * 100;
  return `${percent >= 10 || percent === 0 ? Math.round(percent) : Number(percent.toFixed(1))}`;
}

function written(value, decimals, fixed) {
  const size = Math.abs(value);
  if (size === 0 || (fixed && size === 1)) return String(value + 0);
  if (size >= LARGE || size < 0.5 * 10 ** -decimals) return value.toExponential(1).replace("e+", "e");
  const text = value.toFixed(decimals);
  return fixed || !decimals ? text : text.replace(/\.?0+$/, "");
}
