import { afterAll, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../src/index.ts'
import { openLive } from '../support/live-socket.ts'
import { REAL_MODELS, realModel } from '../support/real-models.ts'
import { createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const silero = realModel('silero')
const python = process.env.VESTAL_TEST_PYTHON

interface Voice {
  /** FP32 in base64. */
  readonly samples: string
  /** Of each frame, as Python has them. */
  readonly probabilities: readonly number[]
}

const FRAME = 512

if (hasTool(REAL_MODELS, silero) && hasTool('a Python with onnxruntime (VESTAL_TEST_PYTHON)', python)) {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-silero-'))
  cpSync(silero, join(folder, 'silero'), { recursive: true })
  afterAll(() => rmSync(folder, { recursive: true }))

  test('Silero VAD hears over a socket what it hears in Python, frame by frame, and two sockets do not mix', async () => {
    const script = join(import.meta.dir, 'silero_frames.py')
    const run = Bun.spawnSync([python, script, join(folder, 'silero/1/model.onnx')])
    expect([run.exitCode, String(run.stderr)]).toEqual([0, ''])
    // The cast: it is what the script prints.
    const voices = JSON.parse(String(run.stdout)) as readonly Voice[]
    await using engine = await createEngine({ modelsDirectory: folder, threads: 1, warn: () => undefined })
    expect(engine.model('silero')?.versions[0]).toMatchObject({ state: 'ready', batching: { runs: 'separate' } })
    const app = createServer(engine)
    app.listen({ port: 0, hostname: '127.0.0.1' })
    try {
      const heard = await Promise.all(
        voices.map(async ({ samples }) => {
          const live = await openLive(`ws://127.0.0.1:${app.server?.port}/models/silero/live`, { headers: bearer('*') })
          const bytes = Uint8Array.fromBase64(samples)
          const values = new Float32Array(bytes.buffer)
          const given: number[] = []
          for (let begin = 0; begin + FRAME <= values.length; begin += FRAME) {
            const data = [...values.subarray(begin, begin + FRAME)]
            const frame = { name: 'input', shape: [1, FRAME], datatype: 'FP32', data }
            const rate = { name: 'sr', shape: [], datatype: 'INT64', data: [16_000] }
            const answer = JSON.parse(String(await live.ask(JSON.stringify({ inputs: [frame, rate] }))))
            expect(answer).toMatchObject({ outputs: [{ name: 'output', shape: [1, 1] }] })
            given.push(answer.outputs[0].data[0])
          }
          live.socket.close()
          return given
        }),
      )
      for (const [index, { probabilities }] of voices.entries()) {
        // Without what was before, a frame is never speech.
        expect(Math.max(...probabilities)).toBeGreaterThan(0.5)
        expect(heard[index]?.length).toBe(probabilities.length)
        for (const [frame, expected] of probabilities.entries()) expect(heard[index]?.[frame]).toBeCloseTo(expected, 4)
      }
    } finally {
      await app.stop(true)
    }
  }, 60_000)
}
