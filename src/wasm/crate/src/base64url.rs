//! Base64url (RFC 4648 §5). The caller has checked that the text is canonical; padding is passed over.

const INVALID: u8 = 0xff;

const fn table() -> [u8; 256] {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut table = [INVALID; 256];
    let mut index = 0;
    while index < 64 {
        table[alphabet[index] as usize] = index as u8;
        index += 1;
    }
    table
}

static VALUES: [u8; 256] = table();

/// Decodes into `out` and answers how many bytes there are; nothing where a character is none of the alphabet's, or there is no room.
pub fn decode(text: &[u8], out: &mut [u8]) -> Option<usize> {
    let end = text.iter().rposition(|&byte| byte != b'=').map_or(0, |last| last + 1);
    if text.len() - end > 2 || end % 4 == 1 {
        return None;
    }
    let mut length = 0;
    for group in text[..end].chunks(4) {
        let mut bits = 0u32;
        for &character in group {
            let value = VALUES[character as usize];
            if value == INVALID {
                return None;
            }
            bits = (bits << 6) | u32::from(value);
        }
        let bytes = group.len() * 6 / 8;
        let aligned = bits << (32 - group.len() * 6);
        let target = out.get_mut(length..length + bytes)?;
        target.copy_from_slice(&aligned.to_be_bytes()[..bytes]);
        length += bytes;
    }
    Some(length)
}
