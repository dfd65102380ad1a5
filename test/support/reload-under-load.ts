/** A server that reloads its model while it is asked, told as JSON: how many requests, how many failed, and its memory over time. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createApp, createEngine } from '../../src/index.ts'
import { onnxModel } from './tiny-models.ts'
import { bearer, SECRET } from './tokens.ts'

/** Six layers of 1024, 25 MB: a reload that leaks is seen at once. */
const WIDTH = 1024
const LAYERS = 6
const CLIENTS = 8

export interface ReloadReport {
  readonly requests: number
  readonly failures: readonly string[]
  /** Resident memory after each reload, in MB. */
  readonly memory: readonly number[]
}

function denseModel(): Uint8Array {
  const weights = new Float32Array(WIDTH * WIDTH).fill(1 / WIDTH)
  return onnxModel({
    nodes: Array.from({ length: LAYERS }, (_, index) => ({
      operator: 'MatMul',
      inputs: [index === 0 ? 'x' : `h${index}`, `w${index}`],
      outputs: [index === LAYERS - 1 ? 'y' : `h${index + 1}`],
    })),
    inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', WIDTH] }],
    outputs: [{ name: 'y', datatype: 'FP32', shape: ['n', WIDTH] }],
    constants: Array.from({ length: LAYERS }, (_, index) => ({ name: `w${index}`, shape: [WIDTH, WIDTH], values: weights })),
  })
}

async function reloadUnderLoad(reloads: number): Promise<ReloadReport> {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-reload-load-'))
  await Bun.write(join(folder, 'dense/1/model.onnx'), denseModel())
  const engine = await createEngine({
    modelsDirectory: folder,
    modelControl: 'explicit',
    instances: 1,
    threads: 1,
    warn: () => undefined,
  })
  const app = createApp({ engine, authentication: { secret: SECRET } }).listen({ port: 0, hostname: '127.0.0.1' })
  const url = `http://127.0.0.1:${app.server?.port}/models/dense/predict/`
  const body = JSON.stringify({ input: [Array(WIDTH).fill(1)] })
  const failures: string[] = []
  let requests = 0
  let isDone = false
  const client = async () => {
    // A token lives a minute, and the long form of this takes longer.
    while (!isDone) {
      const response = await fetch(url, { method: 'POST', headers: bearer('model:dense:predict'), body })
      const text = await response.text()
      requests += 1
      if (response.status !== 200 || !text.startsWith('{"output":[[1,')) failures.push(`${response.status} ${text.slice(0, 200)}`)
    }
  }
  const clients = Array.from({ length: CLIENTS }, client)
  const memory: number[] = []
  for (let round = 0; round < reloads; round += 1) {
    await engine.load('dense')
    memory.push(Math.round(process.memoryUsage().rss / 1e6))
  }
  isDone = true
  await Promise.all(clients)
  await app.stop(true)
  await engine.stop()
  rmSync(folder, { recursive: true })
  return { requests, failures, memory }
}

console.log(JSON.stringify(await reloadUnderLoad(Number(process.argv[2] ?? 10))))
