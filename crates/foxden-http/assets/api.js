// Calls to this server's HTTP API.

import { openToken } from "./onepw.js";

const PATIENCE_MS = 30_000;

// The server said no, in its own numbers. 201 also stands for a server that cannot be reached.
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

// What a request carries to speak for the holder of a token.
export async function bearer(token, kind = "sessionToken") {
  return `Bearer ${PREFIX[kind]}${(await openToken(token, kind)).id}`;
}

// One request; the answer's object, or a `Refusal`. A string or a Blob as body goes as it is.
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
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    const text = await response.text();
    answer = text ? JSON.parse(text) : {};
  } catch (cause) {
    throw new Refusal({ errno: response && !response.ok ? 999 : 201, message: String(cause) });
  }
  if (!response.ok) throw new Refusal(answer, Number(response.headers.get("Retry-After")));
  return answer;
}

// A session that is not the browser's yet, or never will be: it ends with the page, unless handed over.
// What ends it is made beforehand, as a page that goes away has no time for it.
let held;

export async function hold(sessionToken) {
  held = await bearer(sessionToken);
  return held;
}

// Lets it live. Answers with what would end it.
export function handOver() {
  const authorization = held;
  held = undefined;
  return authorization;
}

export async function endHeld() {
  const authorization = handOver();
  if (authorization) await endSession(authorization);
}

// That a session cannot be ended changes nothing for the person: it dies of age.
export async function endSession(authorization) {
  await call("POST", "/v1/session/destroy", { authorization, body: {}, keepalive: true }).catch(() => {});
}

addEventListener("pagehide", () => void endHeld());
addEventListener("pageshow", (event) => event.persisted && location.reload());
