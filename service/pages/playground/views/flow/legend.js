// How thick a weight is: samples to scale, and what colours and hatching mean.
import { gradient, sequential } from "../../maps/colours.js";
import { element, setAttributes, setText, svgElement } from "../../page/dom.js";
import { t } from "../../words/i18n.js";

const SAMPLES = [0.05, 0.1, 0.25];

const MAX_HEIGHT = 60;

const WIDTH = 24;

export function createFlowLegend() {
  const title = element("span");
  const samples = SAMPLES.map((weight) => {
    const bar = svgElement("rect", { width: WIDTH, fill: sequential(weight) });
    const drawing = svgElement("svg", { width: WIDTH, "aria-hidden": "true" }, bar);
    return { weight, bar, drawing, root: element("span", { class: "key" }, drawing, String(weight)) };
  });
  const ramp = element("span", { class: "bar", "aria-hidden": "true" });
  const hidden = element("span", { class: "key hatched" });
  const root = element(
    "p",
    { class: "legend flow-legend" },
    title,
    ...samples.map((sample) => sample.root),
    element("span", { class: "ramp" }, "0", ramp, "1"),
    hidden,
  );
  ramp.style.setProperty("background", gradient(sequential));

  return {
    root,
    // `unit` is the thickness of a weight of 1 in pixels.
    update(unit) {
      setText(title, t("flow.thickness"));
      setText(hidden, t("legend.hidden"));
      for (const { weight, bar, drawing, root: sample } of samples) {
        const height = unit * weight;
        sample.hidden = height > MAX_HEIGHT;
        setAttributes(bar, { height });
        setAttributes(drawing, { height });
      }
    },
  };
}
