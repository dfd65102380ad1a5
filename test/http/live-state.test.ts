import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../src/index.ts'
import { openLive } from '../support/live-socket.ts'
import { createServer } from '../support/server.ts'
import { onnxModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

/** Adds what comes to its state: `x` [n, s], `state` [n] → `total` [n], `next` [n]; and gives `x` as it got it. */
const sums = onnxModel({
  nodes: [
    { operator: 'ReduceSum', inputs: ['x', 'second'], outputs: ['sums'] },
    { operator: 'Squeeze', inputs: ['sums', 'second'], outputs: ['sum'] },
    { operator: 'Add', inputs: ['sum', 'state'], outputs: ['total'] },
    { operator: 'Identity', inputs: ['total'], outputs: ['next'] },
    { operator: 'Identity', inputs: ['x'], outputs: ['seen'] },
  ],
  inputs: [
    { name: 'x', datatype: 'FP32', shape: ['n', 's'] },
    { name: 'state', datatype: 'FP32', shape: ['n'] },
  ],
  outputs: [
    { name: 'total', datatype: 'FP32', shape: ['n'] },
    { name: 'next', datatype: 'FP32', shape: ['n'] },
    { name: 'seen', datatype: 'FP32', shape: ['n', 's'] },
  ],
  constants: [{ name: 'second', shape: [1], values: new BigInt64Array([1n]) }],
})

const folder = mkdtempSync(join(tmpdir(), 'vestal-live-state-'))
const put = async (name: string, toml: string) => {
  await Bun.write(join(folder, name, '1/model.onnx'), sums)
  await Bun.write(join(folder, name, 'model.toml'), toml)
}
await put('sums', '[serving]\ncache = true\n[state]\nnext = "state"')
await put('frames', '[state]\nnext = "state"\n[context]\nx = 2')
const WRONG = {
  output: ['[state]\nnone = "state"', '"state.none" must be an output of the model, which has "total", "next", "seen"'],
  input: ['[state]\nnext = "none"', '"state.next" must name an input of the model, which has "x", "state"'],
  twice: ['[state]\nnext = "state"\ntotal = "state"', '"state.total" names the input "state", which another output is already'],
  shape: ['[state]\nseen = "state"', '"state.seen" is FP32 [-1,-1], but the input "state" takes FP32 [-1]'],
  context: ['[context]\nnone = 2', '"context.none" must be an input of the model, which has "x", "state"'],
  both: ['[state]\nnext = "state"\n[context]\nstate = 1', '"context.state" must not be an input of [state] too'],
} as const
for (const [name, [toml]] of Object.entries(WRONG)) await put(`wrong_${name}`, toml)
await put('wrong_value', '[context]\nx = 0')

const engine = await createEngine({ modelsDirectory: folder, threads: 1, warn: () => undefined, modelControl: 'explicit' })
for (const { name } of engine.models()) await engine.load(name).catch(() => undefined)
const app = createServer(engine)
app.listen({ port: 0, hostname: '127.0.0.1' })
afterAll(async () => {
  await app.stop(true)
  await engine.stop()
  rmSync(folder, { recursive: true })
})

const open = (model: string) => openLive(`ws://127.0.0.1:${app.server?.port}/models/${model}/live`, { headers: bearer('*') })
type Live = ReturnType<typeof open>
const close = ({ socket }: Awaited<Live>) => socket.close()
const ask = async (socket: Live, message: unknown): Promise<unknown> => {
  return JSON.parse(String(await (await socket).ask(JSON.stringify(message))))
}
const totals = async (socket: Live, ...inputs: readonly (readonly number[])[]) => {
  const given: unknown[] = []
  for (const input of inputs) {
    // The cast: another answer has no total.
    const { output } = (await ask(socket, { input: [input] })) as { readonly output: readonly { readonly total: number }[] }
    given.push(output[0]?.total)
  }
  return given
}

describe('a socket of a model with a state', () => {
  test('carries it from message to message, from zeros on, and shows none of it', async () => {
    const socket = open('sums')
    expect(await ask(socket, { input: [[1, 2]] })).toEqual({ output: [{ total: 3, seen: [1, 2] }] })
    expect(await totals(socket, [1, 2], [10], [10])).toEqual([6, 16, 26])
    const tensors = [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [4] }]
    expect(await ask(socket, { inputs: tensors, outputs: [{ name: 'total' }] })).toMatchObject({
      outputs: [{ name: 'total', data: [30] }],
    })
    expect(await ask(socket, { inputs: tensors, outputs: [{ name: 'next' }] })).toMatchObject({ status_code: 400 })
    close(await socket)
  })

  test('mixes with no other socket, and is asked together with none', async () => {
    const sockets = [open('sums'), open('sums'), open('sums')]
    const asked = sockets.map((socket, index) => totals(socket, ...Array.from({ length: 20 }, () => [index + 1])))
    for (const [index, given] of (await Promise.all(asked)).entries())
      expect(given).toEqual(Array.from({ length: 20 }, (_, turn) => (turn + 1) * (index + 1)))
    expect(engine.statistics('sums')[0]?.batches.map(({ rows }) => rows)).toEqual([1])
    for (const socket of sockets) close(await socket)
  })

  test('keeps it where a message is rejected, and has one of each row', async () => {
    const socket = open('sums')
    expect(await ask(socket, { input: [[1], [10]] })).toMatchObject({ output: [{ total: 1 }, { total: 10 }] })
    expect(await ask(socket, { input: ['a'] })).toMatchObject({ status_code: 400 })
    expect(await ask(socket, { input: [[1]] })).toMatchObject({
      status_code: 400,
      detail: 'The socket carries "state" of [2] from the message before: send as many rows in each, or open another socket',
    })
    expect(await ask(socket, { input: [{ x: [1], state: 5 }] })).toMatchObject({ status_code: 400 })
    expect(await ask(socket, { input: [[1], [10]] })).toMatchObject({ output: [{ total: 2 }, { total: 20 }] })
    close(await socket)
  })

  test('puts the last values of an input before the next ones', async () => {
    const socket = open('frames')
    const seen: unknown[] = []
    for (const input of [[[1, 2, 3]], [[4]], [[5, 6]], [[7]]]) {
      // The cast: another answer has no rows.
      const { output } = (await ask(socket, { input })) as { readonly output: readonly { readonly seen: unknown }[] }
      seen.push(output[0]?.seen)
    }
    expect(seen).toEqual([
      [0, 0, 1, 2, 3],
      [2, 3, 4],
      [3, 4, 5, 6],
      [5, 6, 7],
    ])
    close(await socket)
  })

  test('rejects rows whose state would be large, however small the message is', async () => {
    const socket = open('frames')
    const none = (rows: number) => ({ inputs: [{ name: 'x', shape: [rows, 0], datatype: 'FP32', data: [] }] })
    expect(await ask(socket, none(200_000_000))).toMatchObject({
      status_code: 400,
      detail: expect.stringMatching(/^The state of so many rows has 5600000000 bytes; a socket carries at most 268435456/),
    })
    expect(await ask(socket, { input: [[1]] })).toMatchObject({ output: [{ total: 1 }] })
    close(await socket)
  })

  test('begins anew with another socket; by POST the state is an input as any other', async () => {
    expect(await totals(open('sums'), [5])).toEqual([5])
    const response = await fetch(`http://127.0.0.1:${app.server?.port}/models/sums/predict/`, {
      method: 'POST',
      headers: bearer('*'),
      body: JSON.stringify({ input: [{ x: [1], state: 5 }] }),
    })
    expect(await response.json()).toMatchObject({ output: [{ total: 6, next: 6 }] })
  })

  test('is served only where its state fits', () => {
    for (const [name, [, reason]] of Object.entries(WRONG))
      expect(engine.model(`wrong_${name}`)?.versions[0]).toMatchObject({ state: 'unavailable', reason: `model.toml: ${reason}` })
    expect(engine.model('wrong_value')?.versions[0]?.reason).toStartWith('model.toml: "context.x" must be')
  })
})
