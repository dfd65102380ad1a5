/** What a test needs that is not on every machine. `VESTAL_TEST_REQUIRED` makes its absence a failure, as `.ci/run` does. */
export function hasTool(name: string, path: string | undefined | null): path is string {
  if (path !== undefined && path !== null && path !== '') return true
  if (process.env.VESTAL_TEST_REQUIRED !== undefined) throw new Error(`${name} is required here and is missing`)
  console.warn(`skipped: ${name} is not on this machine; .ci/run installs it`)
  return false
}
