// Formulas of the catalogue have every optional parameter in them; here the parts of those that are not given go.

// For each name its parameters: the part that goes while the parameter has its default, and the text in its place.
const PARTS = {
  softmax: { temperature: [" / T", ""], sink: [" + e^{\\mathrm{sink}}", ""] },
  sigmoid: { bias: [" + \\mathrm{bias}", ""] },
  additive: { hidden_bias: [" + b", ""] },
  cosine: { scale: ["\\mathrm{scale} \\cdot ", ""] },
  gaussian: { bandwidth: ["2 \\cdot \\mathrm{bandwidth}^2", "2"] },
  laplacian: { bandwidth: ["\\frac{\\|q - k\\|_1}{\\mathrm{bandwidth}}", "\\|q - k\\|_1"] },
};

// The reverse: the part that goes once the parameter is given, and the text in its place.
const GIVEN = {
  scaled_dot_product: { scale: ["\\frac{q \\cdot k}{\\sqrt{D}}", "\\mathrm{scale} \\cdot q \\cdot k"] },
};

const DEFAULTS = { temperature: 1, bandwidth: 1, bias: 0 };

const isGiven = (name, value) =>
  value !== null && value !== undefined && !(name !== "scale" && value === DEFAULTS[name]);

// `latex` of a score model or normalizer, as far as `parameters` use it.
export function shortened(name, latex, parameters) {
  const replaced = [
    ...Object.entries(PARTS[name] ?? {}).filter(([parameter]) => !isGiven(parameter, parameters[parameter])),
    ...Object.entries(GIVEN[name] ?? {}).filter(([parameter]) => isGiven(parameter, parameters[parameter])),
  ];
  return replaced.reduce((text, [, [part, instead]]) => text.replaceAll(part, instead), latex);
}
