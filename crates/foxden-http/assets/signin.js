// The way from the browser's menu to the first sync. The browser never sees the password: this page makes
// the key from it, seals the key for the browser, and hands over a session and a code.

import { bearer, call, endHeld, endSession, handOver, hold, Refusal } from "./api.js";
import { ask, meet, tell } from "./channel.js";
import { hex, unbase64url } from "./bytes.js";
import { confirm, wantsCode } from "./code.js";
import { showCopyButtons } from "./copy.js";
import { seal, SYNC_SCOPE, syncKey } from "./onepw.js";
import { exists, fetchKey, signIn, signInAgain, signUp } from "./person.js";
import { checkEmail, checkNewPassword, checkPassword, complain, Detour, done, form, show, waiting, wrong } from "./stage.js";

const SECOND = 1000;
const PROFILE_SCOPE = "profile";
const DESKTOP = "5882386c6d801776";

const query = new URLSearchParams(location.search);
const canSignUp = "signUp" in document.getElementById("stage").dataset;
// Desktop before 2025 fetches the keys itself and has no flow of its own.
const isOldDesktop = query.get("context") === "fx_desktop_v3" && !query.has("keys_jwk");
// A browser that is signed in without a key asks for the password here.
const asksForPassword = location.pathname.startsWith("/post_verify/");

// Whether the browser took the session.
let isHandedOver = false;

async function walk() {
  if (!globalThis.crypto?.subtle) return halt("insecure");
  const browser = await greet();
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
  if (!(await mayLink(person.email, uid))) return refuse("cancelled");
  if (isOldDesktop) return handKeysToOldDesktop(person, browser);

  const key = await makeKey(person, session, browser);
  const choice = user ? {} : await choose(browser, session);
  show("wait");
  waiting({ words: "connecting" });
  const other = await someoneElse(uid);
  if (other) return refuse("other", { email: other.email });
  await handSession(person, session, choice);
  await handCode(session, key, person.isNew, choice);
  finish();
}

// --- who is there --------------------------------------------------------------------------------

function greet() {
  waiting({ words: "browser" });
  return meet(query.get("context") ?? undefined);
}

// There is nothing to do, unless a sign-in before was cut off after the browser got its session and before it
// got its key: only the person can tell that, as it will not sync.
function already({ email, uid }) {
  show("already", { email });
  const settings = document.getElementById("to-settings");
  settings.href = `/settings?${new URLSearchParams({ uid, email })}`;
  done({ words: "already" });
  return new Promise((resolve) => {
    document.getElementById("once-more").addEventListener("click", resolve);
  });
}

// Who meanwhile, in another tab, signed in besides. Signing in over them would leave the browser with an
// account here and every address pointing elsewhere.
async function someoneElse(uid) {
  const { signedInUser } = (await meet()) ?? {};
  return signedInUser?.uid === uid ? undefined : signedInUser;
}

// Asks for address and password until the server knows them, or makes an account of them.
async function identify(user) {
  let email = user?.email ?? query.get("email") ?? "";
  let step = user ? "again" : await firstStep(email);
  for (;;) {
    try {
      if (step === "start") [email, step] = await askAddress(email);
      else if (step === "sign-up") return await askNewPassword(email);
      else return await askPassword(step, email, user);
    } catch (error) {
      if (!(error instanceof Detour)) throw error;
      if (error.to === "reset") return leave(`/reset_password${location.search}`);
      email = user?.email ?? error.values.email?.trim() ?? email;
      step = error.to;
    }
  }
}

async function firstStep(email) {
  if (!email) return "start";
  try {
    return stepFor(await exists(checkEmail(email)));
  } catch {
    return "start";
  }
}

const stepFor = (isKnown) => (isKnown ? "password" : "sign-up");

const askAddress = (email) =>
  form("start", { email }, async (typed) => {
    const address = checkEmail(typed.email);
    const isKnown = await exists(address);
    if (!isKnown && !canSignUp) throw new Refusal({ errno: 102 });
    return [address, stepFor(isKnown)];
  });

const askPassword = (step, email, user) =>
  form(step, { email, letter: letter(email) }, (typed) => {
    const password = checkPassword(typed.password);
    const session = user?.sessionToken;
    return session ? signInAgain(session, email, password) : signIn(email, password, { keys: true });
  });

const askNewPassword = (email) =>
  form("sign-up", { email }, async (typed) => {
    const address = checkEmail(typed.email);
    checkNewPassword(address, typed.password, typed.repeat);
    return { ...(await signUp(address, typed.password, { keys: true })), isNew: true };
  });

const letter = (email) => [...email][0]?.toUpperCase() ?? "?";

// --- what the browser is given -------------------------------------------------------------------

// The browser may ask the person whether to merge; that takes as long as it takes.
async function mayLink(email, uid) {
  waiting({ words: "connecting" });
  const hint = setTimeout(waiting, 1.5 * SECOND, { words: "merge" });
  try {
    return (await ask("fxaccounts:can_link_account", { email, uid }, 600 * SECOND)).ok !== false;
  } catch (error) {
    if (error.reason === "refused") return true;
    throw error;
  } finally {
    clearTimeout(hint);
  }
}

