//! Decimals as JavaScript writes its numbers (ECMA-262, Number::toString).

/// Longest text of an element, with its comma: `-0.0000017976931348623157,` and `-340282350000000000000,`.
pub const TEXT_BYTES_MAX: usize = 32;
/// A number of as many digits before its point, or zeros behind it, is written without an exponent.
const WHOLE_MAX: i32 = 21;
const ZEROS_MAX: i32 = 6;

/// Digits as an integer, and how many of them stand behind the point; negative for zeros before it.
#[derive(Clone, Copy)]
pub struct Decimal {
    pub digits: u64,
    pub places: i32,
}

impl Decimal {
    /// The double nearest to it.
    pub fn value(self) -> f64 {
        let mut bytes = [0; 48];
        let mut text = Text::new(bytes.as_mut_ptr());
        text.integer(self.digits);
        text.byte(b'e');
        if self.places > 0 {
            text.byte(b'-');
        }
        text.integer(u64::from(self.places.unsigned_abs()));
        let length = text.length(bytes.as_mut_ptr());
        core::str::from_utf8(&bytes[..length]).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
    }
}

/// The end of a text, behind which the caller has room.
pub struct Text {
    at: *mut u8,
}

impl Text {
    pub fn new(at: *mut u8) -> Self {
        Text { at }
    }

    pub fn length(&self, begin: *mut u8) -> usize {
        self.at as usize - begin as usize
    }

    #[inline(always)]
    pub fn byte(&mut self, byte: u8) {
        unsafe {
            self.at.write(byte);
            self.at = self.at.add(1);
        }
    }

    /// Takes the last byte back.
    pub fn back(&mut self) {
        self.at = unsafe { self.at.sub(1) };
    }

    #[inline(always)]
    pub fn bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.byte(*byte);
        }
    }

    fn zeros(&mut self, count: i32) {
        for _ in 0..count {
            self.byte(b'0');
        }
    }

    /// Appends bytes of a buffer, of at most twenty digits.
    #[inline(always)]
    fn digits(&mut self, buffer: &Buffer, begin: usize, end: usize) {
        // Eight at a time, and what is too much is written over: both sides have room.
        unsafe {
            let from = buffer.as_ptr().add(begin);
            self.at.cast::<u64>().write_unaligned(from.cast::<u64>().read_unaligned());
            self.at.add(8).cast::<u64>().write_unaligned(from.add(8).cast::<u64>().read_unaligned());
            if end - begin > 16 {
                self.at.add(16).cast::<u32>().write_unaligned(from.add(16).cast::<u32>().read_unaligned());
            }
            self.at = self.at.add(end - begin);
        }
    }

    #[inline(always)]
    pub fn integer(&mut self, integer: u64) {
        let (buffer, begin) = digits_of(integer);
        self.digits(&buffer, begin, DIGITS_END);
    }

    #[inline(always)]
    pub fn decimal(&mut self, decimal: Decimal) {
        let Decimal { digits, places } = without_zeros(decimal);
        let (buffer, begin) = digits_of(digits);
        let count = (DIGITS_END - begin) as i32;
        // Digits before the point.
        let whole = count - places;
        if whole > WHOLE_MAX || whole <= -ZEROS_MAX {
            self.scientific(&buffer[begin..DIGITS_END], whole - 1);
        } else if whole <= 0 {
            self.bytes(b"0.");
            self.zeros(-whole);
            self.digits(&buffer, begin, DIGITS_END);
        } else if whole >= count {
            self.digits(&buffer, begin, DIGITS_END);
            self.zeros(whole - count);
        } else {
            let point = begin + whole as usize;
            self.digits(&buffer, begin, point);
            self.byte(b'.');
            self.digits(&buffer, point, DIGITS_END);
        }
    }

    #[inline(never)]
    fn scientific(&mut self, digits: &[u8], power: i32) {
        self.byte(digits[0]);
        if digits.len() > 1 {
            self.byte(b'.');
            self.bytes(&digits[1..]);
        }
        self.bytes(if power < 0 { b"e-" } else { b"e+" });
        self.integer(u64::from(power.unsigned_abs()));
    }
}

/// Digits up to `DIGITS_END`, and room behind them.
type Buffer = [u8; 40];
const DIGITS_END: usize = 20;

/// Pairs of digits.
static PAIRS: [u8; 200] = pairs();

const fn pairs() -> [u8; 200] {
    let mut pairs = [0; 200];
    let mut value = 0;
    while value < 100 {
        pairs[2 * value] = b'0' + (value / 10) as u8;
        pairs[2 * value + 1] = b'0' + (value % 10) as u8;
        value += 1;
    }
    pairs
}

/// The quotient by 10: WebAssembly has no multiplication that would give it of 64 bits, and division takes many times as long.
#[inline(always)]
fn tenth(value: u32) -> u32 {
    (u64::from(value) * 0xCCCC_CCCD >> 35) as u32
}

#[inline(always)]
fn hundredth(value: u32) -> u32 {
    (u64::from(value) * 0x51EB_851F >> 37) as u32
}

/// The digits of an integer, and where in the buffer they begin.
#[inline(always)]
fn digits_of(integer: u64) -> (Buffer, usize) {
    const PART: u64 = 100_000_000;
    let mut buffer = [b'0'; 40];
    if integer <= u64::from(u32::MAX) {
        let begin = put(&mut buffer, DIGITS_END, integer as u32);
        return (buffer, begin);
    }
    let (high, low) = (integer / PART, integer % PART);
    put(&mut buffer, DIGITS_END, low as u32);
    if high <= u64::from(u32::MAX) {
        let begin = put(&mut buffer, DIGITS_END - 8, high as u32);
        return (buffer, begin);
    }
    put(&mut buffer, DIGITS_END - 8, (high % PART) as u32);
    let begin = put(&mut buffer, DIGITS_END - 16, (high / PART) as u32);
    (buffer, begin)
}

/// Puts digits before an end, and says where they begin.
#[inline(always)]
fn put(buffer: &mut Buffer, end: usize, mut value: u32) -> usize {
    let mut begin = end;
    while value >= 100 {
        let rest = hundredth(value);
        let pair = (value - rest * 100) as usize * 2;
        begin -= 2;
        buffer[begin] = PAIRS[pair];
        buffer[begin + 1] = PAIRS[pair + 1];
        value = rest;
    }
    if value >= 10 {
        begin -= 2;
        buffer[begin] = PAIRS[value as usize * 2];
        buffer[begin + 1] = PAIRS[value as usize * 2 + 1];
        return begin;
    }
    begin -= 1;
    buffer[begin] = b'0' + value as u8;
    begin
}

/// Takes the zeros at the end of digits away.
#[inline(always)]
fn without_zeros(Decimal { mut digits, mut places }: Decimal) -> Decimal {
    while digits > u64::from(u32::MAX) && digits % 10 == 0 {
        digits /= 10;
        places -= 1;
    }
    if digits <= u64::from(u32::MAX) && digits > 0 {
        let mut short = digits as u32;
        loop {
            let rest = tenth(short);
            if rest * 10 != short {
                return Decimal { digits: u64::from(short), places };
            }
            short = rest;
            places -= 1;
        }
    }
    Decimal { digits, places }
}
