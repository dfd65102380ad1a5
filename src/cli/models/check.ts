import { basename } from 'node:path'
import { createEngine } from '../../engine/create-engine.ts'
import type { Engine, ModelVersion } from '../../engine/engine.ts'
import { zeros } from '../../engine/repository/synthetic.ts'
import { usableCores } from '../../engine/workers/cores.ts'
import type { TensorSpec } from '../../tensor/tensor.ts'
import { CommandError } from '../command-error.ts'
import { table } from '../table.ts'
import { describeTensors } from './list.ts'
import type { ModelsRequest } from './server.ts'

/** Rows of one run that are tried. */
const ROWS = [1, 4, 16, 64] as const
/** How long each setting is measured, and how often: the best of the rounds counts, so that a busy moment does not. */
const MEASURE_MS = 150
const ROUNDS = 3
const NAME = 'model'

interface Setting {
  readonly instances: number
  readonly threads: number
}

interface Measured extends Setting {
  readonly rows: number
  readonly rowsPerSecond: number
}

/** `vestal models check`: says whether a file can be served, with what, and how it is fastest on this machine, measured. */
export async function checkModel({ name: path }: ModelsRequest): Promise<void> {
  if (!(await Bun.file(path).exists())) throw new CommandError(`${path}: there is no such file`)
  const cores = usableCores()
  const candidates = settingsOf(cores)
  const measured: Measured[] = []
  let mayShare = false
  for (const [index, setting] of candidates.entries()) {
    const engine = await createEngine({ files: new Map([[NAME, path]]), ...setting, warn: () => undefined })
    try {
      const version = readyVersion(engine, path)
      mayShare = Number(engine.configuration(NAME).max_batch_size) > 0
      if (index === 0) describe(version, mayShare)
      measured.push(...(await measure(engine, version, setting)))
    } finally {
      await engine.stop()
    }
  }
  if (measured.length === 0) {
    console.log('Speed:    not measured: the model refuses inputs of zeros')
    return
  }
  recommend(measured, { cores, mayShare })
}

/** One worker with one thread, one with all cores, and one a core. */
function settingsOf(cores: number): readonly Setting[] {
  const one = { instances: 1, threads: 1 }
  return cores === 1 ? [one] : [one, { instances: 1, threads: cores }, { instances: cores, threads: 1 }]
}

function readyVersion(engine: Engine, path: string): ModelVersion {
  const version = engine.model(NAME)?.versions[0]
  if (version?.state === 'ready') return version
  throw new CommandError(`${basename(path)} cannot be served: ${version?.reason ?? 'it is not there'}`)
}

function describe({ inputs, outputs }: ModelVersion, mayShare: boolean): void {
  console.log(`Served:   yes
Inputs:   ${describeTensors(inputs)}
Outputs:  ${describeTensors(outputs)}
Batches:  ${mayShare ? 'rows of several requests may be computed together' : 'every request is computed by itself'}`)
}

async function measure(engine: Engine, { version, inputs }: ModelVersion, setting: Setting): Promise<readonly Measured[]> {
  const isInRows = inputs.length > 0 && inputs.every(({ shape }) => shape[0] === -1)
  const measured: Measured[] = []
  for (const rows of isInRows ? ROWS : [1]) {
    const run = () => engine.infer(NAME, version, zeros(inputs.map((spec) => withRows(spec, rows))))
    try {
      await run()
    } catch {
      // What refuses zeros in one number of rows may take them in another.
      continue
    }
    let best = 0
    for (let round = 0; round < ROUNDS; round += 1) best = Math.max(best, await ratePerSecond(run, setting.instances))
    measured.push({ ...setting, rows, rowsPerSecond: best * rows })
  }
  return measured
}

function withRows(spec: TensorSpec, rows: number): TensorSpec {
  return spec.shape[0] === -1 ? { ...spec, shape: [rows, ...spec.shape.slice(1)] } : spec
}

/** Runs a second, with every worker busy and one request waiting for each. */
async function ratePerSecond(run: () => Promise<unknown>, instances: number): Promise<number> {
  const begunMs = performance.now()
  let count = 0
  const client = async () => {
    while (performance.now() - begunMs < MEASURE_MS) {
      await run()
      count += 1
    }
  }
  await Promise.all(Array.from({ length: instances * 2 }, client))
  return (count * 1000) / (performance.now() - begunMs)
}

function recommend(
  measured: readonly Measured[],
  { cores, mayShare }: { readonly cores: number; readonly mayShare: boolean },
): void {
  const rows = [...new Set(measured.map((each) => each.rows))]
  const settings = [...new Set(measured.map(({ instances, threads }) => `${instances}/${threads}`))]
  const find = (setting: string, count: number) =>
    measured.find(({ instances, threads, rows: each }) => `${instances}/${threads}` === setting && each === count)
  console.log(`\nRows a second on ${cores} ${cores === 1 ? 'core' : 'cores'}, with so many rows in a run:\n`)
  console.log(
    table([
      ['WORKERS', 'THREADS', ...rows.map(String)],
      ...settings.map((setting) => [
        ...setting.split('/'),
        ...rows.map((count) => Math.round(find(setting, count)?.rowsPerSecond ?? 0).toString()),
      ]),
    ]),
  )
  const best = measured.reduce((a, b) => (b.rowsPerSecond > a.rowsPerSecond ? b : a))
  // Fewer rows in a run answer sooner: more are worth it only where they give clearly more.
  const sooner = measured.filter(({ instances, threads }) => instances === best.instances && threads === best.threads)
  const chosen = sooner.find(({ rowsPerSecond }) => rowsPerSecond >= best.rowsPerSecond * 0.9) ?? best
  console.log(`
Recommended, for model.toml:

[serving]
instances = ${chosen.instances}
threads = ${chosen.threads}${mayShare ? `\n\n[batching]\nrows_max = ${chosen.rows}` : ''}`)
}
