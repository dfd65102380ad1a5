import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onnxModel } from '../test/support/tiny-models.ts'
import { describeMachine, warnWhereBusy } from './harness/machine.ts'
import { type Figure, figureOf, ratioByRound } from './harness/measure.ts'
import { type Row, report, reportTargets } from './harness/report.ts'
import { startAsUser, type UserPlace, userPlace } from './servers/as-users.ts'
import { familyMemoryBytes } from './servers/start.ts'
import { FASTAPI } from './serving-servers/contestants.ts'
import { pythonWith } from './serving-servers/python.ts'
import type { TargetId } from './targets/list.ts'

export interface StartSizes {
  readonly rounds: number
  /** MiB of the large model. */
  readonly mebibytes: number
  /** Whether Python is left out. */
  readonly isAlone: boolean
}

/** Width of its layers: a square of so many FP32 is 16 MiB. */
const WIDTH = 2048
const MIB = 2 ** 20
const LOAD_IN_PYTHON = `
import sys, time
begun = time.perf_counter()
import numpy, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
session.run(None, {"x": numpy.zeros((1, ${WIDTH}), numpy.float32)})
print((time.perf_counter() - begun) * 1000, flush=True)
sys.stdin.read()
`

interface Started {
  readonly ms: number
  readonly bytes: number
}

/** `bun run bench start`: from the command to readiness, with the bundled models and with a large one; and its memory. */
export async function benchStart({ rounds, mebibytes, isAlone }: StartSizes, isKept: boolean): Promise<void> {
  warnWhereBusy()
  const occasion = { machine: describeMachine(), isKept }
  using place = await userPlace()
  // As they are bundled, without those of other benches.
  for (const name of ['same', 'picture']) rmSync(join(place.models, name), { recursive: true })
  const folder = mkdtempSync(join(tmpdir(), 'vestal-bench-large-'))
  try {
    const large = { ...place, models: folder }
    const file = join(folder, 'large/1/model.onnx')
    await writeLargeModel(file, mebibytes)
    const python = isAlone ? undefined : await pythonWith('fastapi', FASTAPI)
    const [bundled, ours, theirs]: [Started[], Started[], Started[]] = [[], [], []]
    for (let round = 0; round < rounds; round += 1) {
      bundled.push(await startOnce(place))
      ours.push(await startOnce(large))
      if (python !== undefined) theirs.push(await loadInPython(python, file))
    }
    const row = (name: string, note: string, list: readonly Started[]): Row => {
      const memory = figureOf(list.map(({ bytes }) => bytes / MIB)).median.toFixed(0)
      return { name, note: `${memory} MiB resident; ${note}`, figure: figureOf(list.map(({ ms }) => ms)) }
    }
    const rows = [
      row('vestal, bundled models', 'from the command to readiness, with all processes', bundled),
      row(`vestal, ${mebibytes} MiB`, 'one model of dense layers, loaded, tried and warmed up', ours),
    ]
    if (theirs.length > 0)
      rows.push(row(`onnxruntime, ${mebibytes} MiB`, 'Python: from its first import to its first run', theirs))
    const text = `\`bun run start\` until \`/v2/health/ready\` is 200, ${rounds} interleaved rounds; the files are in the page cache.`
    report(
      [{ id: 'start', title: 'Start', text, unit: 'ms', isLessBetter: true, base: 'vestal, bundled models', rows }],
      occasion,
    )
    reportTargets(found(bundled, ours, theirs), occasion)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function found(bundled: readonly Started[], ours: readonly Started[], theirs: readonly Started[]): ReadonlyMap<TargetId, Figure> {
  const of = (list: readonly Started[], key: keyof Started) => list.map((each) => each[key])
  return new Map<TargetId, Figure>([
    ['start-bundled', figureOf(of(bundled, 'ms'))],
    ['start-large', ratioByRound(of(ours, 'ms'), of(theirs, 'ms'))],
    ['start-memory', ratioByRound(of(ours, 'bytes'), of(theirs, 'bytes'))],
  ])
}

async function startOnce(place: UserPlace): Promise<Started> {
  const server = await startAsUser('vestal start', place)
  const started = { ms: server.readyMs, bytes: familyMemoryBytes(server.pid) }
  await server.stop()
  return started
}

async function loadInPython(python: string, file: string): Promise<Started> {
  const child = Bun.spawn([python, '-c', LOAD_IN_PYTHON, file], { stdin: 'pipe', stdout: 'pipe', stderr: 'inherit' })
  const { value } = await child.stdout.getReader().read()
  const started = { ms: Number(new TextDecoder().decode(value)), bytes: familyMemoryBytes(child.pid) }
  await child.stdin.end()
  await child.exited
  return started
}

/** Dense layers in files beside the model, as exporters write what is large. */
async function writeLargeModel(file: string, mebibytes: number): Promise<void> {
  const layers = Array.from({ length: Math.max(1, Math.round((mebibytes * MIB) / (WIDTH * WIDTH * 4))) }, (_, index) => index)
  mkdirSync(join(file, '..'), { recursive: true })
  const values = new Float32Array(WIDTH * WIDTH).map((_, index) => ((index * 31) % 101) / 1600 - 1 / 32)
  for (const layer of layers) {
    // ONNX Runtime keeps weights that are equal once.
    values[0] = layer / 1000
    writeFileSync(join(file, '..', `weights${layer}`), values)
  }
  const nameOf = (layer: number) => (layer === 0 ? 'x' : layer === layers.length ? 'y' : `hidden${layer}`)
  const shape = ['rows', WIDTH]
  const model = onnxModel({
    nodes: layers.map((layer) => ({
      operator: 'MatMul',
      inputs: [nameOf(layer), `weights${layer}`],
      outputs: [nameOf(layer + 1)],
    })),
    constants: layers.map((layer) => ({ name: `weights${layer}`, shape: [WIDTH, WIDTH], values, location: `weights${layer}` })),
    inputs: [{ name: 'x', datatype: 'FP32', shape }],
    outputs: [{ name: 'y', datatype: 'FP32', shape }],
  })
  await Bun.write(file, model)
}
