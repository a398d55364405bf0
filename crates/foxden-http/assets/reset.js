// A forgotten password: a code opens the account again, with a new key. Or the first password of an account.

import { bearer, call, Refusal } from "./api.js";
import { checkEmail, checkNewPassword, FormError } from "./checks.js";
import { stretch } from "./onepw.js";
import { showFailure, LinkFollowed, done, form, show, triesLeft, showError } from "./stepper.js";

// The errors of an unknown or expired link.
const UNUSABLE = [105, 107, 110, 183];

async function reset() {
  if (!globalThis.crypto?.subtle) return halt("insecure");
  const code = location.hash.slice(1).trim();
  const { email, token, isFirst } = code ? await openLink(code) : await proveByCode();
  await (isFirst ? setFirstPassword : setPassword)(email, token);
  history.replaceState(null, "", location.pathname);
  show(isFirst ? "first-done" : "reset-done");
  done({ words: "reset-done" });
}

// The code of a link is in the fragment, so no log contains it. It works once, so it is used only when the user
// continues: mail scanners open links, too.
const openLink = (code) =>
  form("link", {}, async () => {
    try {
      return await (code.includes(".") ? openMailedLink(code) : openOperatorsLink(code));
    } catch (refusal) {
      throw UNUSABLE.includes(refusal.errno) ? new FormError({ error: "link" }) : refusal;
    }
  });

async function openOperatorsLink(code) {
  const link = await call("POST", "/v1/password/link", { body: { code } });
  return { email: link.email, token: link.accountResetToken, isFirst: link.hasPassword === false };
}

// The link of a mail has the state of the page that asked for it: the token, the code, the address.
async function openMailedLink(link) {
  const [, token, code, address] = link.match(/^([0-9a-f]{64})\.([0-9a-f]{32})\.(.+)$/) ?? [];
  if (!token) throw new FormError({ error: "link" });
  const authorization = await bearer(token, "passwordForgotToken");
  const answer = await call("POST", "/v1/password/forgot/verify_code", { authorization, body: { code } });
  return { email: decodeURIComponent(address), token: answer.accountResetToken };
}

async function proveByCode() {
  for (;;) {
    try {
      const { email, token, tries } = await askCode();
      return { email, token: await checkCode(email, token, tries) };
    } catch (error) {
      if (!(error instanceof LinkFollowed)) throw error;
    }
  }
}

// The server may know the address in another spelling, which is part of the key.
const askCode = () =>
  form("forgot", { email: new URLSearchParams(location.search).get("email") }, async (typed) => {
    const email = checkEmail(typed.email);
    try {
      return begun(email, await sendCode(email));
    } catch (refusal) {
      const registered = refusal.errno === 120 && refusal.answer.email;
      if (!registered) throw refusal;
      return begun(registered, await sendCode(registered));
    }
  });

const sendCode = (email) => call("POST", "/v1/password/forgot/send_code", { body: { email } });
const begun = (email, answer) => ({ email, token: answer.passwordForgotToken, tries: answer.tries ?? 3 });

const checkCode = (email, token, tries) => {
  let left = tries;
  return form("forgot-code", { email }, async ({ code }) => {
    const authorization = await bearer(token, "passwordForgotToken");
    const body = { code: code.toLowerCase().replace(/[\s-]/g, "") };
    if (!/^[0-9a-f]{32}$/.test(body.code)) throw new FormError({ field: "code", error: "code-form" });
    try {
      return (await call("POST", "/v1/password/forgot/verify_code", { authorization, body })).accountResetToken;
    } catch (refusal) {
      // A token without tries left is deleted.
      if (refusal.errno === 110) throw new Refusal({ errno: 152 });
      refusal.fills = { left: triesLeft((left -= 1)) };
      throw refusal;
    }
  });
};

// An account without a password has no data that a new key could make unreadable.
const setFirstPassword = (email, token) =>
  form("first-password", { email }, async (typed) => send(email, token, typed));

const setPassword = (email, token) =>
  form("new-password", { email }, async (typed) => {
    if (!typed.understood) throw new FormError({ field: "understood", error: "tick" });
    return send(email, token, typed);
  });

async function send(email, token, typed) {
  checkNewPassword(email, typed.password, typed.repeat);
  const { authPW, unwrapBKey } = await stretch(email, typed.password);
  unwrapBKey.fill(0);
  const authorization = await bearer(token, "accountResetToken");
  await call("POST", "/v1/account/reset", { authorization, body: { authPW } });
}

function halt(error) {
  show(error);
  showError(error);
}

reset().catch((error) => {
  show("stopped");
  showFailure(error);
});

// A link opened in the same tab changes only the fragment.
addEventListener("hashchange", () => location.reload());
