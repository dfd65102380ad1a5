//! A number by the grammar of JSON (RFC 8259 §6), as the float of a tensor that is nearest to it.

/// What may be read behind the place where a number begins: zeros there end it.
pub const SLACK_BYTES: usize = 16;

/// The parts of a number: its digits as an integer, and the power of ten that they are multiplied by.
pub struct Number {
    /// Right where there are at most 18 digits.
    mantissa: u64,
    /// Without zeros in front.
    digits: u32,
    exponent: i32,
    is_negative: bool,
}

const DIGITS_MAX: u32 = 18;
/// Beyond all doubles; an exponent is read no further.
const EXPONENT_MAX: i32 = 100_000;

#[inline(always)]
fn byte(text: &[u8], at: usize) -> u8 {
    // The caller keeps `SLACK_BYTES` of zeros behind the text, and every loop here ends at a zero.
    unsafe { *text.get_unchecked(at) }
}

#[inline(always)]
pub fn is_digit(byte: u8) -> bool {
    byte.wrapping_sub(b'0') < 10
}

#[inline(always)]
fn eight_at(text: &[u8], at: usize) -> u64 {
    u64::from_le(unsafe { text.as_ptr().add(at).cast::<u64>().read_unaligned() })
}

#[inline(always)]
fn are_digits(eight: u64) -> bool {
    let high = eight & 0xF0F0_F0F0_F0F0_F0F0;
    let high_above = eight.wrapping_add(0x0606_0606_0606_0606) & 0xF0F0_F0F0_F0F0_F0F0;
    high | (high_above >> 4) == 0x3333_3333_3333_3333
}

/// The value of eight digits: of pairs, then of four, then of all, at once.
#[inline(always)]
fn value_of(eight: u64) -> u64 {
    const MASK: u64 = 0x0000_00FF_0000_00FF;
    let values = eight - 0x3030_3030_3030_3030;
    let pairs = values.wrapping_mul(10).wrapping_add(values >> 8);
    let upper = (pairs & MASK).wrapping_mul(0x000F_4240_0000_0064);
    let lower = ((pairs >> 16) & MASK).wrapping_mul(0x0000_2710_0000_0001);
    upper.wrapping_add(lower) >> 32
}

/// Puts the digits from a place on behind a mantissa, and says where they end.
#[inline(always)]
fn digits(text: &[u8], mut at: usize, mut mantissa: u64) -> (u64, usize) {
    loop {
        let eight = eight_at(text, at);
        if !are_digits(eight) {
            break;
        }
        mantissa = mantissa.wrapping_mul(100_000_000).wrapping_add(value_of(eight));
        at += 8;
    }
    while is_digit(byte(text, at)) {
        mantissa = mantissa.wrapping_mul(10).wrapping_add(u64::from(byte(text, at) - b'0'));
        at += 1;
    }
    (mantissa, at)
}

/// Reads the number that begins at a place, and says where it ends; none where the grammar of JSON has no such number.
#[inline(always)]
pub fn number(text: &[u8], begin: usize) -> Option<(Number, usize)> {
    let is_negative = byte(text, begin) == b'-';
    let mut at = begin + usize::from(is_negative);
    let first = byte(text, at);
    let whole = at;
    let mut mantissa = 0;
    if first == b'0' {
        at += 1;
        if is_digit(byte(text, at)) {
            return None;
        }
    } else if is_digit(first) {
        (mantissa, at) = digits(text, at, 0);
    } else {
        return None;
    }
    // By its first digit: a mantissa that has wrapped around may be 0.
    let mut count = if first == b'0' { 0 } else { at - whole };
    let mut exponent = 0;
    if byte(text, at) == b'.' {
        at += 1;
        let fraction = at;
        if first == b'0' {
            while byte(text, at) == b'0' {
                at += 1;
            }
        }
        let significant = at;
        (mantissa, at) = digits(text, at, mantissa);
        if at == fraction {
            return None;
        }
        count += at - significant;
        exponent = -((at - fraction) as i32);
    }
    if byte(text, at) | 0x20 == b'e' {
        let (power, end) = power(text, at + 1)?;
        exponent += power;
        at = end;
    }
    Some((Number { mantissa, digits: count as u32, exponent, is_negative }, at))
}

