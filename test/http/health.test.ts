import { afterAll, describe, expect, test } from 'bun:test'
import { createReadiness } from '../../src/http/readiness.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'

const engine = await bundledEngine()
afterAll(() => engine.stop())

for (const [index, open] of DOORS.entries()) {
  const setUp = () => {
    const readiness = createReadiness(engine)
    const door = open(createServer(engine, { operations: { readiness } }))
    const ready = (headers: Record<string, string> = {}) => answerOf(door.fetch('/v2/health/ready', { headers }))
    return { readiness, door, ready, [Symbol.asyncDispose]: () => door.close() }
  }

  describe(`readiness, ${index === 0 ? 'in memory' : 'over a socket'}`, () => {
    test('is told to everybody, and its reasons to those who may see metrics', async () => {
      await using server = setUp()
      expect(await server.ready()).toEqual({ status: 200, body: { ready: true } })
      expect(await server.ready(bearer('metrics:read'))).toEqual({
        status: 200,
        body: { ready: true, phase: 'serving', reasons: [] },
      })
    })

    test('takes any other token, right or wrong, for none', async () => {
      await using server = setUp()
      for (const headers of [bearer('model:*:read'), { authorization: 'Bearer a.b.c' }, { authorization: 'nonsense' }]) {
        expect(await server.ready(headers)).toEqual({ status: 200, body: { ready: true } })
      }
    })

    test('is off once the server is told to stop, while requests are still answered', async () => {
      await using server = setUp()
      server.readiness.stop()
      expect(await server.ready()).toEqual({ status: 503, body: { ready: false } })
      expect(await server.ready(bearer('metrics:read'))).toEqual({
        status: 503,
        body: { ready: false, phase: 'stopping', reasons: ['the server is stopping'] },
      })
      expect((await server.door.fetch('/v2/health/live')).status).toBe(200)
      const init = { method: 'POST', headers: bearer('model:iris:predict'), body: '{"input":[[5.1,3.5,1.4,0.2]]}' }
      expect((await server.door.fetch('/models/iris/predict/', init)).status).toBe(200)
      const metrics = await (await server.door.fetch('/metrics', { headers: bearer('metrics:read') })).text()
      expect(metrics).toContain('\nvestal_ready 0\n')
    })
  })
}
