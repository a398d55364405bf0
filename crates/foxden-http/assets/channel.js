// Talks with the browser itself: WebChannel messages, which only Firefox understands, and only on pages of
// the server that its preference names, once a sign-in was begun from its own menu.

const NAME = "account_updates";

// `reason`: "absent" (the browser does not listen to this page), "silent" (no answer came in time) or
// "refused" (it said no; the message says why).
class ChannelError extends Error {
  constructor(reason, message = reason) {
    super(message);
    this.reason = reason;
  }
}

const STATUS_PATIENCE_MS = 3000;

// The browsers that have such a channel at all.
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

// Says something that is not answered.
export function tell(command, data) {
  send(newId(), command, data);
}

// Asks, and waits for the answer as long as told.
export function ask(command, data, patienceMs) {
  return new Promise((resolve, reject) => {
    const messageId = newId();
    const end = (outcome) => (value) => {
      clearTimeout(timer);
      pending.delete(messageId);
      outcome(value);
    };
    const timer = setTimeout(end(reject), patienceMs, new ChannelError("silent"));
    pending.set(messageId, { settle: end(resolve), fail: end(reject) });
    send(messageId, command, data);
  });
}

// What the browser says of itself and of who is signed in; nothing if it does not talk to this page.
export async function meet(context = "oauth_webchannel_v1") {
  if (!isFirefox()) return undefined;
  try {
    const question = { service: "sync", context, isPairing: false };
    return await ask("fxaccounts:fxa_status", question, STATUS_PATIENCE_MS);
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
  // Firefox for iOS wants the object, all others its text.
  const isIos = /\bFxiOS\//.test(navigator.userAgent);
  dispatchEvent(new CustomEvent("WebChannelMessageToChrome", { detail: isIos ? detail : JSON.stringify(detail) }));
}
