//! Writes the elements of a tensor as lists of JSON, each as JavaScript writes it.

use core::fmt::Write;

use crate::decimal::{Decimal, Text, TEXT_BYTES_MAX};
use crate::read::{input, output, OUTPUT_BYTES, RANK_MAX, WINDOW_BYTES};

/// Elements at once: each with its text, and with brackets around it where its lists begin and end.
const COUNT_MAX: usize = OUTPUT_BYTES / (TEXT_BYTES_MAX + 2 * RANK_MAX);

struct Lists {
    rank: usize,
    shape: [u32; RANK_MAX],
    /// Elements and lists that were written, by dimension.
    counts: [u32; RANK_MAX],
    kind: u32,
    /// Whether floats that JSON has no number for are texts.
    is_quoted: bool,
}

static mut LISTS: Lists = Lists { rank: 0, shape: [0; RANK_MAX], counts: [0; RANK_MAX], kind: 0, is_quoted: false };

/// Where the caller puts the dimensions, none of which is 0.
#[no_mangle]
pub extern "C" fn written_shape() -> *mut u8 {
    unsafe { (&raw mut LISTS.shape).cast() }
}

/// How many elements `write` takes at most.
#[no_mangle]
pub extern "C" fn written_max() -> usize {
    COUNT_MAX
}

/// Begins the lists of a tensor of at least one dimension.
#[no_mangle]
pub extern "C" fn begin_write(kind: u32, rank: usize, is_quoted: u32) {
    let lists = unsafe { &mut *(&raw mut LISTS) };
    lists.kind = kind;
    lists.rank = rank.clamp(1, RANK_MAX);
    lists.is_quoted = is_quoted != 0;
    lists.counts = [0; RANK_MAX];
}

/// Writes the next elements, which are in the input, and gives the bytes of their text in the output.
#[no_mangle]
pub extern "C" fn write(count: usize) -> usize {
    let lists = unsafe { &mut *(&raw mut LISTS) };
    let count = count.min(COUNT_MAX);
    match lists.kind {
        0 => lists.write::<f32>(count),
        1 => lists.write::<f64>(count),
        2 => lists.write::<i8>(count),
        3 => lists.write::<u8>(count),
        4 => lists.write::<i16>(count),
        5 => lists.write::<u16>(count),
        6 => lists.write::<i32>(count),
        7 => lists.write::<u32>(count),
        8 => lists.write::<i64>(count),
        _ => lists.write::<u64>(count),
    }
}

impl Lists {
    fn write<E: Written>(&mut self, count: usize) -> usize {
        let elements: *const E = input().cast();
        let count = count.min(WINDOW_BYTES / size_of::<E>());
        let mut text = Text::new(output());
        let last = self.rank - 1;
        let mut next = 0;
        while next < count {
            if self.counts[last] == 0 {
                self.open(&mut text);
            }
            let row = (self.shape[last] - self.counts[last]).min((count - next) as u32);
            for _ in 0..row {
                unsafe { elements.add(next).read_unaligned() }.write(&mut text, self.is_quoted);
                text.byte(b',');
                next += 1;
            }
            self.counts[last] += row;
            self.close(&mut text);
        }
        text.length(output())
    }

    /// Opens the lists that begin with this element.
    fn open(&self, text: &mut Text) {
        for dimension in (0..self.rank).rev() {
            if self.counts[dimension] > 0 {
                return;
            }
            text.byte(b'[');
        }
    }

    /// Closes the lists that are whole, before the comma that was written last.
    fn close(&mut self, text: &mut Text) {
        let mut is_closed = false;
        for dimension in (0..self.rank).rev() {
            if self.counts[dimension] < self.shape[dimension] {
                break;
            }
            if !is_closed {
                text.back();
            }
            is_closed = true;
            text.byte(b']');
            if dimension == 0 {
                return;
            }
            self.counts[dimension] = 0;
            self.counts[dimension - 1] += 1;
        }
        if is_closed {
            text.byte(b',');
        }
    }
}

trait Written: Copy {
    fn write(self, text: &mut Text, is_quoted: bool);
}

macro_rules! integers {
    ($($integer:ty),*) => {$(
        impl Written for $integer {
            #[inline(always)]
            #[allow(unused_comparisons)]
            fn write(self, text: &mut Text, _is_quoted: bool) {
                if self < 0 {
                    text.byte(b'-');
                }
                text.integer((self as i128).unsigned_abs() as u64);
            }
        }
    )*};
}
integers!(i8, u8, i16, u16, i32, u32, i64, u64);

/// Writes a float that is 0 or none; false for all others.
#[inline(always)]
fn write_special(value: f64, text: &mut Text, is_quoted: bool) -> bool {
    let special: &[u8] = match () {
        _ if value == 0.0 => return zero(value, text),
        _ if value.is_finite() => return false,
        _ if value.is_nan() => b"\"NaN\"",
        _ if value > 0.0 => b"\"Infinity\"",
        _ => b"\"-Infinity\"",
    };
    text.bytes(if is_quoted { special } else { &special[1..special.len() - 1] });
    true
}

fn zero(value: f64, text: &mut Text) -> bool {
    text.bytes(if value.is_sign_negative() { b"-0" } else { b"0" });
    true
}

impl Written for f64 {
    #[inline(always)]
    fn write(self, text: &mut Text, is_quoted: bool) {
        if write_special(self, text, is_quoted) {
            return;
        }
        text.bytes(ryu_js::Buffer::new().format_finite(self).as_bytes());
    }
}

