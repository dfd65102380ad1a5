import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { signJwt } from '../../src/index.ts'
import { answerOf, DOORS, type Door } from '../support/doors.ts'
import { type MarkedEngine, startMarked } from '../support/marked-engine.ts'
import { CRASH, HANG } from '../support/marks.ts'
import { createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
import { bearer, SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-busy-'))
await Bun.write(join(folder, 'one/1/model.onnx'), identityModel('FP32'))
await Bun.write(join(folder, 'two/1/model.onnx'), identityModel('FP32'))
afterAll(() => rmSync(folder, { recursive: true }))

const token = (sub: string) => signJwt({ sub, exp: 2e9, data: { permissions: ['model:*:predict', 'model:*:read'] } }, SECRET)

interface Asked {
  readonly subject?: string
  readonly timeoutUs?: number
  readonly signal?: AbortSignal
}

function ask(door: Door, model: string, value: number, { subject = 'me', timeoutUs, signal }: Asked = {}): Promise<Response> {
  const body = {
    inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [value] }],
    ...(timeoutUs !== undefined && { parameters: { timeout: timeoutUs } }),
  }
  return door.fetch(`/v2/models/${model}/infer`, {
    method: 'POST',
    body: JSON.stringify(body),
    headers: { authorization: `Bearer ${token(subject)}` },
    ...(signal && { signal }),
  })
}

const countsOf = ({ engine }: MarkedEngine) => engine.statistics('one')[0]

for (const [index, open] of DOORS.entries()) {
  describe(`a model whose only worker is in a run, ${['in memory', 'over a socket'][index]}`, () => {
    test('holds up neither health nor other models, and rejects what is over its limits', async () => {
      const marked = await startMarked({ modelsDirectory: folder, queueMax: 3, subjectRequestsMax: 2 })
      const door = open(createServer(marked.engine))
      const hung = ask(door, 'one', HANG)
      await until(() => countsOf(marked)?.running === 1)
      for (const path of ['/v2/health/live', '/v2/health/ready']) expect((await door.fetch(path)).status).toBe(200)
      expect((await ask(door, 'two', 1)).status).toBe(200)
      const second = ask(door, 'one', 2)
      await until(() => countsOf(marked)?.waiting === 1)
      const third = await ask(door, 'one', 3)
      expect([third.headers.get('retry-after'), await answerOf(third)]).toEqual([
        '1',
        { status: 429, body: { error: 'Too many requests of this subject at once' } },
      ])
      const other = ask(door, 'one', 4, { subject: 'you' })
      await until(() => countsOf(marked)?.waiting === 2)
      const full = await ask(door, 'one', 5, { subject: 'them' })
      expect([full.headers.get('retry-after'), await answerOf(full)]).toEqual([
        '1',
        { status: 503, body: { error: 'Exceeds maximum queue size' } },
      ])
      marked.open()
      expect((await Promise.all([hung, second, other])).map(({ status }) => status)).toEqual([200, 200, 200])
      await marked.engine.stop()
      await door.close()
    })

    test('answers a request at its deadline, and continues', async () => {
      const marked = await startMarked({ modelsDirectory: folder })
      const door = open(createServer(marked.engine))
      const answer = await answerOf(ask(door, 'one', HANG, { timeoutUs: 500_000 }))
      expect(answer).toEqual({ status: 504, body: { error: 'Request timeout expired' } })
      marked.open()
      expect((await ask(door, 'one', 1)).status).toBe(200)
      await marked.engine.stop()
      await door.close()
    })

    test('answers a request whose turn does not come in time, and says when there will be room', async () => {
      const marked = await startMarked({ modelsDirectory: folder })
      const door = open(createServer(marked.engine))
      const hung = ask(door, 'one', HANG)
      await until(() => countsOf(marked)?.running === 1)
      const late = await ask(door, 'one', 2, { timeoutUs: 20_000 })
      expect([late.headers.get('retry-after'), await answerOf(late)]).toEqual([
        '1',
        { status: 503, body: { error: 'Request timeout expired' } },
      ])
      marked.open()
      expect((await hung).status).toBe(200)
      expect(countsOf(marked)?.executionCount).toBe(1)
      await marked.engine.stop()
      await door.close()
    })

    test('shows in the metrics what waits and what was rejected, and is as before once all is answered', async () => {
      const marked = await startMarked({ modelsDirectory: folder, queueMax: 3 })
      const door = open(createServer(marked.engine, { operations: {} }))
      const metrics = async () => {
        const text = await (await door.fetch('/metrics', { headers: bearer('metrics:read') })).text()
        const numberOf = (line: string) =>
          Number(
            text
              .split('\n')
              .find((each) => each.startsWith(line))
              ?.split(' ')
              .at(-1),
          )
        return {
          waiting: numberOf('nv_inference_pending_request_count{model="one",version="1"}'),
          rejected: numberOf('nv_inference_request_failure{model="one",version="1",reason="REJECTED"}'),
          success: numberOf('nv_inference_request_success{model="one",version="1"}'),
        }
      }
      expect(await metrics()).toEqual({ waiting: 0, rejected: 0, success: 0 })
      const hung = ask(door, 'one', HANG)
      await until(() => countsOf(marked)?.running === 1)
      const waiting = [ask(door, 'one', 2), ask(door, 'one', 3)]
      await until(() => countsOf(marked)?.waiting === 2)
      expect((await ask(door, 'one', 4)).status).toBe(503)
      expect(await metrics()).toEqual({ waiting: 2, rejected: 1, success: 0 })
      marked.open()
      expect((await Promise.all([hung, ...waiting])).map(({ status }) => status)).toEqual([200, 200, 200])
      expect(await metrics()).toEqual({ waiting: 0, rejected: 1, success: 3 })
      await marked.engine.stop()
      await door.close()
    })

    test('is left by a client that goes away', async () => {
      const marked = await startMarked({ modelsDirectory: folder })
      const door = open(createServer(marked.engine))
      const hung = ask(door, 'one', HANG)
      await until(() => countsOf(marked)?.running === 1)
      const controller = new AbortController()
      const gone = ask(door, 'one', 2, { signal: controller.signal }).catch(() => undefined)
      await until(() => countsOf(marked)?.waiting === 1)
      controller.abort()
      await until(() => countsOf(marked)?.waiting === 0)
      expect(countsOf(marked)?.rejected.aborted).toBe(1)
      marked.open()
      expect((await hung).status).toBe(200)
      await gone
      expect(countsOf(marked)?.executionCount).toBe(1)
      await marked.engine.stop()
      await door.close()
    })

    test('reports what was with a worker that is lost, and recovers', async () => {
      const marked = await startMarked({ modelsDirectory: folder })
      const door = open(createServer(marked.engine))
      const lost = await ask(door, 'one', CRASH)
      expect([lost.headers.get('retry-after'), (await answerOf(lost)).status]).toEqual(['1', 503])
      expect((await ask(door, 'one', 1)).status).toBe(200)
      await marked.engine.stop()
      await door.close()
    })
  })
}
