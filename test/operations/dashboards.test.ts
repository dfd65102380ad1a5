import { afterAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { collectProcess } from '../../src/server/process-metrics.ts'
import { collectTracing } from '../../src/server/tracing.ts'
import { MetricRegistry } from '../../src/telemetry/metrics/registry.ts'
import { noAccounts } from '../support/accounts.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { hasTool } from '../support/tools.ts'

const FOLDER = join(import.meta.dir, '../../deploy')
const read = (name: string) => readFileSync(join(FOLDER, name), 'utf8')
const engine = await bundledEngine()
const { accounts, close } = await noAccounts()
afterAll(async () => {
  await engine.stop()
  await close()
})

/** Names of the metrics that a whole server has, histograms with what Prometheus adds to them. */
function metricNames(): ReadonlySet<string> {
  const registry = new MetricRegistry()
  collectProcess(registry, { logLines: () => 0, auditEvents: () => 0 })
  collectTracing(registry, undefined)
  createServer(engine, { operations: { registry }, accounts })
  return new Set(
    registry
      .snapshot()
      .flatMap(({ name, type }) => (type === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name])),
  )
}

describe('the dashboard and the alerts', () => {
  const namesIn = (text: string) => [...text.matchAll(/\b(?:vestal|nv|process)_[a-z0-9_]+/g)].map(([name]) => name)

  for (const file of ['dashboard.json', 'alerts.yaml']) {
    test(`${file} asks for metrics that there are`, () => {
      const names = namesIn(read(file))
      expect(names.length).toBeGreaterThan(10)
      const known = metricNames()
      expect(names.filter((name) => !known.has(name))).toEqual([])
    })
  }

  test('dashboard.json has no panel over another, and an expression in each', () => {
    const { panels } = JSON.parse(read('dashboard.json')) as {
      panels: readonly {
        readonly type: string
        readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
        readonly targets?: readonly { readonly expr: string }[]
      }[]
    }
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + (index % w)},${y + Math.floor(index / w)}`),
    )
    expect(new Set(cells).size).toBe(cells.length)
    for (const { type, targets } of panels) if (type !== 'row') expect(targets?.every(({ expr }) => expr !== '')).toBe(true)
  })

  test('metrics.md has a row for every metric', () => {
    const page = readFileSync(join(FOLDER, '../docs/reference/metrics.md'), 'utf8')
    const registry = new MetricRegistry()
    collectProcess(registry, { logLines: () => 0, auditEvents: () => 0 })
    collectTracing(registry, undefined)
    createServer(engine, { operations: { registry }, accounts })
    const missing = registry.snapshot().filter(({ name }) => {
      // A row of several metrics writes the ends of the later ones alone.
      const end = /_(?:hits_total|misses_total|evictions_total|entries|bytes)$/.exec(name)?.[0] ?? name
      return !page.includes(`\`${name}\``) && !page.includes(`\`${end}\``)
    })
    expect(missing.map(({ name }) => name)).toEqual([])
  })
})

const promtool = Bun.which('promtool')
if (hasTool('promtool', promtool)) {
  test('promtool accepts the alerts, and they fire when they should and not before', () => {
    const run = (args: readonly string[]) => Bun.spawnSync([promtool, ...args], { cwd: FOLDER })
    const check = run(['check', 'rules', 'alerts.yaml'])
    expect([check.exitCode, check.stdout.toString()]).toEqual([0, expect.stringContaining('16 rules found')])
    const tests = run(['test', 'rules', 'alerts.test.yaml'])
    expect([tests.exitCode, tests.stdout.toString()]).toEqual([0, expect.stringContaining('SUCCESS')])
  })
}
