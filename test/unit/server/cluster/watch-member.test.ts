import { expect, test } from 'bun:test'
import { watchMember } from '../../../../src/server/cluster/watch-member.ts'
import type { Logger } from '../../../../src/telemetry/log/logger.ts'
import { HandMember } from '../../../support/hand-member.ts'
import { until } from '../../../support/until.ts'

function watched(answers: readonly boolean[]) {
  const lines: string[] = []
  const member = new HandMember(1)
  member.beReady()
  member.serve()
  member.answer = async () => {
    if (answers[member.asked.length - 1] === false) throw new Error('the process does not answer')
    return null
  }
  // The cast: this much of a logger is used.
  const logger = { error: (line: string) => void lines.push(line) } as unknown as Logger
  return { member, lines, watching: watchMember(member, { logger, everyMs: 1 }) }
}

test('a process that does not answer three times in a row is ended', async () => {
  const { member, lines, watching } = watched([true, false, false, true, false, false, false])
  await watching
  expect([member.state, member.asked.length]).toEqual(['gone', 7])
  expect(lines).toEqual(['process 1 does not answer for 0.003 s and is ended'])
})

test('one that answers is asked for as long as it is there, and its end is no silence', async () => {
  const { member, lines, watching } = watched([])
  await until(() => member.asked.length > 5)
  member.answer = async () => {
    member.end(0)
    throw new Error('the process has ended')
  }
  await watching
  expect(lines).toEqual([])
})
