import { openFiles } from '../../batch/files.ts'
import { inputFormatOf, openInput, outputFormatOf, type RowBatch, type RowSource } from '../../batch/read.ts'
import { openOutput } from '../../batch/write.ts'
import { SettingsError } from '../../config/load.ts'
import { CommandError } from '../../core/command-error.ts'
import { type ErrorDetail, VestalError } from '../../core/errors.ts'
import { withEngine } from './local-engine.ts'
import { localPredictor, type Predictor, remotePredictor } from './predictor.ts'
import type { ModelsRequest } from './server.ts'

const ROWS_MAX = 10_000
/** Requests that are on their way at once: one is computed while the next is read. */
const AT_ONCE = 2

/** `vestal models run`: computes the rows of a file, here or on a server, in memory that does not grow with it. */
export async function runModel(request: ModelsRequest): Promise<void> {
  if (request.args.values.has('url')) return predictAll(request, await remotePredictor(request))
  return withEngine(request, (engine) => predictAll(request, localPredictor(engine, request)))
}

async function predictAll(request: ModelsRequest, predictor: Predictor): Promise<void> {
  try {
    await predictRows(request, predictor)
  } finally {
    predictor.close?.()
  }
}

async function predictRows({ args }: ModelsRequest, predictor: Predictor): Promise<void> {
  const value = (flag: string) => args.values.get(flag)?.at(-1)
  const output = value('output') ?? '-'
  const rowsMax = Number(value('rows') ?? predictor.rows)
  if (!Number.isInteger(rowsMax) || rowsMax < 1 || rowsMax > ROWS_MAX) {
    throw new SettingsError([`--rows: must be a whole number from 1 to ${ROWS_MAX}`])
  }
  if (rowsMax > 1 && predictor.task?.name === 'rerank')
    throw new SettingsError(['--rows: must be 1 for a model that ranks: a query with its texts is one request'])
  const name = value('output-name')
  if (name !== undefined && !predictor.outputs.some((spec) => spec.name === name)) {
    throw new SettingsError([`--output-name: the model has no output ${JSON.stringify(name)}`])
  }
  const outputFormat = outputFormatOf(output, value('output-format'))
  if (outputFormat === 'npy' && predictor.outputs.length === 0)
    throw new SettingsError([`--output: the answers of this model are no numbers, which .npy holds; write NDJSON`])
  const { source, input } = await openSource(args.values, predictor, rowsMax)
  const sink = await openOutput(output, {
    format: outputFormat,
    specs: predictor.outputs,
    labels: predictor.labels,
    ...(name !== undefined && { name }),
  })
  const progress = new Progress(source.bytes)
  try {
    const onTheirWay: { readonly answer: Promise<string>; readonly batch: RowBatch }[] = []
    let rows = 0
    const writeFirst = async () => {
      const [first] = onTheirWay.splice(0, 1)
      if (first !== undefined) sink.write(await first.answer, first.batch.rows)
    }
    for await (const batch of source.batches) {
      const answer = predict(predictor, batch, source.describe)
      // Its failure is reported in order, below.
      answer.catch(() => undefined)
      onTheirWay.push({ answer, batch })
      if (onTheirWay.length >= AT_ONCE) await writeFirst()
      progress.add(batch)
      rows += batch.rows
    }
    while (onTheirWay.length > 0) await writeFirst()
    await sink.end()
    if (rows === 0) console.error(`warning: ${input === '-' ? 'the standard input' : input} has no rows`)
  } catch (error) {
    await sink.abandon()
    throw error
  } finally {
    progress.end()
  }
}

/** Pictures and sounds are files, where the first of them is not named as one of rows; everything else is one file of rows. */
async function openSource(
  values: ReadonlyMap<string, readonly string[]>,
  { inputs, task }: Predictor,
  rowsMax: number,
): Promise<{ readonly source: RowSource; readonly input: string }> {
  const [paths, named] = [values.get('input') ?? [], values.get('input-format')?.at(-1)]
  const [input, ...others] = paths
  if (input === undefined) throw new SettingsError(['--input: must be given: a file, or - for the standard input'])
  const hasRows = named !== undefined || input === '-' || /\.(?:ndjson|jsonl|json)$/i.test(input)
  if (task?.endings !== undefined && !hasRows) return { source: openFiles(paths, { endings: task.endings }), input }
  if (others.length > 0) throw new SettingsError(['--input: must be given once; only pictures and sound are several files'])
  return { source: await openInput(input, { format: inputFormatOf(input, named), specs: inputs, rowsMax }), input }
}

/** The answer to a batch; an error names the first row that fails by itself. */
async function predict(predictor: Predictor, batch: RowBatch, describe: (batch: RowBatch) => string): Promise<string> {
  try {
    const answer = await predictor.predict(batch.json)
    return batch.file === undefined ? answer : `[{"file":${JSON.stringify(batch.file)},"output":${answer.slice(1, -1)}}]`
  } catch (error) {
    for (const single of batch.rows > 1 ? batch.single() : []) await predict(predictor, single, describe)
    const message = error instanceof VestalError ? inWords(error.detail) : (error as Error).message
    throw new CommandError(`${describe(batch)}: ${message}`)
  }
}

/** How often the line is drawn, at most. */
const DRAW_MS = 100
const WIDTH = 24

/** A line on the standard error that says how far a long input is; nothing where that is no terminal. */
export class Progress {
  readonly #bytes: number | undefined
  readonly #begunMs = performance.now()
  readonly #isShown = process.stderr.isTTY === true
  #rows = 0
  #read = 0
  #drawnMs = 0

  /** Bytes of the input, where they are known. */
  constructor(bytes: number | undefined) {
    this.#bytes = bytes
  }

  /** Rows were sent, and this much of the input has been read by now. */
  add({ rows, readBytes }: { readonly rows: number; readonly readBytes: number }): void {
    this.#rows += rows
    this.#read = readBytes
    const nowMs = performance.now()
    if (!this.#isShown || nowMs - this.#drawnMs < DRAW_MS) return
    this.#drawnMs = nowMs
    process.stderr.write(`\r${this.line(nowMs)}\x1b[K`)
  }

  /** The line as it is now. */
  line(nowMs: number): string {
    const perSecond = Math.round(this.#rows / Math.max(0.001, (nowMs - this.#begunMs) / 1000))
    const counted = `${this.#rows} rows, ${perSecond} a second`
    if (this.#bytes === undefined || this.#bytes === 0) return counted
    const part = Math.min(1, this.#read / this.#bytes)
    const full = Math.round(part * WIDTH)
    return `[${'#'.repeat(full)}${'.'.repeat(WIDTH - full)}] ${Math.floor(part * 100)} %, ${counted}`
  }

  end(): void {
    if (this.#isShown && this.#drawnMs > 0) process.stderr.write(`\r${this.line(performance.now())}\x1b[K\n`)
  }
}

/** What is wrong, field by field where an error names some. */
function inWords(detail: ErrorDetail): string {
  if (typeof detail === 'string') return detail
  return Object.entries(detail)
    .map(([field, rule]) => `"${field}" ${rule}`)
    .join('; ')
}
