// Creates an account from an invitation, in any browser. The code is in the fragment, so no log contains it.

import { bearer, call } from "./api.js";
import { checkEmail, checkNewPassword } from "./checks.js";
import { confirm, wantsCode } from "./code.js";
import { showCopyButtons } from "./copy.js";
import { signUp } from "./person.js";
import { showFailure, done, form, show, showError } from "./stepper.js";

async function welcome() {
  if (!globalThis.crypto?.subtle) return halt("insecure");
  const invite = location.hash.slice(1).trim();
  if (!invite) return halt("invite");
  const { email, answer } = await make(invite);
  // The code is used, so it need not stay in the browser's history.
  history.replaceState(null, "", location.pathname);
  const authorization = await bearer(answer.sessionToken);
  if (wantsCode(answer)) await confirm(email, authorization);
  // The user signs in from the browser's menu, with another session.
  await call("POST", "/v1/session/destroy", { authorization, body: {} }).catch(() => {});
  show("made", { email });
  showCopyButtons();
  done({ words: "made" }, { email });
}

const make = (invite) =>
  form("sign-up", {}, async (typed) => {
    const email = checkEmail(typed.email);
    checkNewPassword(email, typed.password, typed.repeat);
    return signUp(email, typed.password, { invite });
  });

function halt(error) {
  show(error === "insecure" ? "insecure" : "no-invite");
  showError(error);
}

welcome().catch((error) => {
  show("stopped");
  showFailure(error);
});

// A link opened in the same tab changes only the fragment.
addEventListener("hashchange", () => location.reload());
