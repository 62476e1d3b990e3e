"""Functions of JavaScript that read what a page shows, and give it what no hand of a test can."""

from tests.browser.compared import VALUES
from tests.browser.lesson import STEPS

HEADINGS = """
(stage) => [...document.querySelectorAll(`table[data-stage="${stage}"] th[scope=col]`)].map((one) => one.textContent)
"""

CURSOR = """
() => [...document.querySelector("#view-other table.values").tBodies[0].rows].map((row) =>
  [...row.cells].map((cell) => cell.textContent))
"""

SIDE = f'(side) => ({VALUES})(document.querySelector(`[data-side="${{side}}"] table`))'

BOTH_CONFIRMED = """
() => ["a", "b"].every((side) =>
  document.querySelector(`[data-side="${side}"] .verification`)?.dataset.state === "match")
"""

DROP = """
(name, content) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const dataTransfer = new DataTransfer();
  dataTransfer.items.add(new File([bytes], name));
  for (const kind of ["dragover", "drop"])
    document.querySelector(".view-check .drop").dispatchEvent(
      new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
}
"""

# Size and colours of a picture, and where there is ink at some places of it.
PIXELS = """
async (content, places) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const context = new OffscreenCanvas(image.width, image.height).getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const colours = (x, y, width, height) => {
    const { data } = context.getImageData(x, y, width, height);
    return Array.from({ length: data.length / 4 }, (_, at) =>
      "#" + [...data.slice(4 * at, 4 * at + 3)].map((part) => part.toString(16).padStart(2, "0")).join(""));
  };
  const ink = (place) => colours(...place).map((colour) => (colour < "#888888" ? "1" : "0")).join("");
  const found = [...new Set(colours(0, 0, image.width, image.height))];
  return { size: [image.width, image.height], colours: found, ink: places.map(ink) };
}
"""

# Where some texts of the drawing stand in a picture of twice its size: left, top, width and height.
PLACES = """
(texts) => {
  const drawing = document.querySelector(".view-export svg[role=img]");
  const frame = drawing.getBoundingClientRect();
  const scale = (2 * Number(drawing.getAttribute("width"))) / frame.width;
  return texts.map((text) => {
    const label = [...drawing.querySelectorAll("text")].find((one) => one.textContent === text);
    const { left, top, width, height } = label.getBoundingClientRect();
    return [left - frame.left, top - frame.top, width, height].map((length) => Math.round(length * scale));
  });
}
"""

CARDS = ".heads-list button"

# What the cards say, whether all are on one screen, and how bright the first head is 1, 2 and 3 keys back.
GLANCE = """
(selector) => {
  const cards = [...document.querySelectorAll(selector)];
  cards[0].scrollIntoView({ block: "start" });
  const canvas = cards[0].querySelector("canvas");
  const size = canvas.width / 64;
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d", { willReadFrequently: true });
  copy.drawImage(canvas, 0, 0);
  const at = (row, column) => {
    const { data } = copy.getImageData(column * size, row * size, size, size);
    return data.reduce((sum, part) => sum + part, 0) / (size * size);
  };
  const rows = Array.from({ length: 60 }, (_, row) => row + 3);
  const mean = (back) => rows.reduce((sum, row) => sum + at(row, row - back), 0) / rows.length;
  const [first, last] = [cards[0], cards.at(-1)].map((card) => card.getBoundingClientRect());
  return {
    texts: cards.map((card) => card.textContent),
    height: last.bottom - first.top,
    width: first.width,
    screen: innerHeight,
    back: [1, 2, 3].map(mean),
  };
}
"""

TWELVE_HEADS = """
async () => (await import("./static/playground/views/heads/example.js")).twelveHeads()
"""

LARGE_NUMBERS = """
async (options, row) => {
  const { generated } = await import("./static/playground/views/overview/source.js");
  const { query, key, features } = generated(options);
  const whole = (numbers) => {
    const bytes = new Uint8Array(numbers.buffer, numbers.byteOffset, numbers.byteLength);
    let text = "";
    for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    return btoa(text);
  };
  return [whole(query.slice(row * features, (row + 1) * features)), whole(key)];
}
"""

LESSON = """
(step) => {
  const shows = document.querySelector('#lesson [data-action="show"]');
  return document.querySelector("#lesson-progress")?.textContent === `${step} / STEPS` && shows && !shows.disabled
    && document.activeElement.id === "lesson-title";
}
""".replace("STEPS", str(STEPS))

JUDGED = "() => document.querySelector('#lesson-verdict')?.dataset.judgement === 'right'"

POINTED_AT = """
() => {
  const parts = [...document.querySelectorAll("[data-lesson-part]")];
  const { top, bottom } = parts[0].getBoundingClientRect();
  return parts.length === 1 && top < innerHeight && bottom > 0;
}
"""
