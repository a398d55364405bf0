// The keys of an account: derived from the password, and decrypted from the server's tokens. The password and its
// keys stay in this page; only `authPW` is sent.

import { base64url, concat, hex, unhex, utf8, xor } from "./bytes.js";

const ROUNDS = 1000;

export const SYNC_SCOPE = "https://identity.mozilla.com/apps/oldsync";

const word = (name) => utf8(`identity.mozilla.com/picl/v1/${name}`);

async function hkdf(secret, info, length) {
  const key = await crypto.subtle.importKey("raw", secret, "HKDF", false, ["deriveBits"]);
  const method = { name: "HKDF", hash: "SHA-256", salt: new Uint8Array(), info };
  return new Uint8Array(await crypto.subtle.deriveBits(method, key, length * 8));
}

// `email` is the address as registered, letter for letter: it is the salt.
export async function stretch(email, password) {
  const key = await crypto.subtle.importKey("raw", utf8(password), "PBKDF2", false, ["deriveBits"]);
  const method = { name: "PBKDF2", hash: "SHA-256", salt: word(`quickStretch:${email}`), iterations: ROUNDS };
  const stretched = new Uint8Array(await crypto.subtle.deriveBits(method, key, 256));
  const authPW = hex(await hkdf(stretched, word("authPW"), 32));
  const unwrapBKey = await hkdf(stretched, word("unwrapBkey"), 32);
  stretched.fill(0);
  return { authPW, unwrapBKey };
}

// The id of a token for requests, and the key of what it fetches.
export async function openToken(token, kind) {
  const derived = await hkdf(unhex(token), word(kind), 96);
  return { id: hex(derived.slice(0, 32)), authKey: derived.slice(32, 64), bundleKey: derived.slice(64) };
}

// Returns both keys from the answer of `account/keys`.
export async function openBundle(bundle, bundleKey) {
  const sealed = unhex(bundle);
  const keys = await hkdf(bundleKey, word("account/keys"), 96);
  const hmac = { name: "HMAC", hash: "SHA-256" };
  const key = await crypto.subtle.importKey("raw", keys.slice(0, 32), hmac, false, ["verify"]);
  const isWhole =
    sealed.length === 96 && (await crypto.subtle.verify("HMAC", key, sealed.slice(64), sealed.slice(0, 64)));
  if (!isWhole) throw new Error("the key bundle was changed on its way");
  const open = xor(sealed.slice(0, 64), keys.slice(32));
  return { kA: open.slice(0, 32), wrapKb: open.slice(32) };
}

// The encryption key of Sync in the browser's format. `since` is when the account's key last changed, as the server
// says: two devices with different values would reset each other's storage.
export async function syncKey(kB, since) {
  const fingerprint = new Uint8Array(await crypto.subtle.digest("SHA-256", kB)).slice(0, 16);
  return {
    kty: "oct",
    scope: SYNC_SCOPE,
    kid: `${since}-${base64url(fingerprint)}`,
    k: base64url(await hkdf(kB, word("oldsync"), 64)),
  };
}

// Encrypts `text` to a public key on P-256: compact JWE, ECDH-ES, A256GCM. `own` and `iv` are random for each
// message; only the test with published vectors passes its own.
export async function seal(text, recipient, { own, iv } = {}) {
  const curve = { name: "ECDH", namedCurve: "P-256" };
  own ??= await crypto.subtle.generateKey(curve, true, ["deriveBits"]);
  iv ??= crypto.getRandomValues(new Uint8Array(12));
  // The browser's key has members that an import refuses.
  const { kty, crv, x, y } = recipient;
  const theirs = await crypto.subtle.importKey("jwk", { kty, crv, x, y }, curve, false, []);
  const shared = await crypto.subtle.deriveBits({ name: "ECDH", public: theirs }, own.privateKey, 256);
  const ours = await crypto.subtle.exportKey("jwk", own.publicKey);
  const epk = { kty: ours.kty, crv: ours.crv, x: ours.x, y: ours.y };
  const header = base64url(utf8(JSON.stringify({ alg: "ECDH-ES", enc: "A256GCM", epk })));
  const method = { name: "AES-GCM", iv, additionalData: utf8(header) };
  const key = await crypto.subtle.importKey("raw", await contentKey(shared), "AES-GCM", false, ["encrypt"]);
  const sealed = new Uint8Array(await crypto.subtle.encrypt(method, key, utf8(text)));
  return [header, "", base64url(iv), base64url(sealed.slice(0, -16)), base64url(sealed.slice(-16))].join(".");
}

// One round of the Concat KDF: 256 bits for A256GCM, without party information.
async function contentKey(shared) {
  const number = (value) => Uint8Array.of(0, 0, value >> 8, value & 255);
  const name = utf8("A256GCM");
  const input = concat(
    number(1), new Uint8Array(shared), number(name.length), name, number(0), number(0), number(256),
  );
  return crypto.subtle.digest("SHA-256", input);
}
