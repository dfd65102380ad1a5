//! Finds the long lists of numbers in a JSON text, flat or nested, and reads their elements.
//!
//! The text comes in windows. What is no list of numbers is passed over, but for its strings: another parser reads and checks it. In a list all
//! is checked here, and anything else than numbers in lists of equal lengths ends the reading: the caller then reads the text in its other way.

use crate::number::{is_digit, number, Element, SLACK_BYTES};

pub const WINDOW_BYTES: usize = 256 * 1024;
/// An element takes a digit and a comma at least.
const ELEMENTS_MAX: usize = WINDOW_BYTES / 2 + 1;
pub const RANK_MAX: usize = 16;
/// Bytes of the output.
pub const OUTPUT_BYTES: usize = ELEMENTS_MAX * size_of::<f64>();
/// Lists with fewer elements are left to the other parser.
const COUNT_MIN: u32 = 256;
/// A level whose length is not known yet.
const UNKNOWN: u32 = u32::MAX;

/// What `read` answers: it needs the next window, it has a whole list, or something is unusual.
const MORE: i32 = 0;
const LIST: i32 = 1;
const UNUSUAL: i32 = 2;

#[derive(Clone, Copy)]
enum Place {
    Outside,
    Text,
    /// Behind a backslash in a text.
    Escape,
    /// In a list, where an element or a list begins.
    Element,
    /// In a list, behind one of these.
    Behind,
}

#[repr(C)]
struct State {
    // The caller reads these.
    /// Bytes of the window that were read; the rest begins the next window.
    consumed: u32,
    /// Elements in the output.
    elements: u32,
    /// Where the whole list begins and ends in the text.
    begin: u32,
    end: u32,
    rank: u32,
    shape: [u32; RANK_MAX],
    // Only this file reads these.
    /// Where the window begins in the text.
    window: u32,
    place: Place,
    is_double: bool,
    /// Lists around this place, and around elements once there is one.
    depth: usize,
    leaf: usize,
    /// Elements or lists so far, by depth.
    counts: [u32; RANK_MAX + 1],
    /// Elements of the whole list so far.
    total: u32,
}

static mut INPUT: [u8; WINDOW_BYTES + SLACK_BYTES] = [0; WINDOW_BYTES + SLACK_BYTES];
/// Doubles, or floats in their place.
static mut OUTPUT: [f64; ELEMENTS_MAX] = [0.0; ELEMENTS_MAX];
static mut STATE: State = State {
    consumed: 0,
    elements: 0,
    begin: 0,
    end: 0,
    rank: 0,
    shape: [0; RANK_MAX],
    window: 0,
    place: Place::Outside,
    is_double: false,
    depth: 0,
    leaf: 0,
    counts: [0; RANK_MAX + 1],
    total: 0,
};

#[no_mangle]
pub extern "C" fn input() -> *mut u8 {
    (&raw mut INPUT).cast()
}

#[no_mangle]
pub extern "C" fn input_bytes() -> usize {
    WINDOW_BYTES
}

#[no_mangle]
pub extern "C" fn output() -> *mut u8 {
    (&raw mut OUTPUT).cast()
}

#[no_mangle]
pub extern "C" fn output_bytes() -> usize {
    OUTPUT_BYTES
}

#[no_mangle]
pub extern "C" fn state() -> *mut u8 {
    (&raw mut STATE).cast()
}

/// Begins a text, whose elements become doubles, or floats.
#[no_mangle]
pub extern "C" fn begin(is_double: u32) {
    let state = unsafe { &mut *(&raw mut STATE) };
    state.window = 0;
    state.place = Place::Outside;
    state.is_double = is_double != 0;
}

/// Reads the window of a length, of which the first bytes were read before.
#[no_mangle]
pub extern "C" fn read(from: usize, length: usize) -> i32 {
    if length > WINDOW_BYTES || from > length {
        return UNUSUAL;
    }
    let (input, state) = unsafe { (&mut *(&raw mut INPUT), &mut *(&raw mut STATE)) };
    input[length..length + SLACK_BYTES].fill(0);
    state.elements = 0;
    let answer = if state.is_double {
        run::<f64>(input, from, length, state, output().cast())
    } else {
        run::<f32>(input, from, length, state, output().cast())
    };
    if answer == MORE {
        state.window += state.consumed;
    }
    answer
}

