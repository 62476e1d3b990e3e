// Axes of a sweep: a number of steps, the value at each, the step of a value, and the steps that have a tick.
import { t } from "../../words/i18n.js";
import { formatFull } from "../../words/numbers.js";

const STEPS = 200;

const MAX_TICKS = 8;

const tickOf = (axis, value) => ({ step: axis.stepOf(value), text: formatFull(value) });

// Every power of ten has a tick.  Zero and negative numbers have no place.
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

// `hasNone` gives the first step to null, which stands for a parameter that is left out.
export function linear(lowest, highest, { hasNone = false } = {}) {
  const unit = (highest - lowest) / STEPS;
  const axis = {
    steps: STEPS,
    valueAt: (step) => (hasNone && step === 0 ? null : Number((lowest + unit * step).toFixed(2))),
    stepOf: (value) => (value === null ? 0 : (value - lowest) / unit),
  };
  const values = Array.from({ length: 5 }, (_, index) => lowest + ((highest - lowest) * index) / 4);
  const none = () => ({ step: 0, text: t("parameter.none") });
  return { ...axis, ticks: () => values.map((value, index) => (hasNone && index === 0 ? none() : tickOf(axis, value))) };
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
