// Runs beside a page and lists what is wrong with how it looks and what it tells a screen reader.

const faults = [];
const isDark = () => matchMedia("(prefers-color-scheme: dark)").matches;
for (let round = 0; round < 300 && isDark() !== args.dark; round += 1) {
  await new Promise((go) => requestAnimationFrame(go));
}
if (isDark() !== args.dark) faults.push("the page keeps to one scheme");
const name = (element) =>
  `<${element.localName}${element.id ? `#${element.id}` : ""}${element.className.length ? `.${element.className}` : ""}>`;
const isShown = (element) => element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });

// --- width ---------------------------------------------------------------------------------------

const root = document.documentElement;
if (root.scrollWidth > root.clientWidth) {
  const wide = [...document.body.querySelectorAll("*")].filter(
    (element) => element.getBoundingClientRect().right > root.clientWidth + 1 && !element.closest(".scroll"),
  );
  faults.push(`${root.scrollWidth} px of ${root.clientWidth}: ${wide.slice(0, 3).map(name).join(" ")}`);
}

// --- distance ------------------------------------------------------------------------------------

// What has a ground or an edge of its own keeps away from what stands above it.
for (const element of [...document.querySelectorAll(".notice, .card, .tiles, .illustration")].filter(isShown)) {
  const box = element.getBoundingClientRect();
  const above = document.querySelectorAll("main :is(p, h1, h2, h3, ul, ol, form, details, .notice, .card, .tiles, .illustration)");
  for (const other of [...above].filter(isShown)) {
    if (other.contains(element) || element.contains(other)) continue;
    const { bottom, left, right } = other.getBoundingClientRect();
    const distance = box.top - bottom;
    if (left < box.right && right > box.left && distance > -1 && distance < 8) {
      faults.push(`${name(element)} is ${distance.toFixed(1)} px below ${name(other)}`);
    }
  }
}

// So do words from a picture above them.
for (const words of [...document.querySelectorAll("main :is(img, svg) + :is(h1, h2, h3, p)")].filter(isShown)) {
  const picture = words.previousElementSibling;
  if (!isShown(picture)) continue;
  const distance = words.getBoundingClientRect().top - picture.getBoundingClientRect().bottom;
  if (distance > -1 && distance < 8) faults.push(`${name(words)} is ${distance.toFixed(1)} px below ${name(picture)}`);
}

// --- structure -----------------------------------------------------------------------------------

if (!root.lang) faults.push("the page names no language");
if (!document.title) faults.push("the page has no title");
if (document.querySelectorAll("main").length !== 1) faults.push("not one main");
const headings = [...document.querySelectorAll("h1, h2, h3, h4")].filter(isShown);
if (headings.filter((heading) => heading.localName === "h1").length !== 1) faults.push("not one h1");
let level = 0;
for (const heading of headings) {
  const next = Number(heading.localName[1]);
  if (next > level + 1) faults.push(`${name(heading)} "${heading.textContent}" skips a level`);
  level = next;
}

// --- names ---------------------------------------------------------------------------------------

const ids = new Map();
for (const { id } of document.querySelectorAll("[id]")) ids.set(id, (ids.get(id) ?? 0) + 1);
for (const [id, count] of ids) if (count > 1) faults.push(`${count} elements have the id ${id}`);
for (const attribute of ["for", "aria-describedby", "aria-labelledby", "aria-controls", "aria-errormessage"]) {
  for (const element of document.querySelectorAll(`[${attribute}]`)) {
    for (const id of element.getAttribute(attribute).split(/\s+/)) {
      if (!ids.has(id)) faults.push(`${name(element)}: ${attribute} leads to no ${id}`);
    }
  }
}
for (const field of document.querySelectorAll("input:not([type=hidden]), select, textarea")) {
  const words =
    [...field.labels].map((label) => label.textContent).join("") +
    (field.getAttribute("aria-label") ?? "") +
    (field.getAttribute("aria-labelledby") ?? "");
  if (!words.trim()) faults.push(`${name(field)} has no label`);
  if (field.type === "password" && !field.autocomplete) faults.push(`${name(field)} names no autocomplete`);
}
for (const control of document.querySelectorAll("button, a[href]")) {
  const pictures = [...control.querySelectorAll("img[alt], svg[aria-label]")];
  const words = control.textContent + (control.getAttribute("aria-label") ?? "") + pictures.map((p) => p.alt ?? "x").join("");
  if (isShown(control) && !words.trim()) faults.push(`${name(control)} has no words`);
}
for (const image of document.querySelectorAll("img:not([alt])")) faults.push(`${name(image)} has no alt`);

// --- contrast ------------------------------------------------------------------------------------

function colour(text) {
  const [red, green, blue, alpha = 1] = text.match(/[\d.]+/g)?.map(Number) ?? [0, 0, 0, 0];
  // Modern notations count from 0 to 1.
  const scale = text.startsWith("color(") ? 255 : 1;
  return [red * scale, green * scale, blue * scale, alpha];
}

const over = (front, back) => [0, 1, 2].map((at) => front[at] * front[3] + back[at] * (1 - front[3])).concat(1);

function luminance(parts) {
  const [red, green, blue] = parts.slice(0, 3).map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function ground(element) {
  const layers = [];
  for (let at = element; at; at = at.parentElement) layers.push(colour(getComputedStyle(at).backgroundColor));
  return layers.reduceRight((below, layer) => over(layer, below), args.dark ? [28, 27, 34, 1] : [255, 255, 255, 1]);
}

const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
for (let text = texts.nextNode(); text; text = texts.nextNode()) {
  const element = text.parentElement;
  if (!text.data.trim() || !isShown(element) || element.closest("script, style, template, :disabled, svg title, option")) continue;
  const style = getComputedStyle(element);
  const box = element.getBoundingClientRect();
  if (box.width <= 1 || box.height <= 1) continue;
  const back = ground(element);
  const written = element.closest("svg") ? style.fill : style.color;
  const [light, dark] = [luminance(over(colour(written), back)), luminance(back)].sort((left, right) => right - left);
  const ratio = (light + 0.05) / (dark + 0.05);
  if (ratio < 4.5) faults.push(`contrast ${ratio.toFixed(2)}: ${name(element)} "${text.data.trim().slice(0, 40)}"`);
}
return [...new Set(faults)];
