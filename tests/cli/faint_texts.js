// Texts with less contrast than arguments[0], as WCAG 2 measures it.
const rgba = (text) => {
  const found = text.match(/[\d.]+/g);
  return found === null ? null : found.map(Number);
};
const luminance = ([r, g, b]) => {
  const part = (c) => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
};
const opaque = (colour) => colour !== null && (colour.length < 4 || colour[3] === 1);
const background = (element) => {
  const slice = element.closest("g.slice, g.pathbar");
  if (slice) return rgba(getComputedStyle(slice.querySelector("path.surface")).fill);
  for (let at = element; at; at = at.parentElement) {
    const colour = rgba(getComputedStyle(at).backgroundColor);
    if (opaque(colour)) return colour;
  }
  return [255, 255, 255];
};
const faint = [];
let count = 0;
let ofBoxes = 0;
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  const text = texts.currentNode.textContent.trim();
  if (!text || element.closest("script, style") || !element.getClientRects().length) continue;
  const style = getComputedStyle(element);
  if (style.visibility === "hidden" || style.opacity === "0") continue;
  const behind = [background(element)];
  if (element.matches(".share")) behind.push(rgba(getComputedStyle(element.querySelector("span")).backgroundColor));
  const colour = rgba(element.closest("svg") ? style.fill : style.color);
  for (const one of behind) {
    const [low, high] = [luminance(colour), luminance(one)].sort((a, b) => a - b);
    const contrast = (high + 0.05) / (low + 0.05);
    if (contrast < arguments[0]) faint.push({ text: text.slice(0, 40), contrast, colour, behind: one });
  }
  count += 1;
  if (element.closest("g.slice")) ofBoxes += 1;
}
return { faint: faint.slice(0, 200), count, ofBoxes, page: luminance(rgba(getComputedStyle(document.body).backgroundColor)) };
