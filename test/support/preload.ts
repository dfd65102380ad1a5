import { plugin } from 'bun'

/** Some tests start processes, and the machine may be busy with others. */
const TIMEOUT_MS = 60_000

// A default timeout that is set here counts for the first file alone (Bun 1.4.5), so each file sets it for itself, on its first line.
plugin({
  name: 'test timeout',
  setup(build) {
    build.onLoad({ filter: /\.test\.ts$/ }, async ({ path }) => ({
      loader: 'ts',
      contents: `import { setDefaultTimeout as setTimeoutOfTests } from 'bun:test'; setTimeoutOfTests(${TIMEOUT_MS}); ${await Bun.file(path).text()}`,
    }))
  },
})
