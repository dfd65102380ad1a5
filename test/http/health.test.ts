import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createReadiness } from '../../src/http/readiness.ts'
import { createEngine } from '../../src/index.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
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
    test('is asked to everybody, and its reasons to those who may see metrics', async () => {
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

    test('is off once the server is stopped, while requests are still answered', async () => {
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

  test(`a model that is broken makes a server unready where that is asked for, ${index === 0 ? 'in memory' : 'over a socket'}`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vestal-strict-'))
    await Bun.write(join(folder, 'good/1/model.onnx'), identityModel('FP32'))
    await Bun.write(join(folder, 'good/2/model.onnx'), identityModel('FP32'))
    await Bun.write(join(folder, 'good/model.toml'), '[versions]\nlatest = 1\n')
    await Bun.write(join(folder, 'bad/1/model.onnx'), 'no model')
    const own = await createEngine({ modelsDirectory: folder, threads: 1, warn: () => undefined, modelControl: 'explicit' })
    for (const isStrict of [false, true]) {
      const door = open(createServer(own, { operations: { readiness: createReadiness(own, { isStrict }) } }))
      const ready = () => answerOf(door.fetch('/v2/health/ready', { headers: bearer('metrics:read') }))
      expect(await ready()).toMatchObject({
        status: isStrict ? 503 : 200,
        body: { ready: !isStrict, reasons: [expect.stringMatching(/^bad version 1 is unavailable: ./)] },
      })
      await own.unload('bad')
      expect(await ready()).toMatchObject({ status: 200, body: { ready: true, reasons: [] } })
      await own.load('bad').catch(() => undefined)
      await door.close()
    }
    await own.stop()
    rmSync(folder, { recursive: true })
  })
}
