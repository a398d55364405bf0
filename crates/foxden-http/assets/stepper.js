// The card of a page, which shows one step after another. Each step is a `<template id="step-…">` and each error a
// `<template id="error-…">` of the page: this file contains no texts.

import { FormError } from "./checks.js";

const stepper = document.getElementById("stepper");
const status = document.getElementById("status");

// The user followed a link instead of the form. What was typed is kept.
export class LinkFollowed extends Error {
  constructor(to, values) {
    super(to);
    this.to = to;
    this.values = values;
  }
}

let followLink = () => {};
stepper.addEventListener("click", (event) => {
  const link = event.target.closest("[data-go]");
  if (!link) return;
  event.preventDefault();
  followLink(link.dataset.go);
});

function fill(root, fills) {
  for (const place of root.querySelectorAll("[data-fill]")) {
    place.textContent = fills[place.dataset.fill] ?? place.textContent;
  }
  for (const place of root.querySelectorAll("[data-value]")) place.value = fills[place.dataset.value] ?? "";
  return root;
}

function clone(id, fills) {
  const template = document.getElementById(id);
  return template && fill(template.content.cloneNode(true), fills);
}

// Replaces the current step. Typed passwords are overwritten, not only removed.
export function show(step, fills = {}) {
  const isFirst = !stepper.dataset.step;
  for (const input of stepper.querySelectorAll("input")) input.value = "";
  const next = clone(`step-${step}`, fills);
  clearStatus();
  stepper.replaceChildren(next);
  stepper.dataset.step = step;
  const heading = stepper.querySelector("h1");
  heading.after(status);
  heading.tabIndex = -1;
  document.title = `${heading.textContent} · Foxden`;
  const field = isFirst && stepper.querySelector("#submit")?.form?.querySelector("input:not([readonly])");
  (field || heading).focus();
  return stepper;
}

// Shows a step with a form and waits until `work` returns a result for its fields. If `work` throws, the error is
// shown and the form stays; a link of the step rejects with a `LinkFollowed`.
export function form(step, fills, work) {
  return new Promise((resolve, reject) => {
    show(step, fills);
    const element = stepper.querySelector("form");
    followLink = (to) => reject(new LinkFollowed(to, Object.fromEntries(new FormData(element))));
    handle(element, async (values) => resolve(await work(values)));
  });
}

// Runs `work` whenever a form is sent, shows that it runs, and its error.
export function handle(element, work) {
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = element.querySelector("button:not([type=button])");
    if (button.disabled) return;
    const words = button.textContent;
    clearProblems(element);
    button.disabled = true;
    button.textContent = button.dataset.busy ?? words;
    waiting(button.dataset.busy ?? words, { isHidden: true });
    try {
      await work(Object.fromEntries(new FormData(element)), element);
    } catch (error) {
      showProblems(element, error);
    } finally {
      button.disabled = false;
      button.textContent = words;
    }
  });
}

// --- the status line -----------------------------------------------------------------------------

function setStatus(state, role, content, { isHidden = false } = {}) {
  status.dataset.state = state;
  status.setAttribute("role", role);
  status.className = isHidden ? "sr" : `notice${{ error: " n-bad", done: " n-ok" }[state] ?? ""}`;
  status.replaceChildren(...content);
  status.hidden = false;
}

function paragraph(...content) {
  const element = document.createElement("p");
  element.append(...content);
  return element;
}

function clearStatus() {
  delete status.dataset.state;
  status.hidden = true;
  status.replaceChildren();
}

// `words` is text, or the name of a template in the form `{words: name}`.
const content = (words, fills) => (typeof words === "string" ? words : clone(`words-${words.words}`, fills ?? {}));

export const waiting = (words, options) => setStatus("waiting", "status", [paragraph(content(words))], options);

export const done = (words, fills) => setStatus("done", "status", [paragraph(content(words, fills))]);

// The same for an action further down the page: the text scrolls into view.
export function doneBelow(words, fills) {
  done(words, fills);
  status.focus();
}

// Shows an error by its name, with the values of its placeholders.
export function showError(error, fills = {}) {
  setStatus("error", "alert", [paragraph(errorWords(error, fills))]);
  status.focus();
}

