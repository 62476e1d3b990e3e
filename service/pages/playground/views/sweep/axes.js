// Axes of a sweep: a number of steps, the value at each, the step of a value, and the steps that have a tick.
import { t } from "../../words/i18n.js";
import { formatFull } from "../../words/numbers.js";

const STEPS = 200;

const MAX_TICKS = 8;

const tickOf = (axis, value) => ({ step: axis.stepOf(value), text: formatFull(value) });

// Every power of ten has a tick.  Only positive numbers have a step.
export function logarithmic(lowest, highest) {
  const ratio = Math.log(highest / lowest);
  const axis = {
    steps: STEPS,
    valueAt: (step) => Number((lowest * Math.exp((ratio * step) / STEPS)).toPrecision(3)),
    stepOf: (value) => (value > 0 ? (STEPS * Math.log(value / lowest)) / ratio : NaN),
  };
  const powers = Array.from({ length: 20 }, (_, index) => Number(`1e${index - 10}`));
  return { ...axis, ticks: () => powers.filter((power) => power >= lowest && power <= highest).map((power) => tickOf(axis, power)) };
}

// The smallest of 1, 2 and 5 times a power of ten that is not below a length.
function roundUnit(length) {
  const power = 10 ** Math.floor(Math.log10(length) + 1e-9);
  return power * [1, 2, 5, 10].find((digit) => digit * power >= length * (1 - 1e-9));
}

// From one multiple of the unit to another.  `hasNone` gives the first step to null, which stands for a parameter that is
// left out.
export function linear(lowest, highest, { hasNone = false } = {}) {
  const unit = roundUnit((highest - lowest) / STEPS);
  const axis = {
    steps: Math.round((highest - lowest) / unit),
    valueAt: (step) => (hasNone && step === 0 ? null : Number((lowest + unit * step).toFixed(2))),
    stepOf: (value) => (value === null ? 0 : (value - lowest) / unit),
  };
  const stride = roundUnit((highest - lowest) / (MAX_TICKS - 2));
  const first = Math.ceil(lowest / stride);
  const values = Array.from({ length: Math.floor(highest / stride) - first + 1 }, (_, index) => stride * (first + index));
  const ticks = values.map((value) => tickOf(axis, value));
  if (!hasNone) return { ...axis, ticks: () => ticks };
  // A tick beside that of null would stand on its text.
  const others = ticks.filter(({ step }) => step > axis.steps / 16);
  return { ...axis, ticks: () => [{ step: 0, text: t("parameter.none") }, ...others] };
}

// A step for each of some values in ascending order.
export function listed(values) {
  const axis = {
    steps: values.length - 1,
    valueAt: (step) => values[step],
    stepOf: (value) => (values.includes(value) ? values.indexOf(value) : NaN),
  };
  const stride = Math.ceil(values.length / MAX_TICKS);
  const ticks = () => values.filter((_, index) => index % stride === 0).map((value) => tickOf(axis, value));
  return { ...axis, ticks };
}

export const isWithin = (axis, step) => step >= 0 && step <= axis.steps;
