// From values to colours, and to the text colour that can be read on them.
import { VIRIDIS } from "./viridis.js";

const ENDS = {
  light: { negative: "#2c6fb7", neutral: "#f4f5f7", positive: "#c8502b" },
  dark: { negative: "#4a90d9", neutral: "#252b34", positive: "#dd6b3f" },
};

// Of a masked cell, below its hatching.
export const SURFACE = { light: "#ffffff", dark: "#1b2129" };

// Of a cell without a number.
export const MISSING = { light: "#e9ebef", dark: "#2b323c" };

const clamp = (share) => Math.min(1, Math.max(0, share));

export function sequential(share) {
  return VIRIDIS[Math.round(clamp(share) * (VIRIDIS.length - 1))];
}

// -1 and 1 are the ends; 0 is nearly the colour of the page.
export function diverging(share, theme) {
  const { negative, neutral, positive } = ENDS[theme];
  return mix(neutral, share < 0 ? negative : positive, clamp(Math.abs(share)));
}

// Black or white: for any colour at all, one of the two reaches a contrast of 4.58.
export function readableOn(colour) {
  return contrast(colour, "#000000") >= contrast(colour, "#ffffff") ? "#000000" : "#ffffff";
}

export function contrast(one, other) {
  const [low, high] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (high + 0.05) / (low + 0.05);
}

export function gradient(scale, steps = 16) {
  const stops = Array.from({ length: steps + 1 }, (_, step) => scale(step / steps));
  return `linear-gradient(to right, ${stops.join(", ")})`;
}

function luminance(colour) {
  const [red, green, blue] = channels(colour)
    .map((part) => part / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function mix(from, to, share) {
  const end = channels(to);
  const parts = channels(from).map((part, index) => Math.round(part + (end[index] - part) * share));
  return `#${parts.map((part) => part.toString(16).padStart(2, "0")).join("")}`;
}

function channels(colour) {
  return [1, 3, 5].map((start) => parseInt(colour.slice(start, start + 2), 16));
}
