import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Encoder, encode } from '../../../src/tasks/text/tokenizer-pool.ts'
import { bertTokenizer, textInput } from '../../support/text-models.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-turns-'))
afterAll(() => rmSync(folder, { recursive: true }))
const path = join(folder, 'tokenizer.json')
await Bun.write(path, bertTokenizer())
const { tokenizer: file } = await textInput(path)

/** Jobs of many texts, far more than there are processes. */
const JOBS = 40
const ask = (by: Encoder, count = 64) =>
  encode({ file, texts: Array.from({ length: count }, () => 'alpha good film'), tokensMax: 64, cut: 'right' }, by)
const outcomeOf = (asked: Promise<unknown>) =>
  asked.then(
    () => 'encoded',
    ({ code }) => code,
  )

describe('while one subject has many texts to encode', () => {
  test('another has its turn before them', async () => {
    const order: string[] = []
    const note = (name: string) => () => void order.push(name)
    const many = Array.from({ length: JOBS }, () => ask({ subject: 'ada' }).then(note('ada')))
    await Promise.all([...many, ask({ subject: 'bob' }, 1).then(note('bob'))])
    expect(order).toHaveLength(JOBS + 1)
    expect(order.indexOf('bob')).toBeLessThan(JOBS / 2)
  })

  test('a text whose time is over is given up while it waits', async () => {
    const many = Array.from({ length: JOBS }, () => ask({ subject: 'ada' }))
    expect(await outcomeOf(ask({ subject: 'ada', leftMs: () => 1 }))).toBe('QUEUE_TIMEOUT')
    expect(await outcomeOf(Promise.all(many))).toBe('encoded')
  })

  test('a text whose caller has gone leaves the queue', async () => {
    const many = Array.from({ length: JOBS }, () => ask({ subject: 'ada' }))
    const stop = new AbortController()
    const given = outcomeOf(ask({ subject: 'ada', signal: stop.signal }))
    stop.abort()
    expect(await given).toBe('REQUEST_ABORTED')
    expect(await outcomeOf(ask({ subject: 'ada', signal: stop.signal }))).toBe('REQUEST_ABORTED')
    expect(await outcomeOf(Promise.all(many))).toBe('encoded')
  })
})
