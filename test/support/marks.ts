/** Numbers that `marked-worker.ts` looks for. */

/** The worker's thread ends. */
export const CRASH = 666
/** An error that nobody catches. */
export const UNCAUGHT = 667
/** The thread is held until the test opens the gate. */
export const HANG = 777
