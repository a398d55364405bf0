// The list of an account's clients.

import { call } from "./api.js";
import { showFailure, doneBelow } from "./stepper.js";

const DAY_MS = 86_400_000;
const ASLEEP_DAYS = 90;
const UNITS = [["day", DAY_MS], ["hour", DAY_MS / 24], ["minute", DAY_MS / 1440]];
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

// Shows all clients, that of this page first. `isBrowsers`: whether the session is this browser's.
export async function showDevices(authorization, isBrowsers) {
  const clients = await call("GET", "/v1/account/attached_clients", { authorization });
  clients.sort((a, b) => b.isCurrentSession - a.isCurrentSession || (b.lastAccessTime ?? 0) - (a.lastAccessTime ?? 0));
  const rows = clients.map((client) => row(client, authorization, isBrowsers));
  document.getElementById("device-list").replaceChildren(...rows);
}

function row(client, authorization, isBrowsers) {
  const item = document.getElementById("device").content.firstElementChild.cloneNode(true);
  const kind = document.getElementById(`icon-${client.deviceType}`) ?? document.getElementById("icon-desktop");
  item.prepend(kind.content.cloneNode(true));
  const name = nameOf(client, isBrowsers);
  const set = (part, text) => { item.querySelector(`[data-part=${part}]`).textContent = text; };
  set("name", name);
  set("facts", facts(client));
  item.querySelector("[data-part=this]").hidden = !client.isCurrentSession;
  set("this", isBrowsers ? "This browser" : "This page");
  item.querySelector("[data-part=asleep]").hidden = !isAsleep(client);
  const button = item.querySelector("button");
  button.hidden = client.isCurrentSession;
  button.querySelector(".sr").textContent = ` ${name}`;
  button.addEventListener("click", () => disconnect(client, name, item, button, authorization));
  return item;
}

// A client that is no device is named after its purpose, not after its program.
function nameOf({ deviceId, clientId, name, isCurrentSession }, isBrowsers) {
  if (name && (deviceId || clientId)) return name;
  return isCurrentSession && !isBrowsers ? "This sign-in" : "A sign-in without a device";
}

const isAsleep = ({ lastAccessTime }) => lastAccessTime && Date.now() - lastAccessTime > ASLEEP_DAYS * DAY_MS;

function facts({ userAgent, os, lastAccessTime }) {
  const what = [userAgent, os].filter(Boolean).join(", ");
  const when = lastAccessTime ? `Last seen ${ago(lastAccessTime)}.` : "";
  return [what && `${what}.`, when].filter(Boolean).join(" ");
}

function ago(time) {
  const passed = Math.max(0, Date.now() - time);
  const [unit, length] = UNITS.find(([, span]) => passed >= span) ?? [];
  return unit ? relative.format(-Math.floor(passed / length), unit) : "just now";
}

async function disconnect(client, name, item, button, authorization) {
  button.disabled = true;
  const { clientId, deviceId, refreshTokenId, sessionTokenId } = client;
  const known = Object.entries({ clientId, deviceId, refreshTokenId, sessionTokenId }).filter(([, id]) => id);
  try {
    await call("POST", "/v1/account/attached_client/destroy", { authorization, body: Object.fromEntries(known) });
    item.remove();
    doneBelow({ words: "disconnected" }, { name });
  } catch (refusal) {
    button.disabled = false;
    showFailure(refusal);
  }
}