// Shows an error that belongs to no form.
export function showFailure(error) {
  const [{ error: name, fills }] = asFormError(stepper, error).problems;
  showError(name, fills);
}

function errorWords(error, fills) {
  return clone(`error-${error}`, fills) ?? clone("error-unknown", { detail: error, ...fills });
}

// --- problems ------------------------------------------------------------------------------------

// The number of tries left, in words.
const MANY = ["Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine"];
const COUNT = ["No tries are", "One try is", ...MANY.map((count) => `${count} tries are`)];
export const triesLeft = (count) => `${COUNT[Math.max(0, Math.min(count, COUNT.length - 1))]} left.`;

// The time so many seconds from now, rounded up to the minute; with the day if that is not today.
function clockTime(seconds) {
  const minute = 60_000;
  const time = new Date(Math.ceil((Date.now() + seconds * 1000) / minute) * minute);
  const isToday = time.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { weekday: "long" };
  return time.toLocaleString("en", { ...day, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
}

// The field that a refusal belongs to, if the form has it.
const FIELD_OF = { 101: "email", 102: "email", 103: "password", 105: "code", 152: "code", 153: "code", 183: "code" };

function asFormError(element, error) {
  if (error instanceof FormError) return error;
  if (error.errno === undefined) {
    const name = error.reason ? `browser-${error.reason}` : "unknown";
    return new FormError({ error: name, fills: { detail: error.message } });
  }
  const { answer, errno, wait } = error;
  const fills = {
    detail: `${answer.message ?? "no reason given"} (${errno})`,
    time: clockTime(wait || 60),
    ...error.fills,
  };
  return new FormError({ field: fieldOf(element, error), error: nameOf(error), fills });
}

// The field of this form that a refusal names.
function fieldOf(element, { answer, errno }) {
  const named = errno === 107 ? answer.validation : FIELD_OF[errno];
  const usual = named && element.querySelector(`#${CSS.escape(named)}:not([readonly])`);
  return (element.querySelector(`[data-refused~="${errno}"]`) ?? usual)?.id;
}

// The name of a refusal's text. An invalid parameter has a text of its own.
function nameOf({ answer, errno }) {
  if (errno !== 107) return String(errno);
  return { email: "address", invite: "invite" }[answer.validation] ?? "107";
}

function showProblems(element, error) {
  const problems = asFormError(element, error).problems;
  const marked = problems.filter(({ field }) => field);
  for (const problem of marked) markField(element, problem);
  if (problems.length === 1) {
    const [{ field, error: name, fills }] = problems;
    if (!field) return showError(name, fills);
    setStatus("error", "alert", [errorWords(name, fills ?? {}).textContent], { isHidden: true });
    return element.querySelector(`#${field}`).focus();
  }
  showProblemList(problems);
}

function showProblemList(problems) {
  const heading = document.createElement("h2");
  heading.textContent = problems.length === 2 ? "Two things to mend" : "Some things to mend";
  const list = document.createElement("ul");
  list.className = "small";
  for (const { field, error: name, fills } of problems) {
    const link = document.createElement("a");
    link.href = `#${field}`;
    link.append(errorWords(name, fills ?? {}).textContent);
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  }
  setStatus("error", "alert", [heading, list]);
  status.focus();
}

function markField(element, { field, error, fills }) {
  const input = element.querySelector(`#${field}`);
  const text = document.createElement("p");
  text.className = "err";
  text.id = `${field}-error`;
  text.append(errorWords(error, fills ?? {}));
  (input.closest("label") ?? input).after(text);
  input.setAttribute("aria-invalid", "true");
  input.dataset.described ??= input.getAttribute("aria-describedby") ?? "";
  input.setAttribute("aria-describedby", `${text.id} ${input.dataset.described}`.trim());
}

function clearProblems(element) {
  for (const text of element.querySelectorAll(".err")) text.remove();
  for (const input of element.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    if (input.dataset.described) input.setAttribute("aria-describedby", input.dataset.described);
    else input.removeAttribute("aria-describedby");
  }
}
