import { afterAll, describe, expect, test } from 'bun:test'
import { join } from 'node:path'
import { MODELS } from '../../../support/server.ts'
import { image, OPTIONS, startInstance, stopInstances } from '../../../support/started-instance.ts'

afterAll(stopInstances)

describe.skipIf(process.platform === 'win32')('an instance process', () => {
  test('gives back the memory of what it computed', async () => {
    const { instance, answer } = startInstance()
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
    for (let round = 0; round < 10 && !grown.some((bytes) => bytes < 30e6); round += 1) grown.push((await compute(3000)) - before)
    expect(Math.min(...grown)).toBeLessThan(30e6)
  }, 120_000)
})
