// Holds the modules that make the keys against published vectors, in the browser that will run them.

import { base64url, concat, hex, unhex, utf8, xor } from "/bytes.js";
import { openBundle, openToken, seal, stretch, syncKey } from "/onepw.js";

const count = (from, length = 32) => Uint8Array.from({ length }, (_, at) => from + at);

async function wrong() {
  const faults = [];
  const same = (what, got, wanted) => got === wanted || faults.push(`${what}: ${got}, not ${wanted}`);

  const proof = await stretch("andré@example.org", "pässwörd");
  same("authPW", proof.authPW, "247b675ffb4c46310bc87e26d712153abe5e1c90ef00a4784594f97ef54f2375");
  same("unwrapBKey", hex(proof.unwrapBKey), "de6a2648b78284fcb9ffa81ba95803309cfba7af583c01a8a1a63e567234dd28");

  const fetchToken = await openToken(hex(count(0x80)), "keyFetchToken");
  same("key-fetch id", fetchToken.id, "3d0a7c02a15a62a2882f76e39b6494b500c022a8816e048625a495718998ba60");
  same("key-fetch key", hex(fetchToken.authKey), "87b8937f61d38d0e29cd2d5600b3f4da0aa48ac41de36a0efe84bb4a9872ceb7");
  same("bundle key", hex(fetchToken.bundleKey), "14f338a9e8c6324d9e102d4e6ee83b209796d5c74bb734a410e729e014a4a546");

  const bundle =
    "ee5c58845c7c9412b11bbd20920c2fddd83c33c9cd2c2de2d66b222613364636c2c0f8cfbb7c630472c0bd88451342c6" +
    "c05b14ce342c5ad46ad89e84464c993c3927d30230157d0817a077eef4b20d976f7a97363faf3f064c003ada7d01aa70";
  const keys = await openBundle(bundle, fetchToken.bundleKey);
  same("kA", hex(keys.kA), hex(count(0x20)));
  same("wrapKb", hex(keys.wrapKb), hex(count(0x40)));
  const forged = await openBundle(bundle.replace("ee5c", "ee5d"), fetchToken.bundleKey).catch(() => "refused");
  same("a forged bundle", forged, "refused");

  const session = await openToken(hex(count(0xa0)), "sessionToken");
  same("session id", session.id, "c0a29dcf46174973da1378696e4c82ae10f723cf4f4d9f75e39f4ae3851595ab");
  same("session key", hex(session.authKey), "9d8f22998ee7f5798b887042466b72d53e56ab0c094388bf65831f702d2febc0");
  const other = await openToken("0f".repeat(32), "sessionToken");
  same("bearer", other.id, "923ee512d6153af6796ecb3aaddb1e8a48a713ef79cf0dbcfcc124456fd3ed6a");

  const key = await syncKey(count(0), 1795224914997);
  same("kid", key.kid, "1795224914997-Yw3NKWbEM2aRElRIu7JbTw");
  same("k", key.k, "GEKLLMfWCPr4sZb2CtRo0oNAJSvsX_aTkgnsU7_q37chuk3z1MmDGXs0GO8KGYgwiIF75yvMLD-qVq0MmOjqng");

  const curve = { name: "ECDH", namedCurve: "P-256" };
  const recipient = {
    kty: "EC",
    crv: "P-256",
    x: "UVw9brnjlrkE0_7Kf1T9zQzB6Ze_N13KUVrQpsO0A18",
    y: "RTa-OlDzGPv5pUdZAqIhUCvvDVfgjFOyzApW8X2fk1Q",
    // The browser's key carries these as well.
    ext: true,
    key_ops: [],
  };
  const point = {
    kty: "EC",
    crv: "P-256",
    x: "HxQBRr-xslH4T03b4NTNz9d6_ZhKlSDjV5QCH4MSu54",
    y: "7JlaCLH6dwTfPcwLUKlmUmP7dxH5X5-KRJxQluR8iSs",
  };
  const own = {
    privateKey: await crypto.subtle.importKey("jwk", { ...point, d: base64url(count(0x21)) }, curve, false, ["deriveBits"]),
    publicKey: await crypto.subtle.importKey("jwk", point, curve, true, []),
  };
  const parts = (await seal("{}", recipient, { own, iv: count(0, 12) })).split(".");
  same("number of parts", parts.length, 5);
  same("key part", parts[1], "");
  same("sealed", parts[3], "VM8");
  same("tag", parts[4], "2vZ2JtQ-S2o5kIHFuMA3AQ");

  same("xor", hex(xor(unhex("ff00"), unhex("0ff0"))), "f0f0");
  same("concat", hex(concat(utf8("a"), utf8("b"))), "6162");
  return faults;
}

const result = document.getElementById("result");
wrong().then(
  (faults) => (result.textContent = faults.length ? faults.join("\n") : "all right"),
  (error) => (result.textContent = `${error}\n${error.stack}`),
);
