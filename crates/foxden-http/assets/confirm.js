// Confirms an address with the link of a mail. The code is in the fragment, so no log contains it, and it is used
// only when the user asks for it: mail scanners open links, too.

import { call } from "./api.js";
import { FormError } from "./checks.js";
import { showFailure, done, form, show, showError } from "./stepper.js";

// The errors of an unknown or expired link.
const UNUSABLE = [102, 105, 107, 183];

async function confirm() {
  const [, uid, code] = location.hash.match(/^#([0-9a-f]{32})\.([0-9a-f]{32})$/) ?? [];
  if (!uid) {
    show("no-link");
    return showError("link");
  }
  await form("confirm", {}, async () => {
    try {
      await call("POST", "/v1/recovery_email/verify_code", { body: { uid, code } });
    } catch (refusal) {
      throw UNUSABLE.includes(refusal.errno) ? new FormError({ error: "link" }) : refusal;
    }
  });
  history.replaceState(null, "", location.pathname);
  show("confirmed");
  done({ words: "confirmed" });
}

confirm().catch((error) => {
  show("no-link");
  showFailure(error);
});

// A link opened in the same tab changes only the fragment.
addEventListener("hashchange", () => location.reload());
