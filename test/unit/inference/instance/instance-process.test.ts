import { afterAll, describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MODELS } from '../../../support/server.ts'
import { image, OPTIONS, startInstance, stopInstances } from '../../../support/started-instance.ts'

afterAll(stopInstances)

describe.skipIf(process.platform === 'win32')('an instance process', () => {
  test('loads a model and computes, through the socket and through memory that both have open', async () => {
    const { instance, answer } = startInstance()
    const loaded = answer()
    instance.send({ kind: 'load', path: join(MODELS, 'digits/1/model.onnx'), options: OPTIONS })
    expect(await loaded).toMatchObject({ kind: 'loaded', inputs: [{ name: 'image', datatype: 'FP32', shape: [-1, 64] }] })
    // 1000 rows are 256 000 bytes, which go through the file.
    for (const rows of [1, 1000, 2]) {
      const result = answer()
      instance.run({ inputs: [image(rows)], outputs: ['label'] })
      expect(await result).toMatchObject({ kind: 'result', outputs: [{ datatype: 'INT64', shape: [rows] }] })
    }
  })

  test('computes the same with one thread and with several, whatever the size of a run', async () => {
    const answers = await Promise.all(
      [1, 3].map(async (threads) => {
        const { instance, answer } = startInstance()
        const loaded = answer()
        instance.send({ kind: 'load', path: join(MODELS, 'digits/1/model.onnx'), options: { ...OPTIONS, threads } })
        await loaded
        const results: unknown[] = []
        for (const rows of [1, 30_000, 30_000, 1, 30_000, 30_000, 40_000, 32, 10_000, 1]) {
          const result = answer()
          instance.run({ inputs: [image(rows)] })
          results.push({ ...(await result), timing: undefined })
        }
        return results
      }),
    )
    expect(Bun.deepEquals(answers[0], answers[1])).toBe(true)
    expect(answers[0]).toMatchObject(Array(10).fill({ kind: 'result' }))
  })

  test('says why a file cannot be loaded', async () => {
    const { instance, answer } = startInstance()
    const refused = answer()
    instance.send({ kind: 'load', path: import.meta.path, options: OPTIONS })
    expect(await refused).toMatchObject({ kind: 'refused', reason: expect.any(String) })
  })

  test('ends when it is killed, and says for what', async () => {
    const { instance, ended } = startInstance()
    instance.kill('run limit', 'a run took more than 1 s')
    expect(await ended).toBe('a run took more than 1 s')
  })

  test('has nothing of the environment of its server', async () => {
    if (process.platform !== 'linux') return
    const { instance, answer } = startInstance()
    const loaded = answer()
    instance.send({ kind: 'load', path: join(MODELS, 'iris/1/model.onnx'), options: OPTIONS })
    await loaded
    const names = readFileSync(`/proc/${instance.pid}/environ`, 'utf8')
      .split('\0')
      .map((line) => line.split('=')[0])
    expect(names.filter((name) => name !== '' && name !== 'LD_LIBRARY_PATH')).toEqual(['ORT_DISABLE_TELEMETRY'])
  })
})
