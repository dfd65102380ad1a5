import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, truncateSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type StartedServer, Workplace } from '../support/command-line.ts'
import { MODELS } from '../support/server.ts'
import { onnxModel } from '../support/tiny-models.ts'
import { bearer, SECRET } from '../support/tokens.ts'
import { until } from '../support/until.ts'

const TEST_MS = 120_000
const ROWS = 4 * 2 ** 20

/** A model that looks rows up in weights which ONNX Runtime maps: a row is read from the file when it is asked for. */
const lookup = onnxModel({
  nodes: [{ operator: 'Gather', inputs: ['table', 'row'], outputs: ['value'], axis: 0 }],
  inputs: [{ name: 'row', datatype: 'INT64', shape: ['n'] }],
  outputs: [{ name: 'value', datatype: 'FP32', shape: ['n', 1] }],
  constants: [
    { name: 'table', shape: [ROWS, 1], values: new Float32Array(0), location: 'weights.bin', length: String(ROWS * 4) },
  ],
})

for (const processes of ['1', '2'])
  describe.skipIf(process.platform !== 'linux')(`weights that are cut off while ${processes} process(es) serve them`, () => {
    const place = new Workplace()
    const models = mkdtempSync(join(tmpdir(), 'vestal-weights-'))
    const weights = join(models, 'lookup/1/weights.bin')
    let server: StartedServer
    beforeAll(async () => {
      await Bun.write(join(models, 'lookup/1/model.onnx'), lookup)
      await Bun.write(
        weights,
        Float32Array.from({ length: ROWS }, (_, row) => row),
      )
      await Bun.write(join(models, 'iris/1/model.onnx'), Bun.file(join(MODELS, 'iris/1/model.onnx')))
      server = await place.start(['--processes', processes], {
        VESTAL_SECRET: SECRET,
        VESTAL_MODELS: models,
        VESTAL_LOG_FORMAT: 'json',
      })
    }, TEST_MS)
    afterAll(async () => {
      server.child.kill('SIGTERM')
      await server.child.exited
      rmSync(models, { recursive: true })
      place[Symbol.dispose]()
    }, TEST_MS)

    const ask = async (path: string, body: unknown) => {
      const response = await fetch(`${server.base}${path}`, { method: 'POST', headers: bearer('*'), body: JSON.stringify(body) })
      return { status: response.status, text: await response.text() }
    }
    const look = (row: number) =>
      ask('/v2/models/lookup/infer', { inputs: [{ name: 'row', datatype: 'INT64', shape: [1], data: [row] }] })
    const iris = () => ask('/models/iris/predict/', { input: [[5.1, 3.5, 1.4, 0.2]] })

    test(
      'end the worker of that model, whose requests are told so, and no other',
      async () => {
        const before = await look(7)
        expect([before.status, JSON.parse(before.text).outputs[0].data]).toEqual([200, [7]])
        truncateSync(weights, 0)
        const [dead, other] = await Promise.all([look(ROWS - 1), iris()])
        expect([dead.status, other.status]).toEqual([503, 200])
        expect(dead.text).toContain('The worker that computed this request stopped')
        // What serves was tried as a whole: no worker loads other files in its place.
        let later = dead
        await until(async () => {
          later = await look(ROWS - 1)
          return later.text.includes('its files have changed since it was loaded')
        }, 'the model says why it is unavailable')
        expect([later.status, (await iris()).status]).toEqual([503, 200])
      },
      TEST_MS,
    )

    test(
      'are named in the log, with the signal',
      async () => {
        server.child.kill('SIGTERM')
        await server.child.exited
        const lines = (await server.rest).split('\n').filter((line) => line.includes('SIGBUS'))
        expect(lines.length).toBeGreaterThan(0)
        expect(lines.every((line) => line.includes('lookup'))).toBe(true)
      },
      TEST_MS,
    )
  })
