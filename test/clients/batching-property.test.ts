import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../src/inference/create-engine.ts'
import type { Engine, ModelVersion } from '../../src/inference/engine.ts'
import { DATATYPES } from '../../src/tensor/datatypes.ts'
import type { NamedTensors, Tensor, TensorSpec } from '../../src/tensor/tensor.ts'
import { type Random, seeded } from '../support/seed.ts'
import { hasTool } from '../support/tools.ts'

/** Random graphs beside those that must and those that must not share runs. */
const GRAPHS = 150
/** Models of one engine: each has a thread. */
const MODELS_AT_ONCE = 24
const REQUESTS = 6
/** Size of dimensions that are open beside the rows; graphs with several have them equal. */
const OPEN_SIZE = 3
/** Of the largest number of an output's row; with half floats inside, or integers of a quantised model, sums differ by more. */
const TOLERANCE = 2e-3
/** Rows that are followed only so far: these run alone, which is slower and never wrong. */
const NOT_FOLLOWED = /^good-(?:class-token|sequence-first)-/
/** Factors of the numbers of a request: rows of all magnitudes are mixed. */
const MAGNITUDES = [1, 1000, 1e-3, 0, 30, 1]

const python = process.env.VESTAL_TEST_PYTHON
const folder = mkdtempSync(join(tmpdir(), 'vestal-graphs-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function tensorOf({ datatype, shape }: TensorSpec, random: Random, magnitude: number): Tensor {
  const own = shape.map((size, index) => (index === 0 ? 1 : size < 0 ? OPEN_SIZE : size))
  const count = own.reduce((product, size) => product * size, 1)
  const facts = DATATYPES[datatype]
  if (facts.kind === 'text')
    return { datatype, shape: own, data: Array.from({ length: count }, () => (random() < 0.5 ? 'a' : 'b')) }
  if (facts.kind === 'boolean') return { datatype, shape: own, data: new Uint8Array(count).map(() => Math.round(random())) }
  const data = new facts.array(count)
  for (let index = 0; index < count; index += 1) {
    if (facts.kind === 'big-integer') data[index] = random() < 0.5 ? 0n : 1n
    else data[index] = facts.kind === 'float' ? (random() * 2 - 1) * magnitude : Math.round(random())
  }
  return { datatype, shape: own, data }
}

/** What differs between two answers, in words; undefined where nothing does. */
function difference(alone: NamedTensors, together: NamedTensors): string | undefined {
  for (const [name, { shape, data }] of alone) {
    const other = together.get(name)
    if (other === undefined || other.shape.join() !== shape.join())
      return `${name} has the shape ${other?.shape} in place of ${shape}`
    const finite = [...data].filter((value) => typeof value === 'number' && Number.isFinite(value)) as number[]
    const scale = finite.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0)
    for (const [index, value] of data.entries()) {
      const given = other.data[index]
      if (Object.is(value, given) || value === given) continue
      if (typeof value === 'number' && typeof given === 'number' && Math.abs(value - given) <= TOLERANCE * scale) continue
      return `${name}[${index}] is ${given} in place of ${value}`
    }
  }
  return undefined
}

/** The answer, or that the model could not compute it. */
async function answer(engine: Engine, model: string, inputs: NamedTensors): Promise<NamedTensors | 'failed'> {
  return engine.infer(model, '1', inputs, { cache: 'skip' }).catch(() => 'failed' as const)
}

async function compare(
  engine: Engine,
  model: string,
  { inputs: specs }: ModelVersion,
  random: Random,
): Promise<string | undefined> {
  const requests = Array.from({ length: REQUESTS }, (_, index) =>
    specs.map((spec) => [spec.name, tensorOf(spec, random, MAGNITUDES[index] ?? 1)] as const),
  )
  // Copies, since what is sent may be moved to where it is computed.
  const copyOf = (entries: (typeof requests)[number]): NamedTensors =>
    new Map(entries.map(([name, tensor]) => [name, { ...tensor, data: tensor.data.slice() } as Tensor]))
  const alone: (NamedTensors | 'failed')[] = []
  for (const request of requests) alone.push(await answer(engine, model, copyOf(request)))
  const together = await Promise.all(requests.map((request) => answer(engine, model, copyOf(request))))
  for (const [index, expected] of alone.entries()) {
    const given = together[index]
    if (expected === 'failed' || given === 'failed' || given === undefined) {
      if (expected !== given) return `request ${index}: one of the answers is an error`
      continue
    }
    const what = difference(expected, given)
    if (what !== undefined) return `request ${index}: ${what}`
  }
  return undefined
}

if (hasTool('a Python with onnx (VESTAL_TEST_PYTHON)', python)) {
  test(`graphs that share runs give the answers that they give alone (${GRAPHS} random ones and those of known kinds)`, async () => {
    const random = seeded('batching graphs')
    const seed = Math.floor(random() * 2 ** 31)
    const made = Bun.spawnSync([python, join(import.meta.dir, 'batching_graphs.py'), folder, String(seed), String(GRAPHS)], {
      stderr: 'inherit',
    })
    expect(made.exitCode).toBe(0)
    const names = readdirSync(folder).sort()
    const counts = { graphs: names.length, shared: 0, apart: 0, unavailable: 0, runsShared: 0 }
    const reasons = new Map<string, number>()
    const wrong: string[] = []
    for (let begin = 0; begin < names.length; begin += MODELS_AT_ONCE) {
      const chunk = names.slice(begin, begin + MODELS_AT_ONCE)
      const files = new Map(chunk.map((name, index) => [`m${index}`, join(folder, name, '1/model.onnx')]))
      const engine = await createEngine({ files, instances: 1, threads: 1, warn: () => undefined })
      for (const [index, name] of chunk.entries()) {
        const version = engine.model(`m${index}`)?.versions[0]
        if (version?.state !== 'ready') {
          counts.unavailable += 1
          if (!/^[rh]\d/.test(name)) wrong.push(`${name}: ${version?.reason}`)
          continue
        }
        const isShared = version.batching?.runs === 'shared'
        const reason = (version.batching?.reason ?? '').split(/[(;:']/)[0] ?? ''
        reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
        if (name.startsWith('good-') && !NOT_FOLLOWED.test(name) && !isShared)
          wrong.push(`${name} must share runs, and does not: ${version.batching?.reason}`)
        if (name.startsWith('bad-') && isShared) wrong.push(`${name} must not share runs: ${version.batching?.reason}`)
        if (!isShared) {
          counts.apart += 1
          continue
        }
        counts.shared += 1
        const what = await compare(engine, `m${index}`, version, random)
        if (what !== undefined) wrong.push(`${name}: ${what} (${version.batching?.reason})`)
        if (engine.statistics(`m${index}`)[0]?.batches.some(({ rows }) => rows > 1)) counts.runsShared += 1
      }
      await engine.stop()
    }
    console.log(counts, Object.fromEntries([...reasons].sort(([, a], [, b]) => b - a).slice(0, 12)))
    expect({ wrong, seed: random.seed }).toEqual({ wrong: [], seed: random.seed })
    expect(counts.runsShared).toBeGreaterThan(50)
  }, 600_000)
}