async function makeKey({ answer, proof }, session, { clientId }) {
  const kB = await fetchKey(answer.keyFetchToken, proof.unwrapBKey);
  proof.unwrapBKey.fill(0);
  const facts = await call("POST", "/v1/account/scoped-key-data", {
    authorization: await bearer(session),
    body: { client_id: clientId ?? query.get("client_id") ?? DESKTOP, scope: SYNC_SCOPE },
  });
  const key = await syncKey(kB, facts[SYNC_SCOPE].keyRotationTimestamp);
  kB.fill(0);
  return key;
}

// What to sync is asked once, with the first device; the others take it over from the storage.
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

async function handSession({ email, answer }, sessionToken, choice) {
  const data = { email, uid: answer.uid, sessionToken, verified: true, authAt: answer.authAt, services: { sync: choice } };
  await login(data);
}

// From here on the session is the browser's, unless it refuses. It registers itself before it answers, and
// waits for its push service before that.
async function login(data) {
  const authorization = handOver();
  try {
    await slowly(ask("fxaccounts:login", data, 60 * SECOND));
    isHandedOver = true;
  } catch (error) {
    if (error.reason === "refused" && authorization) await endSession(authorization);
    throw error;
  }
}

// A flow that was begun for another tab may be dead, so each hand-over begins its own, and once more if that
// one died too.
async function handCode(session, key, isNew, choice) {
  const authorization = await bearer(session);
  const keys = JSON.stringify({ [SYNC_SCOPE]: key });
  try {
    await handOneCode(authorization, keys, isNew, choice);
  } catch {
    await handOneCode(authorization, keys, isNew, choice);
  }
}

async function handOneCode(authorization, keys, isNew, choice) {
  const flow = await beginFlow();
  const recipient = JSON.parse(new TextDecoder().decode(unbase64url(flow.keys_jwk)));
  const { code, state, redirect } = await call("POST", "/v1/oauth/authorization", {
    authorization,
    body: {
      client_id: flow.client_id,
      state: flow.state,
      scope: flow.scope ?? `${SYNC_SCOPE} ${PROFILE_SCOPE}`,
      access_type: flow.access_type ?? "offline",
      response_type: "code",
      code_challenge: flow.code_challenge,
      code_challenge_method: flow.code_challenge_method ?? "S256",
      keys_jwe: await seal(keys, recipient),
    },
  });
  const { offeredEngines: offeredSyncEngines, declinedEngines: declinedSyncEngines } = choice;
  const action = isNew ? "signup" : "signin";
  const data = { code, state, redirect, action, scope: flow.scope, offeredSyncEngines, declinedSyncEngines };
  await slowly(ask("fxaccounts:oauth_login", data, 60 * SECOND));
}

// Browsers that cannot begin a flow when asked have put one into the address.
async function beginFlow() {
  try {
    return await ask("fxaccounts:oauth_flow_begin", { scopes: [SYNC_SCOPE, PROFILE_SCOPE] }, 5 * SECOND);
  } catch (error) {
    if (!query.has("client_id") || !query.has("keys_jwk")) throw error;
    return Object.fromEntries(query);
  }
}

async function handKeysToOldDesktop({ email, answer, proof }, browser) {
  const choice = await choose(browser, answer.sessionToken);
  show("wait");
  const data = {
    email,
    uid: answer.uid,
    sessionToken: answer.sessionToken,
    keyFetchToken: answer.keyFetchToken,
    unwrapBKey: hex(proof.unwrapBKey),
    verified: true,
    customizeSync: Boolean(choice.declinedEngines?.length),
    offeredSyncEngines: choice.offeredEngines,
    declinedSyncEngines: choice.declinedEngines,
    services: { sync: choice },
  };
  proof.unwrapBKey.fill(0);
  await login(data);
  finish();
}

async function slowly(answer) {
  const hint = setTimeout(waiting, 3 * SECOND, { words: "slow" });
  try {
    return await answer;
  } finally {
    clearTimeout(hint);
  }
}

// --- ends ----------------------------------------------------------------------------------------

function finish() {
  // The address held the flow; a reload would begin again with a dead one.
  history.replaceState(null, "", "/connect_another_device");
  show("connected");
  done({ words: "connected" });
  document.getElementById("open-settings").addEventListener("click", () =>
    tell("fxaccounts:sync_preferences", { entryPoint: "foxden" }));
}

function halt(step, fills, error = step) {
  show(step, fills);
  showCopyButtons();
  wrong(error, fills);
}

async function refuse(step, fills) {
  await endHeld();
  halt(step, fills);
}

function leave(address) {
  location.assign(address);
  return new Promise(() => {});
}

async function stop(error) {
  const isLost = /INVALID_STATE/.test(error.message);
  // Firefox has the session and lacks the key: with the password this page can still give it.
  if (isHandedOver) return halt("half", { detail: error.message }, isLost ? "flow-lost" : "half");
  await endHeld();
  show("stopped");
  complain(error);
}

walk().catch(stop);
