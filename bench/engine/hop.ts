import { join } from 'node:path'
import { createEngine } from '../../src/inference/create-engine.ts'
import { loadSession } from '../../src/inference/runtime/ort.ts'
import { usableCores } from '../../src/platform/cores.ts'
import { type Asked, atMost } from '../harness/asked.ts'
import { interleave, type Rounds, type Work } from '../harness/measure.ts'
import type { Section } from '../harness/report.ts'
import { disableTelemetry } from './telemetry.ts'

const MODELS = join(import.meta.dir, '../../models')
const PIXELS = 64
/** A thread that sends back what it is sent. */
const ECHO = 'self.onmessage = ({ data }) => self.postMessage(data)'

const image = () => ({ datatype: 'FP32', shape: [1, PIXELS], data: new Float32Array(PIXELS).fill(3) }) as const

/** One row of `digits` and one caller: through the engine, and the session alone. */
export async function benchIdle(rounds: Rounds): Promise<{ section: Section; asked: readonly Asked[] }> {
  const engine = await createEngine({ modelsDirectory: MODELS })
  const options = { threads: usableCores(), arena: true, optimization: 'all' } as const
  disableTelemetry()
  const session = await loadSession(join(MODELS, 'digits/1/model.onnx'), options)
  const names = { engine: 'engine.infer', session: 'session.run' } as const
  const figures = await interleave(
    [
      repeat(names.engine, () => engine.infer('digits', '1', new Map([['image', image()]]))),
      repeat(names.session, () => session.run([image()])),
    ],
    rounds,
  )
  await engine.stop()
  const rows = [...figures].map(([name, figure]) => ({
    name,
    note: name === names.engine ? 'queue, worker and back' : 'on the main thread',
    figure,
  }))
  const medianOf = (name: string) => figures.get(name)?.median ?? Number.NaN
  const overMs = (medianOf(names.engine) - medianOf(names.session)) / 1e6
  return {
    section: {
      id: 'engine-idle',
      title: 'One caller, one row, an idle server',
      text: '`digits`, inside one process.',
      unit: 'ns a prediction',
      isLessBetter: true,
      base: names.engine,
      rows,
    },
    asked: [atMost('one caller, one row, over a bare session.run', 1, { value: overMs, unit: 'ms' })],
  }
}

/** Ways to hand 256 bytes to a thread and have them back. */
export async function benchMessages(rounds: Rounds): Promise<Section> {
  const worker = new Worker(URL.createObjectURL(new Blob([ECHO], { type: 'text/javascript' })))
  const shared = new Float32Array(new SharedArrayBuffer(PIXELS * 4))
  const send = (message: unknown, buffers: ArrayBuffer[] = []) =>
    new Promise((resolve) => {
      worker.onmessage = ({ data }) => resolve(data)
      worker.postMessage(message, buffers)
    })
  const figures = await interleave(
    [
      repeat('tensor, copied', () => send({ kind: 'run', inputs: [image()] })),
      repeat('tensor, moved', () => {
        const tensor = image()
        return send({ kind: 'run', inputs: [tensor] }, [tensor.data.buffer])
      }),
      repeat('list, moved', () => {
        const { data } = image()
        return send([1, data], [data.buffer])
      }),
      repeat('shared memory and a number', () => {
        shared.set(image().data)
        return send(1)
      }),
    ],
    rounds,
  )
  worker.terminate()
  return {
    id: 'engine-messages',
    title: 'To a thread and back',
    text: 'One row of `digits`, 256 bytes, to a thread that echoes it.',
    unit: 'ns there and back',
    isLessBetter: true,
    base: 'tensor, moved',
    rows: [...figures].map(([name, figure]) => ({ name, note: NOTES[name] ?? '', figure })),
  }
}

const NOTES: Readonly<Record<string, string>> = {
  'tensor, moved': 'what the engine does, once for a whole batch',
  'shared memory and a number': 'the fewest bytes; one place for each run, and no texts',
}

function repeat(name: string, work: () => Promise<unknown>): Work {
  return {
    name,
    run: async (times) => {
      let last: unknown
      for (let time = 0; time < times; time += 1) last = await work()
      return last
    },
  }
}
