//! Lists of numbers in JSON as elements of tensors, and back, over linear memory: buffers of a fixed size, and nothing allocated. There is one
//! thread, so there is no lock.

mod decimal;
mod number;
mod read;
mod write;
