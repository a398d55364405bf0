//! Two devices agree on a key with a short secret, without revealing it to an eavesdropper: J-PAKE over
//! the subgroup of order *q* of the integers modulo the 3072-bit prime *p*.

use data_encoding::HEXUPPER;
use num_bigint::BigUint;
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::key::{KeyPair, PURPOSE};
use crate::client::{hkdf, random_bytes};

const P: &str = concat!(
    "90066455b5cfc38f9caa4a48b4281f292c260feef01fd61037e56258a7795a1c7ad46076982ce6bb956936c6ab4dcfe0",
    "5e6784586940ca544b9b2140e1eb523f009d20a7e7880e4e5bfa690f1b9004a27811cd9904af70420eefd6ea11ef7da1",
    "29f58835ff56b89faa637bc9ac2efaab903402229f491d8d3485261cd068699b6ba58a1ddbbef6db51e8fe34e8a78e54",
    "2d7ba351c21ea8d8f1d29f5d5d15939487e27f4416b0ca632c59efd1b1eb66511a5a0fbf615b766c5862d0bd8a3fe7a0",
    "e0da0fb2fe1fcb19e8f9996a8ea0fccde538175238fc8b0ee6f29af7f642773ebe8cd5402415a01451a840476b2fceb0",
    "e388d30d4b376c37fe401c2a2c2f941dad179c540c1c8ce030d460c4d983be9ab0b20f69144c1ae13f9383ea1c08504f",
    "b0bf321503efe43488310dd8dc77ec5b8349b8bfe97c2c560ea878de87c11e3d597f1fea742d73eec7f37be43949ef1a",
    "0d15c3f3e3fc0a8335617055ac91328ec22b50fc15b941d3d1624cd88bc25f3e941fddc6200689581bfec416b4b2cb73",
);
const Q: &str = "cfa0478a54717b08ce64805b76e5b14249a77a4838469df7f7dc987efccfb11d";
const G: &str = concat!(
    "5e5cba992e0a680d885eb903aea78e4a45a469103d448ede3b7accc54d521e37f84a4bdd5b06b0970cc2d2bbb715f7b8",
    "2846f9a0c393914c792e6a923e2117ab805276a975aadb5261d91673ea9aaffeecbfa6183dfcb5d3b7332aa19275afa1",
    "f8ec0b60fb6f66cc23ae4870791d5982aad1aa9485fd8f4a60126feb2cf05db8a7f0f09b3397f3937f2e90b9e5b9c9b6",
    "efef642bc48351c46fb171b9bfa9ef17a961ce96c7e7a7cc3d3d03dfad1078ba21da425198f07d2481622bce45969d9c",
    "4d6063d72ab7a0f08b2f49a7cc6af335e08c4720e31476b67299e231f8bd90b39ac3ae3be0c6b6cacef8289a2e2873d5",
    "8e51e029cafbd55e6841489ab66b5b4b9ba6e2f784660896aff387d92844ccb8b69475496de19da2e58259b090489ac8",
    "e62363cdf82cfd8ef2a427abcd65750b506f56dde3b988567a88126b914d7828e2b63a6d7ed0747ec59e0e0a23ce7d8a",
    "74c1d2c2a7afb6a29799620f00e11c33787f7ded3b30e1a22d09f1fbda1abbbfbf25cae05a13f812e34563f99410e73b",
);

/// The parameters of the group.
pub struct Group {
    /// The modulus.
    pub p: BigUint,
    /// The order of the subgroup.
    pub q: BigUint,
    /// The generator.
    pub g: BigUint,
}

/// One side of the agreement.
pub struct Party {
    group: Group,
    id: &'static str,
    x2: BigUint,
    gx1: BigUint,
    gx2: BigUint,
}

/// The same after it has seen the other side's first message.
pub struct Waiting {
    party: Party,
    secret: BigUint,
    gx3: BigUint,
    gx4: BigUint,
    peer: &'static str,
}

impl Group {
    /// The group that every client has built in.
    pub fn built_in() -> Self {
        let number = |hex: &str| BigUint::parse_bytes(hex.as_bytes(), 16).unwrap();
        Self {
            p: number(P),
            q: number(Q),
            g: number(G),
        }
    }

    /// A secret exponent.
    fn exponent(&self) -> BigUint {
        let below = &self.q - 1_u32;
        BigUint::from_bytes_be(&random_bytes(40)) % below + 1_u32
    }

    fn power(&self, base: &BigUint, exponent: &BigUint) -> BigUint {
        base.modpow(exponent, &self.p)
    }

