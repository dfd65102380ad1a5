import { formatOf, openInput, type RowBatch } from '../../batch/read.ts'
import { openOutput } from '../../batch/write.ts'
import { SettingsError } from '../../config/load.ts'
import { CommandError } from '../../core/command-error.ts'
import { VestalError } from '../../core/errors.ts'
import { Progress } from '../progress.ts'
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

async function predictAll({ args }: ModelsRequest, predictor: Predictor): Promise<void> {
  const value = (flag: string) => args.values.get(flag)?.at(-1)
  const input = value('input')
  if (input === undefined) throw new SettingsError(['--input: must be given: a file, or - for the standard input'])
  const output = value('output') ?? '-'
  const rowsMax = Number(value('rows') ?? predictor.rows)
  if (!Number.isInteger(rowsMax) || rowsMax < 1 || rowsMax > ROWS_MAX) {
    throw new SettingsError([`--rows: must be a whole number from 1 to ${ROWS_MAX}`])
  }
  const name = value('output-name')
  if (name !== undefined && !predictor.outputs.some((spec) => spec.name === name)) {
    throw new SettingsError([`--output-name: the model has no output ${JSON.stringify(name)}`])
  }
  const [inputFormat, outputFormat] = [
    formatOf('--input', input, value('input-format')),
    formatOf('--output', output, value('output-format')),
  ]
  const source = await openInput(input, { format: inputFormat, specs: predictor.inputs, rowsMax })
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

/** The answer to a batch; an error names the first row that fails by itself. */
async function predict(predictor: Predictor, batch: RowBatch, describe: (batch: RowBatch) => string): Promise<string> {
  try {
    return await predictor.predict(batch.json)
  } catch (error) {
    for (const single of batch.rows > 1 ? batch.single() : []) await predict(predictor, single, describe)
    const message = error instanceof VestalError && typeof error.detail === 'string' ? error.detail : (error as Error).message
    throw new CommandError(`${describe(batch)}: ${message}`)
  }
}
