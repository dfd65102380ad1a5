import { readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { Blobs } from '../../tensor/binary.ts'
import { DATATYPES } from '../../tensor/datatypes.ts'
import { ELEMENTS_MAX, elementCount } from '../../tensor/shape.ts'
import type { NamedTensors, Tensor, TensorSpec } from '../../tensor/tensor.ts'
import type { WarmupInput, WarmupTensors } from './warmup-table.ts'

const FILE_BYTES_MAX = 256 * 1024 * 1024

/** Tensors of zeros and empty texts that fit the inputs; what may be of any size is 1. */
export function zeros(specs: readonly TensorSpec[]): NamedTensors {
  return new Map(
    specs.map(({ name, datatype, shape }) => [name, filled({ datatype, shape: shape.map((size) => (size < 0 ? 1 : size)) })]),
  )
}

/**
 * The inputs of a run that a configuration describes; files are those of the folder `warmup`.
 * @throws Error, VestalError where a file is missing or does not hold such a tensor
 */
export function warmupTensors(
  { rows, inputs }: WarmupTensors,
  folder: string | undefined,
  specs: readonly TensorSpec[],
): NamedTensors {
  return new Map(
    inputs.map((input) => {
      // A model that takes no batches has a batch size of 1 there, and its dims are whole.
      const own = specs.find(({ name }) => name === input.name)?.shape
      const isWhole = own?.length === input.dims.length
      const isScalar = own?.length === 0 && input.dims.every((size) => size === 1)
      const shape = isScalar ? [] : rows > 0 && !isWhole ? [rows, ...input.dims] : input.dims
      return [input.name, tensorOf(input, { shape, folder })]
    }),
  )
}

function tensorOf(
  { name, datatype, data }: WarmupInput,
  { shape, folder }: { readonly shape: readonly number[]; readonly folder: string | undefined },
): Tensor {
  if (data === 'zero') return filled({ datatype, shape })
  if (data === 'random') return filled({ datatype, shape }, Math.random)
  const path = join(folder ?? '', 'warmup', data.file)
  const stat = statSync(path, { throwIfNoEntry: false })
  if (folder === undefined || stat === undefined) throw new Error(`warmup/${data.file} is missing`)
  if (!stat.isFile()) throw new Error(`warmup/${data.file} is not a file`)
  if (stat.size > FILE_BYTES_MAX) throw new Error(`warmup/${data.file} is larger than ${FILE_BYTES_MAX} bytes`)
  const bytes = new Uint8Array(readFileSync(path))
  const blobs = new Blobs(bytes, 'the warm-up')
  const tensor = blobs.take({ name, datatype, shape }, bytes.length)
  blobs.end()
  return tensor
}

function filled({ datatype, shape }: Omit<TensorSpec, 'name'>, draw?: () => number): Tensor {
  const count = elementCount(shape)
  if (count > ELEMENTS_MAX) throw new Error(`an input has more than ${ELEMENTS_MAX} elements`)
  const facts = DATATYPES[datatype]
  if (facts.kind === 'text') return { datatype, shape, data: Array<string>(count).fill('') }
  if (facts.kind === 'boolean')
    return { datatype, shape, data: new Uint8Array(count).map(() => (draw === undefined ? 0 : Math.round(draw()))) }
  if (draw === undefined) return { datatype, shape, data: new facts.array(count) }
  // Small numbers: an integer may be the number of a class or a place in a table.
  if (facts.kind === 'big-integer') return { datatype, shape, data: new facts.array(count).fill(BigInt(Math.round(draw()))) }
  const data = new facts.array(count)
  for (let index = 0; index < count; index += 1) data[index] = facts.kind === 'integer' ? Math.round(draw()) : draw()
  return { datatype, shape, data }
}
