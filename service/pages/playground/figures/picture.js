// A drawing as PNG, at twice its size.
import { textOf } from "./svg.js";

const SCALE = 2;

// Returns a Blob, or null where this browser has no canvas of that size.  The policy of the page allows images from data:,
// and a drawing that loads nothing leaves the canvas readable.
export async function pngOf(drawing) {
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(textOf(drawing))}`;
  await image.decode();
  const [width, height] = ["width", "height"].map((side) => Number(drawing.getAttribute(side)) * SCALE);
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  canvas.getContext("2d")?.drawImage(image, 0, 0, width, height);
  return new Promise((done) => canvas.toBlob(done, "image/png"));
}
