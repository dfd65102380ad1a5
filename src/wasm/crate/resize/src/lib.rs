//! Resizes 8-bit pictures as Pillow does, over linear memory: sums of bytes times integers of 23 bits and a sign.
//!
//! A weight is two halves, weight = high × 2^15 + low, so that one instruction (`i32x4.dot_i16x8_s`) multiplies the bytes of two neighbours
//! with their weights and adds the products. All sums wrap, as integers of 32 bits do, so the result is exactly that of whole weights.
//!
//! Memory belongs to the caller: it says where regions are, checks that they fit, and leaves 16 bytes free behind each, which may be read
//! and written.
#![no_std]

use core::arch::wasm32::*;

/// Bits of a weight behind the point, and a half of the last one that stays.
const WEIGHT_BITS: u32 = 22;
const ROUNDING: i32 = 1 << (WEIGHT_BITS - 1);
const LOW_BITS: u32 = 15;
/// Bytes of a colour.
const COLOUR: usize = 3;
/// Bytes of a vector.
const WIDTH: usize = 16;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    unreachable()
}

/// What each value of a resized line is made of.
#[derive(Clone, Copy)]
struct Side {
    /// For each value: the first that counts, and how many.
    ranges: *const i32,
    /// For each value `stride` integers: for every two that count, the low halves of their weights, then the high ones. A multiple of four
    /// integers; those without a value are 0.
    weights: *const i32,
    stride: usize,
}

impl Side {
    unsafe fn at(&self, index: usize) -> (usize, usize, *const i32) {
        let range = self.ranges.add(index * 2);
        (*range as usize, *range.add(1) as usize, self.weights.add(index * self.stride))
    }
}

/// Two weights for every pair of a vector.
unsafe fn pair(weights: *const i32) -> v128 {
    v128_load32_splat(weights.cast())
}

fn rounded(low: v128, high: v128) -> v128 {
    let sum = i32x4_add(i32x4_add(low, i32x4_shl(high, LOW_BITS)), i32x4_splat(ROUNDING));
    i32x4_shr(sum, WEIGHT_BITS)
}

/// Of four colours the first two as pairs of 16 bits: red and red, green and green, blue and blue.
fn first_pairs(four: v128) -> v128 {
    i8x16_shuffle::<0, 16, 3, 16, 1, 16, 4, 16, 2, 16, 5, 16, 16, 16, 16, 16>(four, i8x16_splat(0))
}

/// The same of the last two.
fn last_pairs(four: v128) -> v128 {
    i8x16_shuffle::<6, 16, 9, 16, 7, 16, 10, 16, 8, 16, 11, 16, 16, 16, 16, 16>(four, i8x16_splat(0))
}

/// Resizes some lines at once, so that weights are loaded once for all.
#[inline(always)]
unsafe fn lines<const LINES: usize>(source: *const u8, line: usize, to: *mut u8, count: usize, side: Side) {
    for x in 0..count {
        let (first, length, mut weights) = side.at(x);
        let mut low = [i32x4_splat(0); LINES];
        let mut high = [i32x4_splat(0); LINES];
        let mut from = source.add(first * COLOUR);
        let mut left = length;
        while left > 2 {
            let (one, two, three, four) =
                (pair(weights), pair(weights.add(1)), pair(weights.add(2)), pair(weights.add(3)));
            for index in 0..LINES {
                let colours = v128_load(from.add(index * line).cast());
                let (begin, end) = (first_pairs(colours), last_pairs(colours));
                low[index] =
                    i32x4_add(low[index], i32x4_add(i32x4_dot_i16x8(begin, one), i32x4_dot_i16x8(end, three)));
                high[index] =
                    i32x4_add(high[index], i32x4_add(i32x4_dot_i16x8(begin, two), i32x4_dot_i16x8(end, four)));
            }
            from = from.add(4 * COLOUR);
            weights = weights.add(4);
            left = left.saturating_sub(4);
        }
        if left > 0 {
            let (one, two) = (pair(weights), pair(weights.add(1)));
            for index in 0..LINES {
                let begin = first_pairs(v128_load64_zero(from.add(index * line).cast()));
                low[index] = i32x4_add(low[index], i32x4_dot_i16x8(begin, one));
                high[index] = i32x4_add(high[index], i32x4_dot_i16x8(begin, two));
            }
        }
        for index in 0..LINES {
            let sums = rounded(low[index], high[index]);
            let halves = i16x8_narrow_i32x4(sums, sums);
            let bytes = u8x16_narrow_i16x8(halves, halves);
            let place = to.add((index * count + x) * COLOUR);
            v128_store16_lane::<0>(bytes, place.cast());
            v128_store8_lane::<2>(bytes, place.add(2));
        }
    }
}

