// Messages to the browser itself (WebChannel). Only Firefox understands them, only on pages of the server in its
// preferences, and only in a sign-in that began in its own menu.

const NAME = "account_updates";

// `reason`: "absent" (the browser does not listen to this page), "silent" (no answer in time) or "refused" (an
// error, which the message describes).
class ChannelError extends Error {
  constructor(reason, message = reason) {
    super(message);
    this.reason = reason;
  }
}

const STATUS_TIMEOUT_MS = 3000;

// The browsers that have WebChannel.
const isFirefox = () =>
  /\b(?:Firefox|FxiOS)\//.test(navigator.userAgent) && !/Goanna|SeaMonkey/.test(navigator.userAgent);

const pending = new Map();
let count = 0;

addEventListener("WebChannelMessageToContent", (event) => {
  const detail = typeof event.detail === "string" ? JSON.parse(event.detail) : event.detail;
  if (detail?.id !== NAME) return;
  const { messageId, data, error } = detail.message ?? {};
  if (messageId === undefined && error) {
    for (const waiting of pending.values()) waiting.fail(new ChannelError("absent", error));
    return;
  }
  const waiting = pending.get(messageId);
  if (!waiting) return;
  const trouble = data?.error ?? error;
  if (trouble) waiting.fail(new ChannelError("refused", trouble.message ?? String(trouble)));
  else waiting.settle(data ?? {});
});

// Sends a message without an answer.
export function notify(command, data) {
  send(newId(), command, data);
}

// Sends a message and waits for the answer.
export function request(command, data, timeoutMs) {
  return new Promise((resolve, reject) => {
    const messageId = newId();
    const end = (outcome) => (value) => {
      clearTimeout(timer);
      pending.delete(messageId);
      outcome(value);
    };
    const timer = setTimeout(end(reject), timeoutMs, new ChannelError("silent"));
    pending.set(messageId, { settle: end(resolve), fail: end(reject) });
    send(messageId, command, data);
  });
}

// Returns the browser's status and its signed-in user; nothing if it does not listen to this page.
export async function browserStatus(context = "oauth_webchannel_v1") {
  if (!isFirefox()) return undefined;
  try {
    const question = { service: "sync", context, isPairing: false };
    return await request("fxaccounts:fxa_status", question, STATUS_TIMEOUT_MS);
  } catch (error) {
    if (error instanceof ChannelError) return undefined;
    throw error;
  }
}

function newId() {
  count += 1;
  return `${count}.${crypto.getRandomValues(new Uint32Array(1))[0]}`;
}

function send(messageId, command, data) {
  const detail = { id: NAME, message: { command, data, messageId } };
  // Firefox for iOS expects an object, all others JSON.
  const isIos = /\bFxiOS\//.test(navigator.userAgent);
  dispatchEvent(new CustomEvent("WebChannelMessageToChrome", { detail: isIos ? detail : JSON.stringify(detail) }));
}