impl Written for f32 {
    #[inline(always)]
    fn write(self, text: &mut Text, is_quoted: bool) {
        let value = f64::from(self);
        if write_special(value, text, is_quoted) {
            return;
        }
        if self.is_sign_negative() {
            text.byte(b'-');
        }
        let size = value.abs();
        if (1e-13..1e3).contains(&size) {
            text.decimal(usual(self));
        } else {
            text.decimal(unusual(size));
        }
    }
}

const SCALES: [f64; 22] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21,
];
/// The least value that a power of ten gives six significant digits of, by how many more than three places it has.
const FROM: [f64; 16] = [1e2, 1e1, 1e0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10, 1e-11, 1e-12, 1e-13];

/// Half of the distance between a power of two and the float above it, as a part of the power.
const HALF_STEP: f64 = 1.0 / (1 << 24) as f64;

/// The shortest decimal of a float from 1e-13 to 1e3, of 6 to 9 digits: by the steps of `tensor/numbers.ts`, so that both are the same.
#[inline(always)]
fn usual(float: f32) -> Decimal {
    let value = f64::from(float);
    let size = value.abs();
    let mut places = 3;
    while size < FROM[places - 3] {
        places += 1;
    }
    // Of nine digits, which always read back as the float; and the distance from it within which all decimals do.
    let nine = unsafe { (size * SCALES[places + 3]).to_int_unchecked::<i64>() } as u32;
    let near = f64::from(f32::from_bits(float.to_bits() & 0x7F80_0000)) * HALF_STEP * SCALES[places + 3] + 2.0;
    for unit in [1_000, 100, 10, 1] {
        let rest = nine % unit;
        // Nearly all of six and seven digits are too far off, which this says without a division of floats.
        if f64::from(rest.min(unit - rest)) <= near {
            let scale = SCALES[places];
            let product = value * scale;
            // As Math.round: half goes up.
            let below = product.floor();
            let rounded = if product - below >= 0.5 { below + 1.0 } else { below };
            if unit == 1 || (rounded / scale) as f32 == float {
                // It has ten digits at most.
                return Decimal { digits: unsafe { rounded.abs().to_int_unchecked::<i64>() } as u64, places: places as i32 };
            }
        }
        places += 1;
    }
    unreachable!()
}

/// The shortest decimal of any other float: of the fewest digits, from 6 on, that are nearest and read back as it.
#[inline(never)]
fn unusual(size: f64) -> Decimal {
    if size < 1e6 && size as u64 as f64 == size {
        return Decimal { digits: size as u64, places: 0 };
    }
    // Below this the floats are so far apart that fewer digits distinguish them.
    let least = if size < 1e-37 { 1 } else { 6 };
    for count in least..9 {
        let candidate = rounded_to(size, count);
        if f64::from(candidate.value() as f32) == size {
            return candidate;
        }
    }
    rounded_to(size, 9)
}

/// The decimal of so many digits that is nearest; of two, the larger.
fn rounded_to(size: f64, count: usize) -> Decimal {
    if size < 1.0 {
        // It is no tie: the exact decimal of so small a float has 30 digits and more.
        let mut scientific = Scientific::new();
        let _ = write!(scientific, "{:.*e}", count - 1, size);
        return scientific.decimal();
    }
    let bits = size.to_bits();
    let exponent = (bits >> 52) as i32 - 1075;
    // A float has 24 bits of these; the rest are zeros.
    let (mantissa, exponent) = (u128::from((bits & ((1 << 52) - 1) | 1 << 52) >> 29), exponent + 29);
    let mut whole = 0;
    let mut power = 1u128;
    let integer = if exponent < 0 { mantissa >> -exponent } else { mantissa << exponent };
    while integer >= power {
        whole += 1;
        // The largest float has 39 digits, and ten to that is more than there is room for.
        let Some(next) = power.checked_mul(10) else { break };
        power = next;
    }
    let places = count as i32 - whole;
    let numerator = mantissa * 10u128.pow(places.max(0) as u32) << exponent.max(0);
    let denominator = 10u128.pow((-places).max(0) as u32) << (-exponent).max(0);
    let (quotient, rest) = (numerator / denominator, numerator % denominator);
    let is_up = rest >= denominator - rest;
    Decimal { digits: quotient as u64 + u64::from(is_up), places }
}

/// What Rust writes of a float with an exponent: `1.25e-7`.
struct Scientific {
    bytes: [u8; 40],
    length: usize,
}

impl Write for Scientific {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        self.length = end;
        Ok(())
    }
}

impl Scientific {
    fn new() -> Self {
        Scientific { bytes: [0; 40], length: 0 }
    }

    fn decimal(&self) -> Decimal {
        let (mut digits, mut places, mut power) = (0u64, 0, 0);
        let (mut is_fraction, mut is_power, mut is_negative) = (false, false, false);
        for byte in &self.bytes[..self.length] {
            match byte {
                b'.' => is_fraction = true,
                b'e' => is_power = true,
                b'-' => is_negative = true,
                digit if is_power => power = power * 10 + i32::from(digit - b'0'),
                digit => {
                    digits = digits * 10 + u64::from(digit - b'0');
                    places += i32::from(is_fraction);
                }
            }
        }
        Decimal { digits, places: if is_negative { places + power } else { places - power } }
    }
}