/// Resizes `height` lines of `line` bytes along their width, to `count` colours each.
///
/// # Safety
/// The regions are as the crate says.
#[no_mangle]
pub unsafe extern "C" fn columns(
    source: *const u8,
    line: usize,
    height: usize,
    to: *mut u8,
    count: usize,
    ranges: *const i32,
    weights: *const i32,
    stride: usize,
) {
    let side = Side { ranges, weights, stride };
    let resized = count * COLOUR;
    let even = height & !1;
    for y in (0..even).step_by(2) {
        lines::<2>(source.add(y * line), line, to.add(y * resized), count, side);
    }
    if even < height {
        lines::<1>(source.add(even * line), line, to.add(even * resized), count, side);
    }
}

/// Makes the lines `begin` to `begin + count` of a picture that is resized along its height; `source` begins with its line `skipped`.
///
/// # Safety
/// The regions are as the crate says.
#[no_mangle]
pub unsafe extern "C" fn rows(
    source: *const u8,
    line: usize,
    skipped: usize,
    to: *mut u8,
    begin: usize,
    count: usize,
    ranges: *const i32,
    weights: *const i32,
    stride: usize,
) {
    let side = Side { ranges, weights, stride };
    for y in 0..count {
        let (first, length, weights) = side.at(begin + y);
        let from = source.add((first - skipped) * line);
        // What is too much at a line's end is written again with the next one.
        for x in (0..line).step_by(WIDTH) {
            let bytes = sixteen(from.add(x), line, length, weights);
            v128_store(to.add(y * line + x).cast(), bytes);
        }
    }
}

/// Sixteen bytes of a line, of those below each other in the lines from there on.
#[inline(always)]
unsafe fn sixteen(mut from: *const u8, line: usize, length: usize, mut weights: *const i32) -> v128 {
    let mut low = [i32x4_splat(0); 4];
    let mut high = [i32x4_splat(0); 4];
    let mut left = length;
    while left > 0 {
        let (one, two) = (pair(weights), pair(weights.add(1)));
        let upper = v128_load(from.cast());
        let lower = if left > 1 { v128_load(from.add(line).cast()) } else { i8x16_splat(0) };
        let (a, b) = (u16x8_extend_low_u8x16(upper), u16x8_extend_low_u8x16(lower));
        let (c, d) = (u16x8_extend_high_u8x16(upper), u16x8_extend_high_u8x16(lower));
        let pairs = [
            i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(a, b),
            i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(a, b),
            i16x8_shuffle::<0, 8, 1, 9, 2, 10, 3, 11>(c, d),
            i16x8_shuffle::<4, 12, 5, 13, 6, 14, 7, 15>(c, d),
        ];
        for index in 0..4 {
            low[index] = i32x4_add(low[index], i32x4_dot_i16x8(pairs[index], one));
            high[index] = i32x4_add(high[index], i32x4_dot_i16x8(pairs[index], two));
        }
        from = from.add(2 * line);
        weights = weights.add(2);
        left = left.saturating_sub(2);
    }
    let begin = i16x8_narrow_i32x4(rounded(low[0], high[0]), rounded(low[1], high[1]));
    let end = i16x8_narrow_i32x4(rounded(low[2], high[2]), rounded(low[3], high[3]));
    u8x16_narrow_i16x8(begin, end)
}
