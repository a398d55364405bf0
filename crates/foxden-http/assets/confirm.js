// Confirms an address by the link of a mail. The code stands behind the # of the address, so no log ever holds it,
// and it is used only when the person says so: programs that look through mail open links, too.

import { call } from "./api.js";
import { Mend } from "./checks.js";
import { complain, done, form, show, wrong } from "./stage.js";

// How the server says that a link is not, or no longer, one of its own.
const UNUSABLE = [102, 105, 107, 183];

async function confirm() {
  const [, uid, code] = location.hash.match(/^#([0-9a-f]{32})\.([0-9a-f]{32})$/) ?? [];
  if (!uid) {
    show("no-link");
    return wrong("link");
  }
  await form("confirm", {}, async () => {
    try {
      await call("POST", "/v1/recovery_email/verify_code", { body: { uid, code } });
    } catch (refusal) {
      throw UNUSABLE.includes(refusal.errno) ? new Mend({ error: "link" }) : refusal;
    }
  });
  history.replaceState(null, "", location.pathname);
  show("confirmed");
  done({ words: "confirmed" });
}

confirm().catch((error) => {
  show("no-link");
  complain(error);
});

// A link opened where this page already is changes only what stands behind the #.
addEventListener("hashchange", () => location.reload());
