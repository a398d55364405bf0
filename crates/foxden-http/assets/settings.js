// Settings: name, picture, devices, password, deletion. The page uses the session of this browser, if the browser
// gives it, otherwise one of its own that ends with the page. Nothing is stored.

import { bearer, call, endHeld, endSession, hold } from "./api.js";
import { request, browserStatus, notify } from "./channel.js";
import { checkEmail, checkNewPassword, checkPassword } from "./checks.js";
import { confirm, wantsCode } from "./code.js";
import { showDevices } from "./devices.js";
import { changePassword, closeAccount, signIn } from "./person.js";
import { shrink } from "./picture.js";
import { showFailure, done, doneBelow, form, handle, show, waiting, showError } from "./stepper.js";

const DESKTOP = "5882386c6d801776";
const LOGIN_TIMEOUT_MS = 60_000;

const query = new URLSearchParams(location.search);

// The session of this page: `{uid, email, session, isBrowsers}`.
let me;

async function open() {
  if (!globalThis.crypto?.subtle) return halt("insecure");
  waiting({ words: "browser" });
  const user = (await browserStatus())?.signedInUser;
  const isWanted = !query.get("uid") || query.get("uid") === user?.uid;
  if (user?.sessionToken && isWanted) {
    me = { uid: user.uid, email: user.email, session: user.sessionToken, isBrowsers: true };
    // The session may have been ended elsewhere: then the page asks for the password.
    if (await tryToShow()) return;
  }
  await enter(query.get("email") ?? user?.email);
  await showAll();
}

async function tryToShow() {
  try {
    await showAll();
    return true;
  } catch (refusal) {
    if (refusal.errno === 110) return false;
    throw refusal;
  }
}

async function enter(address) {
  const { email, answer } = await form("sign-in", { email: address }, (typed) =>
    signIn(checkEmail(typed.email), checkPassword(typed.password)));
  me = { uid: answer.uid, email, session: answer.sessionToken, isBrowsers: false };
  const authorization = await hold(me.session);
  if (wantsCode(answer)) await confirm(email, authorization);
}

// --- the page ------------------------------------------------------------------------------------

async function showAll() {
  const authorization = await bearer(me.session);
  const profile = await fetchProfile(authorization);
  show("settings", { email: me.email, name: profile.displayName ?? "" });
  showPicture(profile);
  await showDevices(authorization, me.isBrowsers);
  const out = document.getElementById("sign-out");
  out.parentElement.hidden = false;
  out.onclick = signOut;
  handle(document.getElementById("you-form"), saveName);
  handle(document.getElementById("password-form"), savePassword);
  handle(document.getElementById("delete-form"), deleteAccount);
  document.getElementById("picture").addEventListener("change", savePicture);
  document.getElementById("remove-picture").addEventListener("click", removePicture);
  goToPart();
}

function goToPart() {
  const part = { "/settings/clients": "devices", "/settings/avatar/change": "you" }[location.pathname];
  if (part) document.getElementById(part).scrollIntoView();
}

// The profile is read with an access token, as the browser does it.
async function fetchProfile(authorization) {
  const { access_token: token } = await call("POST", "/v1/oauth/token", {
    authorization,
    body: { grant_type: "fxa-credentials", client_id: DESKTOP, scope: "profile", ttl: 300 },
  });
  try {
    return await call("GET", "/v1/profile", { authorization: `Bearer ${token}` });
  } finally {
    await call("POST", "/v1/oauth/destroy", { body: { client_id: DESKTOP, token } }).catch(() => {});
  }
}

// The browser caches a profile for some minutes, unless told.
function tellProfile() {
  if (me.isBrowsers) notify("profile:change", { uid: me.uid });
}

// --- you -----------------------------------------------------------------------------------------

async function saveName({ name }) {
  const authorization = await bearer(me.session);
  await call("POST", "/v1/display_name", { authorization, body: { displayName: name.trim() } });
  tellProfile();
  doneBelow({ words: "saved" });
}

function showPicture({ avatar, avatarDefault, displayName }) {
  const face = document.getElementById("face");
  const image = document.getElementById("face-image");
  const has = Boolean(avatar) && !avatarDefault;
  face.textContent = [...(displayName || me.email)][0].toUpperCase();
  face.hidden = has;
  image.hidden = !has;
  document.getElementById("remove-picture").hidden = !has;
  if (has) image.src = new URL(avatar, location.href).pathname;
}

async function savePicture(event) {
  const [file] = event.target.files;
  if (!file) return;
  try {
    const body = await shrink(file);
    if (!body) return showError("picture");
    await call("POST", "/v1/avatar/upload", { authorization: await bearer(me.session), body });
    await pictureChanged();
  } catch (refusal) {
    showFailure(refusal);
  } finally {
    event.target.value = "";
  }
}

async function removePicture() {
  try {
    const authorization = await bearer(me.session);
    const { avatar } = await fetchProfile(authorization);
    const id = new URL(avatar, location.href).pathname.split("/").pop();
    await call("DELETE", `/v1/avatar/${id}`, { authorization });
    await pictureChanged();
  } catch (refusal) {
    showFailure(refusal);
  }
}

async function pictureChanged() {
  showPicture(await fetchProfile(await bearer(me.session)));
  tellProfile();
  doneBelow({ words: "saved" });
}

// --- password ------------------------------------------------------------------------------------

async function savePassword({ old, next, repeat }, element) {
  checkPassword(old, "old");
  checkNewPassword(me.email, next, repeat, ["new", "new-repeat"]);
  const answer = await changePassword(me.session, me.email, old, next);
  me.session = answer.sessionToken;
  const isHanded = me.isBrowsers && (await handToBrowser(answer));
  if (!isHanded) await hold(me.session);
  element.reset();
  doneBelow({ words: me.isBrowsers && !isHanded ? "password-changed-apart" : "password-changed" });
  me.isBrowsers = isHanded;
  await showDevices(await bearer(me.session), me.isBrowsers);
}

// Gives the browser its new session. If it refuses, it asks for the new password by itself.
async function handToBrowser({ uid, sessionToken, verified }) {
  const data = { email: me.email, uid, sessionToken, verified };
  try {
    await request("fxaccounts:change_password", data, LOGIN_TIMEOUT_MS);
    return true;
  } catch {
    return false;
  }
}

// --- ends ----------------------------------------------------------------------------------------

async function signOut(event) {
  event.preventDefault();
  await (me.isBrowsers ? endSession(await bearer(me.session)) : endHeld());
  // The browser closes this channel before it could answer.
  if (me.isBrowsers) notify("fxaccounts:logout", { uid: me.uid });
  leave("signed-out");
}

async function deleteAccount({ password }) {
  checkPassword(password, "delete-password");
  await closeAccount(me.session, me.email, password);
  if (me.isBrowsers) notify("fxaccounts:delete", { uid: me.uid });
  leave("deleted");
}

function leave(step) {
  me = undefined;
  document.getElementById("sign-out").parentElement.hidden = true;
  show(step);
  done({ words: step });
}

function halt(error) {
  show(error);
  showError(error);
}

open().catch((error) => {
  show("stopped");
  showFailure(error);
});
