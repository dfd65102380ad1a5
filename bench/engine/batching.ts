import { join } from 'node:path'
import { createEngine } from '../../src/inference/create-engine.ts'
import { loadSession } from '../../src/inference/runtime/ort.ts'
import { usableCores } from '../../src/platform/cores.ts'
import { type Asked, atLeast } from '../harness/asked.ts'
import { type Figure, figureOf } from '../harness/measure.ts'
import type { Section } from '../harness/report.ts'
import { denseRow, LAYERS, WIDTH } from './dense-model.ts'
import { disableTelemetry } from './telemetry.ts'

export interface BatchingSizes {
  readonly rounds: number
  readonly roundMs: number
}

const CALLERS = 64
const BATCHES = [8, 16, 32, 64, 128] as const

interface Contestant {
  readonly name: string
  readonly note: string
  readonly callers: number
  /** Rows that one call computes. */
  readonly rows: number
  readonly call: () => Promise<unknown>
}

/** 64 callers of one row each, with batches and without, beside the session alone in a loop at several batch sizes. */
export async function benchBatching(
  folder: string,
  sizes: BatchingSizes,
): Promise<{ section: Section; asked: readonly Asked[]; dense: Figure }> {
  const engine = await createEngine({ modelsDirectory: folder })
  const options = { threads: usableCores(), arena: true, optimization: 'all' } as const
  disableTelemetry()
  const session = await loadSession(join(folder, 'shared/1/model.onnx'), options)
  const infer = (model: string) => () => engine.infer(model, '1', new Map([['x', denseRow()]]))
  const contestants: readonly Contestant[] = [
    { name: 'batches', note: `${CALLERS} callers, one row each`, callers: CALLERS, rows: 1, call: infer('shared') },
    {
      name: 'batches, checked',
      note: 'the same, set as `models check` recommends: a worker of one thread for each core, 64 rows',
      callers: CALLERS,
      rows: 1,
      call: infer('checked'),
    },
    { name: 'no batches', note: `${CALLERS} callers, one row each`, callers: CALLERS, rows: 1, call: infer('alone') },
    ...BATCHES.map((rows) => ({
      name: `session.run, ${rows} rows`,
      note: 'in a loop on the main thread, nothing around it',
      callers: 1,
      rows,
      call: () => session.run([denseRow(rows)]),
    })),
  ]
  const figures = await measure(contestants, sizes)
  await engine.stop()
  return {
    section: sectionOf(contestants, figures, sizes),
    asked: askedOf(figures),
    dense: { median: partOfBest(figures, 'batches'), spread: Number.NaN },
  }
}

async function measure(
  contestants: readonly Contestant[],
  { rounds, roundMs }: BatchingSizes,
): Promise<ReadonlyMap<string, Figure>> {
  const samples = new Map<string, number[]>(contestants.map(({ name }) => [name, []]))
  for (let round = 0; round <= rounds; round += 1) {
    for (const contestant of contestants) {
      const rowsPerSecond = await rateOf(contestant, roundMs)
      // The first round warms up.
      if (round > 0) samples.get(contestant.name)?.push(rowsPerSecond)
    }
  }
  return new Map([...samples].map(([name, values]) => [name, figureOf(values)]))
}

/** Rows a second while every caller calls again as soon as it has an answer. */
async function rateOf({ callers, rows, call }: Contestant, roundMs: number): Promise<number> {
  const begun = performance.now()
  let calls = 0
  const caller = async () => {
    while (performance.now() - begun < roundMs) {
      await call()
      calls += 1
    }
  }
  await Promise.all(Array.from({ length: callers }, caller))
  return (calls * rows * 1000) / (performance.now() - begun)
}

function sectionOf(
  contestants: readonly Contestant[],
  figures: ReadonlyMap<string, Figure>,
  { rounds, roundMs }: BatchingSizes,
): Section {
  return {
    id: 'engine-batching',
    title: 'A model that gains from batches',
    text: `${LAYERS} dense layers of ${WIDTH}, 25 MB; ${rounds} interleaved rounds of ${roundMs} ms, inside one process.`,
    unit: 'rows a second',
    isLessBetter: false,
    base: 'batches',
    // The cast: every contestant was measured.
    rows: contestants.map(({ name, note }) => ({ name, note, figure: figures.get(name) as Figure })),
  }
}

/** Rows a second of one contestant as a part of `session.run` at its best batch. */
function partOfBest(figures: ReadonlyMap<string, Figure>, name: string): number {
  const medianOf = (each: string) => figures.get(each)?.median ?? Number.NaN
  return medianOf(name) / Math.max(...BATCHES.map((rows) => medianOf(`session.run, ${rows} rows`)))
}

function askedOf(figures: ReadonlyMap<string, Figure>): readonly Asked[] {
  const medianOf = (name: string) => figures.get(name)?.median ?? Number.NaN
  const of = 'session.run at its best batch'
  return [
    atLeast('batches on', 4, { ratio: medianOf('batches') / medianOf('no batches'), of: 'batches off' }),
    atLeast('batches on, as `models check` recommends', 0.93, { ratio: partOfBest(figures, 'batches, checked'), of }),
  ]
}