    /// The hash that a proof answers: each part behind its length in two bytes.
    fn challenge(base: &BigUint, commitment: &BigUint, public: &BigUint, id: &str) -> BigUint {
        let mut text = Vec::new();
        let numbers = [base, commitment, public].map(BigUint::to_bytes_be);
        for part in numbers.iter().map(Vec::as_slice).chain([id.as_bytes()]) {
            text.extend_from_slice(&u16::try_from(part.len()).unwrap().to_be_bytes());
            text.extend_from_slice(part);
        }
        BigUint::from_bytes_be(digest(&SHA256, &text).as_ref())
    }

    /// Proves knowledge of the exponent of a public number, without revealing it (Schnorr).
    pub fn prove(&self, base: &BigUint, exponent: &BigUint, public: &BigUint, id: &str) -> Value {
        let random = self.exponent();
        let commitment = self.power(base, &random);
        let answer = exponent * Self::challenge(base, &commitment, public, id) % &self.q;
        let answer = (random + &self.q - answer) % &self.q;
        json!({ "gr": to_hex(&commitment), "b": to_hex(&answer), "id": id })
    }

    /// Whether such a proof holds, and the number is one that a party may send.
    pub fn holds(&self, base: &BigUint, public: &BigUint, proof: &Value, id: &str) -> bool {
        let (Some(commitment), Some(answer)) = (from_hex(&proof["gr"]), from_hex(&proof["b"])) else {
            return false;
        };
        let one = BigUint::from(1_u32);
        let hash = Self::challenge(base, &commitment, public, id);
        proof["id"] == id
            && *public > one
            && *public < &self.p - 1_u32
            && answer < self.q
            && self.power(public, &self.q) == one
            && self.power(base, &answer) * self.power(public, &hash) % &self.p == commitment
    }
}

impl Party {
    /// Begins: chooses its exponents and makes the first message.
    pub fn begin(id: &'static str) -> (Self, Value) {
        let group = Group::built_in();
        let (x1, x2) = (group.exponent(), group.exponent());
        let (gx1, gx2) = (group.power(&group.g, &x1), group.power(&group.g, &x2));
        let message = json!({
            "gx1": to_hex(&gx1), "gx2": to_hex(&gx2),
            "zkp_x1": group.prove(&group.g, &x1, &gx1, id),
            "zkp_x2": group.prove(&group.g, &x2, &gx2, id),
        });
        let party = Self {
            group,
            id,
            x2,
            gx1,
            gx2,
        };
        (party, message)
    }

    /// Checks the other side's first message and makes the second one; nothing when its proofs do not hold.
    pub fn meet(self, theirs: &Value, peer: &'static str, secret: &str) -> Option<(Waiting, Value)> {
        let (gx3, gx4) = (from_hex(&theirs["gx1"])?, from_hex(&theirs["gx2"])?);
        let group = &self.group;
        let holds = |public, proof| group.holds(&group.g, public, proof, peer);
        if peer == self.id || gx3 == gx4 {
            return None;
        }
        if !holds(&gx3, &theirs["zkp_x1"]) || !holds(&gx4, &theirs["zkp_x2"]) {
            return None;
        }
        let secret = BigUint::from_bytes_be(secret.as_bytes());
        let base = &self.gx1 * &gx3 * &gx4 % &group.p;
        let exponent = &self.x2 * &secret % &group.q;
        let public = group.power(&base, &exponent);
        let proof = group.prove(&base, &exponent, &public, self.id);
        let message = json!({ "A": to_hex(&public), "zkp_A": proof });
        let waiting = Waiting {
            party: self,
            secret,
            gx3,
            gx4,
            peer,
        };
        Some((waiting, message))
    }
}

impl Waiting {
    /// Checks the other side's second message and calculates what both know now.
    pub fn finish(self, theirs: &Value) -> Option<KeyPair> {
        let Party {
            group, x2, gx1, gx2, ..
        } = &self.party;
        let public = from_hex(&theirs["A"])?;
        let base = gx1 * gx2 * &self.gx3 % &group.p;
        if !group.holds(&base, &public, &theirs["zkp_A"], self.peer) {
            return None;
        }
        let exponent = &group.q - x2 * &self.secret % &group.q;
        let unmasked = public * group.power(&self.gx4, &exponent) % &group.p;
        Some(keys(&group.power(&unmasked, x2)))
    }
}

/// The keys that follow from the number agreed upon.
pub fn keys(agreed: &BigUint) -> KeyPair {
    let both = hkdf(&agreed.to_bytes_be(), PURPOSE.as_bytes(), 64);
    let (encryption, hmac) = both.split_at(32);
    KeyPair {
        encryption: encryption.to_vec(),
        hmac: hmac.to_vec(),
    }
}

/// A number as desktops write it: whole bytes in upper-case hex.
pub fn to_hex(number: &BigUint) -> String {
    HEXUPPER.encode(&number.to_bytes_be())
}

fn from_hex(text: &Value) -> Option<BigUint> {
    BigUint::parse_bytes(text.as_str()?.as_bytes(), 16)
}
