/** Random numbers from 0 to 1 that come again when the seed does. */
export interface Random {
  (): number
  /** For the message of a test that fails: how to see it again. */
  readonly seed: string
}

/** The seed to draw with: `VESTAL_TEST_SEED`, or a new one. It is printed at once, so that a test which hangs has named it. */
export function seedOf(name: string): number {
  const seed = Number(process.env.VESTAL_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
  console.error(`${name}: VESTAL_TEST_SEED=${seed}`)
  return seed
}

/** Draws from `VESTAL_TEST_SEED`, or from a new seed each time. */
export function seeded(name: string): Random {
  const seed = seedOf(name)
  let state = (seed ^ Bun.hash.crc32(name)) >>> 0
  // Mulberry32: small, and good enough to draw tests with.
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
  return Object.assign(next, { seed: `run again with VESTAL_TEST_SEED=${seed}` })
}

/** A whole number from 0 up to, and not including, the bound. */
export function below(random: Random, bound: number): number {
  return Math.floor(random() * bound)
}
