// From the browser's menu to the first sync. The browser never sees the password: this page derives the key from
// it, encrypts the key for the browser, and hands over a session and a code.

import { bearer, call, endHeld, hold } from "./api.js";
import { request, browserStatus, notify } from "./channel.js";
import { confirm, wantsCode } from "./code.js";
import { showCopyButtons } from "./copy.js";
import { handCode, handSession, handToOldDesktop, hasSession, makeKey } from "./handover.js";
import { identify } from "./identify.js";
import { showFailure, done, form, show, waiting, showError } from "./stepper.js";

const SECOND = 1000;

const query = new URLSearchParams(location.search);
// Desktop before 2025 has no flow of its own.
const isOldDesktop = query.get("context") === "fx_desktop_v3" && !query.has("keys_jwk");
// A browser that is signed in without a key asks for the password here.
const asksForPassword = location.pathname.startsWith("/post_verify/");

async function main() {
  if (!globalThis.crypto?.subtle) return halt("insecure");
  const browser = await connectToBrowser();
  if (!browser) return halt("menu");
  const user = browser.signedInUser;
  if (user?.sessionToken && !asksForPassword) await already(user);

  const person = await identify(user);
  const { uid } = person.answer;
  const session = person.answer.sessionToken ?? user.sessionToken;
  const isNew = session !== user?.sessionToken;
  if (isNew) await hold(session);
  if (user && user.uid !== uid) return refuse("other", { email: user.email });
  if (wantsCode(person.answer)) await confirm(person.email, await bearer(session));

  show("wait");
  const meanwhile = await otherUser(uid);
  if (meanwhile) return refuse("other", { email: meanwhile.email });
  if (!(await mayLink(person.email, uid))) return refuse("cancelled");
  const key = isOldDesktop ? undefined : await makeKey(person, session, browser);
  const choice = user ? {} : await choose(browser, session);
  show("wait");
  waiting({ words: "connecting" });
  const other = await otherUser(uid);
  if (other) return refuse("other", { email: other.email });
  if (isOldDesktop) await handToOldDesktop(person, session, choice);
  else {
    await handSession(person, session, choice);
    await handCode(session, key, person.isNew, choice);
  }
  finish();
}

// --- who is there --------------------------------------------------------------------------------

function connectToBrowser() {
  waiting({ words: "browser" });
  return browserStatus(query.get("context") ?? undefined);
}

// There is nothing to do, unless an earlier sign-in ended after the browser got its session and before it got its
// key: only the user can tell, as it does not sync.
function already({ email, uid }) {
  show("already", { email });
  const settings = document.getElementById("to-settings");
  settings.href = `/settings?${new URLSearchParams({ uid, email })}`;
  done({ words: "already" });
  return new Promise((resolve) => {
    document.getElementById("once-more").addEventListener("click", resolve);
  });
}

// Another user signed in from another tab in the meantime. Signing in over them would leave the browser with an
// account here and all its addresses pointing elsewhere.
async function otherUser(uid) {
  const { signedInUser } = (await browserStatus()) ?? {};
  return signedInUser?.uid === uid ? undefined : signedInUser;
}

// --- what is agreed with the browser -------------------------------------------------------------------

// The browser may ask the user whether to merge, which may take any time.
async function mayLink(email, uid) {
  waiting({ words: "connecting" });
  const hint = setTimeout(waiting, 1.5 * SECOND, { words: "merge" });
  try {
    return (await request("fxaccounts:can_link_account", { email, uid }, 600 * SECOND)).ok !== false;
  } catch (error) {
    if (error.reason === "refused") return true;
    throw error;
  } finally {
    clearTimeout(hint);
  }
}

// The choice of what to sync is made once, with the first device; the others take it from storage.
async function choose({ capabilities }, session) {
  const authorization = await bearer(session);
  const devices = await call("GET", "/v1/account/devices", { authorization });
  if (devices.length || !capabilities?.engines?.length) return {};
  const ticked = () => Array.from(document.querySelectorAll("[name=engine]:checked"), (box) => box.value);
  let offeredEngines;
  const choice = form("choose", {}, () => {
    const chosen = ticked();
    return { offeredEngines, declinedEngines: offeredEngines.filter((name) => !chosen.includes(name)) };
  });
  for (const box of document.querySelectorAll("[name=engine]")) {
    box.checked = capabilities.engines.includes(box.value);
    box.closest("label").hidden = !box.checked;
  }
  offeredEngines = ticked();
  return choice;
}

// --- ends ----------------------------------------------------------------------------------------

function finish() {
  // The URL contained the flow; a reload would begin with an ended one.
  history.replaceState(null, "", "/connect_another_device");
  show("connected");
  done({ words: "connected" });
  document.getElementById("open-settings").addEventListener("click", () =>
    notify("fxaccounts:sync_preferences", { entryPoint: "foxden" }));
}

function halt(step, fills, error = step) {
  show(step, fills);
  showCopyButtons();
  showError(error, fills);
}

async function refuse(step, fills) {
  await endHeld();
  halt(step, fills);
}

async function stop(error) {
  const isLost = /INVALID_STATE/.test(error.message);
  // Firefox has the session and lacks the key: with the password this page can still give it.
  if (hasSession()) return halt("half", { detail: error.message }, isLost ? "flow-lost" : "half");
  await endHeld();
  show("stopped");
  showFailure(error);
}

main().catch(stop);
