// The front page: copy buttons, and what only this device knows.

import { showCopyButtons } from "./copy.js";

const MINUTE_MS = 60_000;

showCopyButtons();

const insecure = document.getElementById("insecure");
if (insecure && !isSecureContext) insecure.hidden = false;

const clock = document.getElementById("clock");
if (clock) {
  // The server wrote its time into the page; fetching the page took less than the measured time.
  const minutes = Math.round((Date.now() - Number(clock.dataset.now)) / MINUTE_MS);
  const isRight = Math.abs(minutes) < 1;
  const much = `${Math.abs(minutes)} ${Math.abs(minutes) === 1 ? "minute" : "minutes"}`;
  clock.textContent = isRight
    ? "The clock is right"
    : `The clock of this device is ${much} ${minutes < 0 ? "behind" : "ahead"}. Set it right, then try again.`;
  clock.classList.toggle("no", !isRight);
  clock.hidden = false;
}
