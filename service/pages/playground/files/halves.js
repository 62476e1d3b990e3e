// Numbers of 16 bits, and numbers as the types of the service store them.
const scratch = new DataView(new ArrayBuffer(4));

// The upper half of a float32.
export function brainOf(bits) {
  scratch.setUint32(0, bits * 65536);
  return scratch.getFloat32(0);
}

export function halfOf(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const [exponent, fraction] = [(bits >> 10) & 31, bits & 1023];
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent ? sign * 2 ** (exponent - 15) * (1 + fraction / 1024) : sign * 2 ** -14 * (fraction / 1024);
}

// The nearest number with `bits` bits behind the leading one, to even; its exponent is at least `least`.
function rounded(value, bits, least) {
  if (value === 0 || !Number.isFinite(value)) return value;
  let exponent = Math.floor(Math.log2(Math.abs(value)));
  if (2 ** exponent > Math.abs(value)) exponent -= 1;
  const step = 2 ** (Math.max(exponent, least) - bits);
  const steps = value / step;
  const below = Math.floor(steps);
  const isUp = steps - below > 0.5 || (steps - below === 0.5 && below % 2 !== 0);
  return (isUp ? below + 1 : below) * step;
}

export const STORED = {
  float64: (value) => value,
  float32: Math.fround,
  float16: (value) => rounded(value, 10, -14),
  bfloat16: (value) => rounded(value, 7, -126),
};

// The shortest decimal number that float32 stores as this one, as NumPy and PyTorch write it.
export function shortFloat32(value) {
  for (let digits = 6; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}