/// What stands behind the `e` of a number, and where it ends.
fn power(text: &[u8], mut at: usize) -> Option<(i32, usize)> {
    let sign = byte(text, at);
    at += usize::from(sign == b'-' || sign == b'+');
    let begin = at;
    let mut power = 0;
    while is_digit(byte(text, at)) {
        if power < EXPONENT_MAX {
            power = power * 10 + i32::from(byte(text, at) - b'0');
        }
        at += 1;
    }
    (at > begin).then_some((if sign == b'-' { -power } else { power }, at))
}

/// Powers of ten as doubles: exact up to 22, the nearest from there on.
const POWERS: [f64; 61] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
    1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30, 1e31, 1e32, 1e33, 1e34, 1e35, 1e36, 1e37, 1e38, 1e39, 1e40, 1e41, 1e42, 1e43,
    1e44, 1e45, 1e46, 1e47, 1e48, 1e49, 1e50, 1e51, 1e52, 1e53, 1e54, 1e55, 1e56, 1e57, 1e58, 1e59, 1e60,
];
const EXACT_POWER_MAX: u32 = 22;
const POWER_MAX: u32 = 60;

impl Number {
    /// The product of mantissa and power, each and the product rounded. The exponent is at most `POWER_MAX` from zero.
    #[inline(always)]
    fn rounded(&self) -> f64 {
        let mantissa = self.mantissa as i64 as f64;
        let power = POWERS[self.exponent.unsigned_abs() as usize];
        if self.exponent < 0 { mantissa / power } else { mantissa * power }
    }

    #[inline(always)]
    fn signed<T: core::ops::Neg<Output = T>>(&self, size: T) -> T {
        if self.is_negative { -size } else { size }
    }
}

/// The double that is nearest; none where it is beyond all of them.
#[inline(never)]
fn nearest(text: &[u8]) -> Option<f64> {
    // The grammar of JSON is all ASCII.
    let value = unsafe { core::str::from_utf8_unchecked(text) }.parse::<f64>().ok()?;
    value.is_finite().then_some(value)
}

/// What the elements of a list become.
pub trait Element: Copy {
    /// The element of a number, whose text is given too; none where it has none.
    fn of(number: &Number, text: &[u8]) -> Option<Self>;
}

impl Element for f64 {
    #[inline(always)]
    fn of(number: &Number, text: &[u8]) -> Option<f64> {
        // Mantissa and power are exact, so that only the product is rounded.
        let is_exact = number.digits <= DIGITS_MAX && number.mantissa <= 1 << 53 && number.exponent.unsigned_abs() <= EXACT_POWER_MAX;
        if is_exact { Some(number.signed(number.rounded())) } else { nearest(text) }
    }
}

impl Element for f32 {
    /// The float nearest to the double nearest to the number, which is what storing a number of JavaScript gives.
    #[inline(always)]
    fn of(number: &Number, text: &[u8]) -> Option<f32> {
        /// Half of the distance between two floats, in doubles.
        const HALF: u64 = 1 << 28;
        /// The product is at most three doubles beside the nearest one.
        const MARGIN: u64 = 8;
        if number.digits <= DIGITS_MAX && number.exponent.unsigned_abs() <= POWER_MAX {
            let value = number.rounded();
            let low = value.to_bits() & (2 * HALF - 1);
            // Where no tie between two floats is near, it and the nearest double are rounded to the same float.
            let is_clear = low.wrapping_sub(HALF - MARGIN) > 2 * MARGIN;
            if is_clear && value > 1.2e-38 && value < 3.4e38 || number.mantissa == 0 {
                return Some(number.signed(value as f32));
            }
        }
        let value = nearest(text)?;
        (value.abs() <= f64::from(f32::MAX)).then_some(value as f32)
    }
}
