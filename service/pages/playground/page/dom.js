// Builds elements without markup: whatever a person or a server wrote ends up as text.
const MATHML = "http://www.w3.org/1998/Math/MathML";

const SVG = "http://www.w3.org/2000/svg";

export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  setAttributes(made, attributes);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

export const mathElement = (tag, attributes = {}, ...children) => elementIn(MATHML, tag, attributes, children);

export const svgElement = (tag, attributes = {}, ...children) => elementIn(SVG, tag, attributes, children);

function elementIn(namespace, tag, attributes, children) {
  const made = document.createElementNS(namespace, tag);
  setAttributes(made, attributes);
  made.append(...children);
  return made;
}

// null and false remove an attribute, true sets it empty.
export function setAttributes(target, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) target.removeAttribute(name);
    else target.setAttribute(name, value === true ? "" : value);
  }
}

// Writing only what differs keeps selections, transitions and screen readers undisturbed.
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

// Even the same value makes a browser compute the styles below anew.
export function setStyle(target, name, value) {
  if (target.style.getPropertyValue(name) !== value) target.style.setProperty(name, value);
}

export const byId = (id) => document.getElementById(id);
