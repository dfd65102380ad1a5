//! Keys, each for exactly one algorithm.

use hmac::{Hmac, Mac};
use rsa::{pkcs1v15, pss, traits::PublicKeyParts, BigUint, RsaPublicKey};
use sha2::{Sha256, Sha384, Sha512};
use signature::Verifier;

pub const KEYS_MAX: usize = 256;

const RSA_BITS_MIN: usize = 2_048;
const RSA_BITS_MAX: usize = 16_384;

pub enum Key {
    Hs256(Hmac<Sha256>),
    Hs384(Hmac<Sha384>),
    Hs512(Hmac<Sha512>),
    Rs256(pkcs1v15::VerifyingKey<Sha256>),
    Rs384(pkcs1v15::VerifyingKey<Sha384>),
    Rs512(pkcs1v15::VerifyingKey<Sha512>),
    Ps256(pss::VerifyingKey<Sha256>),
    Ps384(pss::VerifyingKey<Sha384>),
    Ps512(pss::VerifyingKey<Sha512>),
    Es256(p256::ecdsa::VerifyingKey),
    Es384(p384::ecdsa::VerifyingKey),
    Es512(p521::ecdsa::VerifyingKey),
    EdDsa(ed25519_dalek::VerifyingKey),
}

impl Key {
    /// `algorithm` is its place in RFC 7518's table: HS, RS, PS, ES with 256, 384 and 512 bits each, then EdDSA.
    pub fn import(algorithm: u32, first: &[u8], second: &[u8]) -> Option<Key> {
        let rsa = || rsa_key(first, second);
        Some(match algorithm {
            0 => Key::Hs256(Hmac::new_from_slice(second).ok()?),
            1 => Key::Hs384(Hmac::new_from_slice(second).ok()?),
            2 => Key::Hs512(Hmac::new_from_slice(second).ok()?),
            3 => Key::Rs256(pkcs1v15::VerifyingKey::new(rsa()?)),
            4 => Key::Rs384(pkcs1v15::VerifyingKey::new(rsa()?)),
            5 => Key::Rs512(pkcs1v15::VerifyingKey::new(rsa()?)),
            // The salt is as long as the hash (RFC 7518 §3.5).
            6 => Key::Ps256(pss::VerifyingKey::new_with_salt_len(rsa()?, 32)),
            7 => Key::Ps384(pss::VerifyingKey::new_with_salt_len(rsa()?, 48)),
            8 => Key::Ps512(pss::VerifyingKey::new_with_salt_len(rsa()?, 64)),
            9 => Key::Es256(p256::ecdsa::VerifyingKey::from_sec1_bytes(second).ok()?),
            10 => Key::Es384(p384::ecdsa::VerifyingKey::from_sec1_bytes(second).ok()?),
            11 => Key::Es512(p521::ecdsa::VerifyingKey::from_sec1_bytes(second).ok()?),
            12 => Key::EdDsa(ed25519_dalek::VerifyingKey::from_bytes(second.try_into().ok()?).ok()?),
            _ => return None,
        })
    }

    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self {
            // The comparison takes the same time wherever they differ.
            Key::Hs256(mac) => mac.clone().chain_update(message).verify_slice(signature).is_ok(),
            Key::Hs384(mac) => mac.clone().chain_update(message).verify_slice(signature).is_ok(),
            Key::Hs512(mac) => mac.clone().chain_update(message).verify_slice(signature).is_ok(),
            Key::Rs256(key) => pkcs1(key, message, signature),
            Key::Rs384(key) => pkcs1(key, message, signature),
            Key::Rs512(key) => pkcs1(key, message, signature),
            Key::Ps256(key) => probabilistic(key, message, signature),
            Key::Ps384(key) => probabilistic(key, message, signature),
            Key::Ps512(key) => probabilistic(key, message, signature),
            // 64, 96 and 132 bytes, r and s (RFC 7518 §3.4); any other length is none.
            Key::Es256(key) => p256::ecdsa::Signature::from_slice(signature).is_ok_and(|s| key.verify(message, &s).is_ok()),
            Key::Es384(key) => p384::ecdsa::Signature::from_slice(signature).is_ok_and(|s| key.verify(message, &s).is_ok()),
            Key::Es512(key) => p521::ecdsa::Signature::from_slice(signature).is_ok_and(|s| key.verify(message, &s).is_ok()),
            Key::EdDsa(key) => ed25519_dalek::Signature::from_slice(signature).is_ok_and(|s| key.verify(message, &s).is_ok()),
        }
    }
}

fn rsa_key(modulus: &[u8], exponent: &[u8]) -> Option<RsaPublicKey> {
    let key = RsaPublicKey::new_with_max_size(
        BigUint::from_bytes_be(modulus),
        BigUint::from_bytes_be(exponent),
        RSA_BITS_MAX,
    )
    .ok()?;
    (key.n().bits() >= RSA_BITS_MIN).then_some(key)
}

fn pkcs1<V: Verifier<pkcs1v15::Signature>>(key: &V, message: &[u8], signature: &[u8]) -> bool {
    pkcs1v15::Signature::try_from(signature).is_ok_and(|s| key.verify(message, &s).is_ok())
}

fn probabilistic<V: Verifier<pss::Signature>>(key: &V, message: &[u8], signature: &[u8]) -> bool {
    pss::Signature::try_from(signature).is_ok_and(|s| key.verify(message, &s).is_ok())
}
