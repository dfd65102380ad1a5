import { expect, test } from 'bun:test'
import { checkHealth } from '../../../../src/server/cluster/health-check.ts'
import type { Logger } from '../../../../src/telemetry/log/logger.ts'
import { FakeChild } from '../../../support/fake-child.ts'
import { until } from '../../../support/until.ts'

function check(answers: readonly boolean[]) {
  const lines: string[] = []
  const child = new FakeChild(1)
  child.beReady()
  child.serve()
  child.respond = async () => {
    if (answers[child.requests.length - 1] === false) throw new Error('the process does not respond')
    return null
  }
  // The cast: this much of a logger is used.
  const logger = { error: (line: string) => void lines.push(line) } as unknown as Logger
  return { child, lines, checking: checkHealth(child, { logger, intervalMs: 1 }) }
}

test('kills a process that misses three checks in a row', async () => {
  const { child, lines, checking } = check([true, false, false, true, false, false, false])
  await checking
  expect([child.state, child.requests.length]).toEqual(['gone', 7])
  expect(lines).toEqual(['process 1 has not responded for 0.003 s; killing it'])
})

test('checks a process until it ends, and does not report its end as a missed check', async () => {
  const { child, lines, checking } = check([])
  await until(() => child.requests.length > 5)
  child.respond = async () => {
    child.end(0)
    throw new Error('the process has ended')
  }
  await checking
  expect(lines).toEqual([])
})
