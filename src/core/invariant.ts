/** States what must hold; a failure is a bug of ours and is answered as a 500. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new Error(`invariant: ${message}`)
}

/** Ends a `switch` over a union: the compiler rejects a missing case. */
export function never(value: never): never {
  throw new Error(`unexpected case: ${String(value)}`)
}
