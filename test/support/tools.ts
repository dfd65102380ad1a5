import { test } from 'bun:test'

/**
 * What the tests of a file need that is not on every machine. Where it is missing they are reported as one skipped test that names it; with
 * `VESTAL_TEST_REQUIRED`, as `.ci/run` sets it, its absence is a failure. Asked while tests are collected, and not in one.
 */
export function hasTool(name: string, path: string | undefined | null): path is string {
  if (isThere(path)) return true
  if (process.env.VESTAL_TEST_REQUIRED !== undefined) throw new Error(`${name} is required here and is missing`)
  test.skip(`what needs ${name}, which is not on this machine; .ci/run installs it`, () => undefined)
  return false
}

/** `test` for what needs a tool: skipped by its own name where that is missing. */
export function testWith(name: string, path: string | undefined | null): typeof test {
  if (isThere(path)) return test
  if (process.env.VESTAL_TEST_REQUIRED !== undefined) throw new Error(`${name} is required here and is missing`)
  return test.skip as typeof test
}

function isThere(path: string | undefined | null): path is string {
  return path !== undefined && path !== null && path !== ''
}
