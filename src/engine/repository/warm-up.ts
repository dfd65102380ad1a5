import { isDeepStrictEqual } from 'node:util'
import { DATATYPES } from '../../tensor/datatypes.ts'
import { decodeRows, encodeRows } from '../../tensor/rows.ts'
import { ELEMENTS_MAX, elementCount } from '../../tensor/shape.ts'
import type { NamedTensors, Tensor, TensorSpec } from '../../tensor/tensor.ts'
import type { ModelRunner } from '../runner.ts'
import type { ModelFile } from './model-file.ts'
import type { Warmup } from './warmup-table.ts'

/**
 * Runs a model that was just loaded, so that the first request does not pay for what is done once: with the inputs that its file
 * records, or with zeros. Recorded inputs must be computed, and give what was recorded; zeros are a guess, and are not held against it.
 * @throws Error naming the run that failed, and why
 */
export async function warmUp(
  runner: ModelRunner,
  { warmups, labels }: ModelFile,
  warn: (message: string) => void,
): Promise<void> {
  if (warmups.length === 0) {
    try {
      await runner.run(zeros(runner.inputs), {})
    } catch (error) {
      warn(`it could not be warmed up with zeros (${reasonOf(error)}); [[warmup]] in model.toml can give it inputs`)
    }
    return
  }
  for (const [index, warmup] of warmups.entries()) {
    for (let round = 0; round < warmup.count; round += 1) {
      const answer = await runRecorded(runner, warmup, { labels, where: `warmup[${index}]` })
      if (warmup.output === undefined || isClose(answer, warmup.output, warmup.tolerance)) continue
      throw new Error(`warmup[${index}]: the answer is not the recorded one: ${JSON.stringify(answer).slice(0, 200)}`)
    }
  }
}

async function runRecorded(
  runner: ModelRunner,
  { input }: Warmup,
  { labels, where }: { readonly labels: ModelFile['labels']; readonly where: string },
): Promise<unknown> {
  try {
    const outputs = await runner.run(decodeRows(input, runner.inputs), {})
    const form = Array.isArray(input) ? 'rows' : 'columns'
    return JSON.parse(encodeRows(outputs, runner.outputs, { form, labels }))
  } catch (error) {
    throw new Error(`${where}: ${reasonOf(error)}`)
  }
}

/** Tensors of zeros and empty texts that fit the inputs; what may be of any size is 1. */
export function zeros(specs: readonly TensorSpec[]): NamedTensors {
  return new Map(specs.map((spec) => [spec.name, zero(spec)]))
}

function zero({ datatype, shape: spec }: TensorSpec): Tensor {
  const shape = spec.map((dimension) => (dimension === -1 ? 1 : dimension))
  const count = elementCount(shape)
  if (count > ELEMENTS_MAX) throw new Error('an input has too many elements')
  const facts = DATATYPES[datatype]
  if (facts.kind === 'text') return { datatype, shape, data: Array<string>(count).fill('') }
  return { datatype, shape, data: facts.kind === 'boolean' ? new Uint8Array(count) : new facts.array(count) }
}

function isClose(actual: unknown, expected: unknown, tolerance: number): boolean {
  if (typeof actual === 'number' && typeof expected === 'number') {
    return Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected))
  }
  if (Array.isArray(actual) && Array.isArray(expected)) {
    return actual.length === expected.length && actual.every((item, index) => isClose(item, expected[index], tolerance))
  }
  if (isObject(actual) && isObject(expected)) {
    const keys = Object.keys(actual)
    return (
      keys.length === Object.keys(expected).length &&
      keys.every((key) => Object.hasOwn(expected, key) && isClose(actual[key], expected[key], tolerance))
    )
  }
  return isDeepStrictEqual(actual, expected)
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message.slice(0, 300) : String(error)
}
