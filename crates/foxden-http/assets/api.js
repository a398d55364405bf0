// Calls of this server's HTTP API.

import { openToken } from "./onepw.js";

const TIMEOUT_MS = 30_000;

// The server refused a request, with its error number. 201 also means that the server cannot be reached.
export class Refusal extends Error {
  constructor(answer, wait = 0) {
    super(answer.message ?? "no answer");
    this.errno = answer.errno ?? 999;
    this.answer = answer;
    this.wait = wait;
  }
}

const PREFIX = {
  sessionToken: "fxs_",
  keyFetchToken: "fxk_",
  passwordChangeToken: "fxpc_",
  passwordForgotToken: "fxpf_",
  accountResetToken: "fxar_",
};

// The `Authorization` header of a request for the holder of a token.
export async function bearer(token, kind = "sessionToken") {
  return `Bearer ${PREFIX[kind]}${(await openToken(token, kind)).id}`;
}

// Sends one request. Returns the object of the answer, or throws a `Refusal`. A string or a Blob is sent as it is.
export async function call(method, path, { authorization, body, keepalive = false } = {}) {
  const headers = { Accept: "application/json" };
  if (authorization) headers.Authorization = authorization;
  const isFile = body instanceof Blob;
  if (body !== undefined) headers["Content-Type"] = isFile ? body.type : "application/json";
  let response;
  let answer;
  try {
    response = await fetch(path, {
      method,
      headers,
      body: body === undefined || isFile ? body : JSON.stringify(body),
      credentials: "omit",
      cache: "no-store",
      keepalive,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    const text = await response.text();
    answer = text ? JSON.parse(text) : {};
  } catch (cause) {
    throw new Refusal({ errno: response && !response.ok ? 999 : 201, message: String(cause) });
  }
  if (!response.ok) throw new Refusal(answer, Number(response.headers.get("Retry-After")));
  return answer;
}

// A session that the browser does not have (yet). It ends with the page, unless it is handed over. The request that
// ends it is prepared in advance, as a page that closes has no time for it.
let held;

export async function hold(sessionToken) {
  held = await bearer(sessionToken);
  return held;
}

// Keeps the session. Returns the request that would end it.
export function handOver() {
  const authorization = held;
  held = undefined;
  return authorization;
}

export async function endHeld() {
  const authorization = handOver();
  if (authorization) await endSession(authorization);
}

// A failure to end a session has no effect for the user: the session expires.
export async function endSession(authorization) {
  await call("POST", "/v1/session/destroy", { authorization, body: {}, keepalive: true }).catch(() => {});
}

addEventListener("pagehide", () => void endHeld());
addEventListener("pageshow", (event) => event.persisted && location.reload());
