/** Numbers that `marked-instance.ts` looks for. */

/** The process ends by itself. */
export const CRASH = 666
/** Native code faults. */
export const FAULT = 667
/** The run prints and prints, and does not end until the test opens the gate. */
export const PRINT = 778
/** The run does not end until the test opens the gate. */
export const HANG = 777
