//! Signatures of JSON Web Tokens (RFC 7518 §3, RFC 8037 §3.1), checked over linear memory.
//!
//! The caller writes into the one buffer (`buffer`), imports a key once and gets its handle, and then checks tokens with it. A check
//! allocates nothing but what RSA's arithmetic needs. There is one thread, so there is no lock.

mod base64url;
mod keys;

use keys::{Key, KEYS_MAX};

/// Room for the longest token, a flattened JWS of three parts of 64 KiB.
const BUFFER_BYTES: usize = 3 * 65_536 + 2;
/// Longest signature: that of an RSA key of 16 384 bits.
const SIGNATURE_BYTES_MAX: usize = 2_048;

static mut BUFFER: [u8; BUFFER_BYTES] = [0; BUFFER_BYTES];
static mut SIGNATURE: [u8; SIGNATURE_BYTES_MAX] = [0; SIGNATURE_BYTES_MAX];
/// Behind pointers, so that a table without keys is zeros and takes no room in the module.
static mut KEYS: [Option<Box<Key>>; KEYS_MAX] = [const { None }; KEYS_MAX];

/// What the functions below answer where they do not answer a handle.
const REFUSED: i32 = -1;

#[no_mangle]
pub extern "C" fn buffer() -> *mut u8 {
    (&raw mut BUFFER).cast()
}

#[no_mangle]
pub extern "C" fn buffer_bytes() -> usize {
    BUFFER_BYTES
}

/// Imports the key whose material is at the start of the buffer, and wipes it there. `second` is where the material's second part
/// begins: an RSA key is modulus and exponent, all others have one part. Answers a handle, or -1.
#[no_mangle]
pub extern "C" fn import_key(algorithm: u32, length: usize, second: usize) -> i32 {
    if length > BUFFER_BYTES || second > length {
        return REFUSED;
    }
    // One thread: nobody else looks at the statics.
    let (buffer, keys) = unsafe { (&mut *(&raw mut BUFFER), &mut *(&raw mut KEYS)) };
    let (first, rest) = buffer[..length].split_at(second);
    let key = Key::import(algorithm, first, rest);
    buffer[..length].fill(0);
    let Some(place) = keys.iter().position(Option::is_none) else { return REFUSED };
    match key {
        None => REFUSED,
        Some(key) => {
            keys[place] = Some(Box::new(key));
            place as i32
        }
    }
}

/// Forgets a key; its handle may then be another's.
#[no_mangle]
pub extern "C" fn drop_key(handle: usize) {
    let keys = unsafe { &mut *(&raw mut KEYS) };
    if let Some(place) = keys.get_mut(handle) {
        *place = None;
    }
}

/// Checks the token at the start of the buffer: what is signed is its first `signed` bytes, the signature in base64url begins after the
/// dot that follows, and ends at `length`. Answers 1 for right, 0 for wrong.
#[no_mangle]
pub extern "C" fn verify(handle: usize, signed: usize, length: usize) -> i32 {
    if length > BUFFER_BYTES || signed >= length {
        return 0;
    }
    let (buffer, signature, keys) =
        unsafe { (&*(&raw const BUFFER), &mut *(&raw mut SIGNATURE), &*(&raw const KEYS)) };
    let Some(Some(key)) = keys.get(handle) else { return 0 };
    let Some(bytes) = base64url::decode(&buffer[signed + 1..length], signature) else { return 0 };
    i32::from(key.verify(&buffer[..signed], &signature[..bytes]))
}
