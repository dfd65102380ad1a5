import { expect, test } from 'bun:test'
import { join } from 'node:path'
import type { ReloadReport } from '../support/reload-under-load.ts'

/** Enough to see a leak; `VESTAL_TEST_RELOADS=100` is the long form. */
const RELOADS = Number(process.env.VESTAL_TEST_RELOADS ?? 12)
/** Reloads until the memory of the process has settled. */
const SETTLED = 6
/** A model is 25 MB: one that is not given back, at each reload, would be far beyond this. */
const GROWTH_MB_MAX = 60

test('a model that is reloaded again and again under load fails no request, and its memory comes back', async () => {
  const script = join(import.meta.dir, '../support/reload-under-load.ts')
  const child = Bun.spawn([process.execPath, script, String(RELOADS)], { stdout: 'pipe', stderr: 'pipe' })
  const [text, errors] = [await new Response(child.stdout).text(), await new Response(child.stderr).text()]
  expect([await child.exited, errors]).toEqual([0, ''])
  const { requests, failures, memory } = JSON.parse(text) as ReloadReport
  expect(failures).toEqual([])
  expect(requests).toBeGreaterThan(RELOADS)
  expect(memory).toHaveLength(RELOADS)
  const settled = Math.max(...memory.slice(0, SETTLED))
  expect(Math.max(...memory.slice(SETTLED)) - settled).toBeLessThan(GROWTH_MB_MAX)
}, 600_000)
