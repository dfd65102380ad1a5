import { afterAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import {
  type InstanceProcess,
  instanceCommand,
  startInstanceProcess,
} from '../../../../src/inference/instance/instance-process.ts'
import type { FromInstance } from '../../../../src/inference/instance/messages.ts'
import { MODELS } from '../../../support/server.ts'

const OPTIONS = { threads: 1, arena: true, optimization: 'all' } as const
const started: InstanceProcess[] = []
afterAll(async () => {
  for (const each of started) each.kill('stopped', 'the test is over')
  await Promise.all(started.map(({ gone }) => gone))
})

/** A process, with what it says in order. */
function start() {
  const waiting: ((message: FromInstance) => void)[] = []
  const ended = Promise.withResolvers<string>()
  const instance = startInstanceProcess(instanceCommand(), {
    message: (message) => waiting.shift()?.(message),
    ended: ({ cause }) => ended.resolve(cause),
  })
  started.push(instance)
  const answer = () => new Promise<FromInstance>((resolve) => waiting.push(resolve))
  return { instance, answer, ended: ended.promise }
}

const image = (rows: number) => ({ datatype: 'FP32', shape: [rows, 64], data: new Float32Array(rows * 64).fill(3) }) as const

describe.skipIf(process.platform === 'win32')('an instance process', () => {
  test('gives back the memory of what it computed', async () => {
    const { instance, answer } = start()
    const loaded = answer()
    instance.send({ kind: 'load', path: join(MODELS, 'digits/1/model.onnx'), options: OPTIONS })
    await loaded
    const compute = async (runs: number) => {
      for (let run = 0; run < runs; run += 1) {
        const result = answer()
        instance.run({ inputs: [image(2000)] })
        await result
      }
      return instance.residentBytes() ?? 0
    }
    const before = await compute(200)
    // 16 kB of outputs a run, 48 MB a round. The least of the rounds: what was not collected yet comes and goes.
    const grown: number[] = []
    for (let round = 0; round < 3; round += 1) grown.push((await compute(3000)) - before)
    expect(Math.min(...grown)).toBeLessThan(30e6)
  }, 60_000)
})
