// What the browser receives: a session, then a code, and the encrypted key.

import { bearer, call, endSession, handOver } from "./api.js";
import { request } from "./channel.js";
import { hex, unbase64url } from "./bytes.js";
import { seal, SYNC_SCOPE, syncKey } from "./onepw.js";
import { fetchKey } from "./person.js";
import { waiting } from "./stepper.js";

const SECOND = 1000;
const PROFILE_SCOPE = "profile";
const DESKTOP = "5882386c6d801776";

const query = new URLSearchParams(location.search);

// Whether the browser accepted the session.
let isGiven = false;
export const hasSession = () => isGiven;

// The encryption key of Sync. The server returns its part once.
export async function makeKey({ answer, proof }, session, { clientId }) {
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

export async function handSession({ email, answer }, sessionToken, choice) {
  const { uid, authAt } = answer;
  await login({ email, uid, sessionToken, verified: true, authAt, services: { sync: choice } });
}

// From here on the session is the browser's, unless it refuses. It registers its device before it answers, and
// waits for its push service before that.
async function login(data) {
  const authorization = handOver();
  try {
    await slowly(request("fxaccounts:login", data, 60 * SECOND));
    isGiven = true;
  } catch (error) {
    if (error.reason === "refused" && authorization) await endSession(authorization);
    throw error;
  }
}

// A flow that was begun in another tab may have ended. So each hand-over begins its own, and once more if that has
// ended, too.
export async function handCode(session, key, isNew, choice) {
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
  await slowly(request("fxaccounts:oauth_login", data, 60 * SECOND));
}

// Browsers that cannot begin a flow on request have put one into the URL.
async function beginFlow() {
  try {
    return await request("fxaccounts:oauth_flow_begin", { scopes: [SYNC_SCOPE, PROFILE_SCOPE] }, 5 * SECOND);
  } catch (error) {
    if (!query.has("client_id") || !query.has("keys_jwk")) throw error;
    return Object.fromEntries(query);
  }
}

// Desktop before 2025 fetches the key itself, with keys derived from the password.
export async function handToOldDesktop({ email, answer, proof }, sessionToken, choice) {
  const data = {
    email,
    uid: answer.uid,
    sessionToken,
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
}

async function slowly(answer) {
  const hint = setTimeout(waiting, 3 * SECOND, { words: "slow" });
  try {
    return await answer;
  } finally {
    clearTimeout(hint);
  }
}