fn run<E: Element>(input: &[u8], from: usize, length: usize, state: &mut State, output: *mut E) -> i32 {
    let mut at = from;
    let answer = loop {
        if at == length {
            break MORE;
        }
        let byte = input[at];
        match state.place {
            Place::Outside => {
                at += 1;
                match byte {
                    b'"' => state.place = Place::Text,
                    b'[' => state.enter(at - 1),
                    _ => {}
                }
            }
            Place::Text => {
                at += 1;
                match byte {
                    b'"' => state.place = Place::Outside,
                    b'\\' => state.place = Place::Escape,
                    _ => {}
                }
            }
            Place::Escape => {
                at += 1;
                state.place = Place::Text;
            }
            Place::Element => match byte {
                b' ' | b'\n' | b'\r' | b'\t' => at += 1,
                b'[' if state.depth != state.leaf && state.depth < RANK_MAX => {
                    at += 1;
                    state.depth += 1;
                    state.counts[state.depth] = 0;
                }
                b'-' | b'0'..=b'9' if state.leaf == 0 || state.leaf == state.depth => {
                    state.leaf = state.depth;
                    let (end, answer) = elements(input, at, length, state, output);
                    at = end;
                    if let Some(answer) = answer {
                        break answer;
                    }
                }
                // Lists around something else, which the other parser reads.
                _ if state.total == 0 => state.place = Place::Outside,
                _ => break UNUSUAL,
            },
            Place::Behind => match byte {
                b' ' | b'\n' | b'\r' | b'\t' => at += 1,
                b',' => {
                    at += 1;
                    state.place = Place::Element;
                }
                b']' => {
                    at += 1;
                    if !state.leave() {
                        break UNUSUAL;
                    }
                    if state.depth == 0 && state.is_list(at) {
                        break LIST;
                    }
                }
                _ => break UNUSUAL,
            },
        }
    };
    state.consumed = at as u32;
    answer
}

/// Reads the elements of one list from a place on: to where it ends, or anything else follows than a comma and a number. Gives the place, and
/// an answer where it goes on no further in this window.
#[inline(always)]
fn elements<E: Element>(input: &[u8], from: usize, length: usize, state: &mut State, output: *mut E) -> (usize, Option<i32>) {
    let mut at = from;
    let mut next = state.elements as usize;
    let answer = loop {
        let found = number(input, at);
        let Some((number, end)) = found else {
            break Some(if may_go_on(&input[at..length]) { MORE } else { UNUSUAL });
        };
        // Its next digit may be in the next window.
        if end == length {
            break Some(MORE);
        }
        let Some(element) = E::of(&number, &input[at..end]) else { break Some(UNUSUAL) };
        if next == ELEMENTS_MAX {
            break Some(UNUSUAL);
        }
        unsafe { output.add(next).write(element) };
        next += 1;
        at = end;
        if input[at] != b',' {
            state.place = Place::Behind;
            break None;
        }
        at += 1;
        at += usize::from(input[at] == b' ');
        if !is_digit(input[at]) && input[at] != b'-' {
            state.place = Place::Element;
            break None;
        }
    };
    let count = next as u32 - state.elements;
    state.elements = next as u32;
    state.counts[state.depth] += count;
    state.total += count;
    (at, answer)
}

/// Whether bytes that are no number may become one in the next window.
fn may_go_on(rest: &[u8]) -> bool {
    rest.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E'))
}

impl State {
    fn enter(&mut self, at: usize) {
        self.place = Place::Element;
        self.begin = self.window + at as u32;
        self.depth = 1;
        self.leaf = 0;
        self.total = 0;
        self.shape = [UNKNOWN; RANK_MAX];
        self.counts[1] = 0;
    }

    /// Leaves a list; false where it is not as long as those beside it.
    fn leave(&mut self) -> bool {
        let (count, known) = (self.counts[self.depth], &mut self.shape[self.depth - 1]);
        if *known == UNKNOWN {
            *known = count;
        }
        let is_regular = *known == count;
        self.depth -= 1;
        self.counts[self.depth] += 1;
        is_regular
    }

    /// Ends the outermost list; false where it is too short to be told, and its elements are forgotten.
    fn is_list(&mut self, end: usize) -> bool {
        self.place = Place::Outside;
        self.end = self.window + end as u32;
        self.rank = self.leaf as u32;
        let is_long = self.total >= COUNT_MIN;
        if !is_long {
            self.elements = 0;
        }
        is_long
    }
}
