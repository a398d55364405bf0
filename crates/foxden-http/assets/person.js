// Calls that authenticate a user by password.

import { bearer, call, Refusal } from "./api.js";
import { openBundle, openToken, stretch } from "./onepw.js";
import { hex, xor } from "./bytes.js";

const OTHER_SPELLING = 120;

// Stretches the password and passes it to `attempt`. If the server knows the address in another spelling, that one
// is the salt: then once more with it.
async function authenticate(email, password, attempt) {
  const proof = await stretch(email, password);
  try {
    return { email, proof, answer: await attempt({ email, authPW: proof.authPW }) };
  } catch (refusal) {
    const registered = refusal instanceof Refusal && refusal.errno === OTHER_SPELLING && refusal.answer.email;
    if (!registered || registered === email) throw refusal;
    const again = await stretch(registered, password);
    const body = { email: registered, authPW: again.authPW, originalLoginEmail: email };
    return { email: registered, proof: again, answer: await attempt(body) };
  }
}

export async function exists(email) {
  return (await call("POST", "/v1/account/status", { body: { email } })).exists;
}

export const signIn = (email, password, { keys = false } = {}) =>
  authenticate(email, password, (body) => {
    const path = keys ? "/v1/account/login?keys=true" : "/v1/account/login";
    return call("POST", path, { body: { ...body, reason: "login", service: "sync" } });
  });

export async function signUp(email, password, { keys = false, invite } = {}) {
  const proof = await stretch(email, password);
  const body = { email, authPW: proof.authPW };
  if (invite) body.invite = invite;
  return { email, proof, answer: await call("POST", `/v1/account/create${keys ? "?keys=true" : ""}`, { body }) };
}

// Proves the password again for the browser's session. If the server has ended that session, begins another.
export async function signInAgain(session, email, password) {
  const authorization = await bearer(session);
  try {
    return await authenticate(email, password, (body) =>
      call("POST", "/v1/session/reauth?keys=true", { authorization, body: { ...body, reason: "login" } }));
  } catch (refusal) {
    if (refusal.errno !== 110) throw refusal;
    return signIn(email, password, { keys: true });
  }
}

// The encryption key. A key-fetch token works once, even if the request fails.
export async function fetchKey(keyFetchToken, unwrapBKey) {
  const authorization = await bearer(keyFetchToken, "keyFetchToken");
  const { bundleKey } = await openToken(keyFetchToken, "keyFetchToken");
  const { bundle } = await call("GET", "/v1/account/keys", { authorization });
  return xor((await openBundle(bundle, bundleKey)).wrapKb, unwrapBKey);
}

// Changes the password; the key stays and is wrapped again. Returns the session that replaces `session`.
export async function changePassword(session, email, old, password) {
  const authorization = await bearer(session);
  const { email: registered, proof, answer } = await authenticate(email, old, ({ email: name, authPW }) =>
    call("POST", "/v1/password/change/start", { authorization, body: { email: name, oldAuthPW: authPW } }));
  const kB = await fetchKey(answer.keyFetchToken, proof.unwrapBKey);
  const next = await stretch(registered, password);
  const wrapKb = hex(xor(kB, next.unwrapBKey));
  kB.fill(0);
  const { id } = await openToken(session, "sessionToken");
  return call("POST", "/v1/password/change/finish?keys=true", {
    authorization: await bearer(answer.passwordChangeToken, "passwordChangeToken"),
    body: { authPW: next.authPW, wrapKb, sessionToken: id },
  });
}

export const closeAccount = (session, email, password) =>
  authenticate(email, password, async (body) =>
    call("POST", "/v1/account/destroy", { authorization: await bearer(session), body }));
