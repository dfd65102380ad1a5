import { isDeepStrictEqual } from 'node:util'
import { decodeRows, encodeRows } from '../../tensor/rows.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import { WorkerGone } from '../instance/worker-pool.ts'
import type { ModelRunner } from '../runner.ts'
import type { ModelFile } from './model-file.ts'
import { warmupTensors, zeros } from './synthetic.ts'
import type { Warmup, WarmupRows } from './warmup-table.ts'

export interface WarmUpOptions {
  readonly file: ModelFile
  /** Where the model's files are. */
  readonly folder: string | undefined
  /** Inputs that are made up where its files record none; default zeros. */
  readonly madeUp?: NamedTensors | undefined
  readonly warn: (message: string) => void
}

/**
 * Runs a model that was just loaded, so that the first request does not pay for what is done once: with the inputs that its files
 * record, or with zeros. Recorded inputs must be computed, and give what was recorded; zeros are a guess, and are not held against it.
 * @throws Error naming the run that failed, and why
 */
export async function warmUp(runner: ModelRunner, { file, folder, madeUp, warn }: WarmUpOptions): Promise<void> {
  if (file.warmups.length === 0 && !runner.settings.syntheticInputs) return
  if (file.warmups.length === 0) {
    try {
      await compute(runner, () => madeUp ?? zeros(runner.inputs), 1)
    } catch (error) {
      if (error instanceof WorkerGone) throw error
      const what = madeUp === undefined ? 'zeros' : 'made-up inputs'
      warn(`it could not be warmed up with ${what} (${reasonOf(error)}); [[warmup]] in model.toml can give it inputs`)
    }
    return
  }
  for (const [index, warmup] of file.warmups.entries()) {
    const where = warmup.kind === 'rows' ? `warmup[${index}]` : `model_warmup "${warmup.name}"`
    try {
      await runOne(runner, warmup, { file, folder })
    } catch (error) {
      throw new Error(`${where}: ${reasonOf(error)}`)
    }
  }
}

async function runOne(
  runner: ModelRunner,
  warmup: Warmup,
  { file, folder }: Pick<WarmUpOptions, 'file' | 'folder'>,
): Promise<void> {
  if (warmup.kind === 'tensors') {
    await compute(runner, () => warmupTensors(warmup, folder, runner.inputs), warmup.count)
    return
  }
  const answer = await runRows(runner, warmup, file.labels)
  if (warmup.output === undefined || isClose(answer, warmup.output, warmup.tolerance)) return
  throw new Error(`the answer is not the recorded one: ${JSON.stringify(answer).slice(0, 200)}`)
}

async function runRows(runner: ModelRunner, { input, count }: WarmupRows, labels: ModelFile['labels']): Promise<unknown> {
  const outputs = await compute(runner, () => decodeRows(input, runner.inputs), count)
  const form = Array.isArray(input) ? 'rows' : 'columns'
  return JSON.parse(encodeRows(outputs, runner.outputs, { form, labels }))
}

/** Computes inputs so many times and returns the last answer: in every worker, since any of them may serve the first request. */
async function compute(runner: ModelRunner, inputsOf: () => NamedTensors, count: number): Promise<NamedTensors> {
  const kept = runner.warm === undefined ? undefined : inputsOf()
  const once = () => (kept === undefined ? undefined : runner.warm?.(kept)) ?? runner.run(inputsOf(), { cache: 'skip' })
  let outputs = await once()
  for (let round = 1; round < count; round += 1) outputs = await once()
  return outputs
}

/** Whether an answer has the recorded values; of an object, such as a row of several outputs, it may hold more than what was recorded. */
function isClose(actual: unknown, expected: unknown, tolerance: number): boolean {
  if (typeof actual === 'number' && typeof expected === 'number') {
    return Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected))
  }
  if (Array.isArray(actual) && Array.isArray(expected)) {
    return actual.length === expected.length && actual.every((item, index) => isClose(item, expected[index], tolerance))
  }
  if (isObject(actual) && isObject(expected)) {
    const keys = Object.keys(expected)
    return keys.length > 0 && keys.every((key) => Object.hasOwn(actual, key) && isClose(actual[key], expected[key], tolerance))
  }
  return isDeepStrictEqual(actual, expected)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 300) : String(error)
}
