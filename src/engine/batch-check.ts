import { DATATYPES } from '../tensor/datatypes.ts'
import { elementCount } from '../tensor/shape.ts'
import type { Tensor, TensorData, TensorSpec } from '../tensor/tensor.ts'
import { isInRows, joinRows } from './batches.ts'
import type { BatchCheck } from './messages.ts'
import type { Session } from './ort.ts'

/** Sizes that are tried for a dimension of any size behind the rows: one that the model takes is enough. */
const SIZES = [8, 1, 32, 224] as const
/** By how much a number may differ when it is computed beside others: the order of additions changes. */
const TOLERANCE = 1e-3

/** Computes two rows one by one and together, and says whether the answers are the same: only then may requests share a run. */
export async function checkBatches(session: Session): Promise<BatchCheck> {
  const { inputs, outputs } = session
  if (!isInRows(inputs)) return { isSafe: false, reason: 'an input does not begin with a dimension of any size' }
  if (!isInRows(outputs)) return { isSafe: false, reason: 'an output does not begin with a dimension of any size' }
  const isFixed = inputs.every(({ shape }) => !shape.includes(-1, 1))
  let reason = ''
  for (const size of isFixed ? SIZES.slice(0, 1) : SIZES) {
    try {
      return await compare(session, size)
    } catch {
      // The values are made up, so a refusal of them says nothing about the model; another size may do.
      reason = 'the model refuses the values that it was tried with'
    }
  }
  return { isSafe: false, reason }
}

async function compare(session: Session, size: number): Promise<BatchCheck> {
  const first = session.inputs.map((spec, index) => rowOf(spec, size, index + 1))
  const second = session.inputs.map((spec, index) => rowOf(spec, size, index + 100))
  const alone = [(await session.run(first)).outputs, (await session.run(second)).outputs]
  const both = first.map((tensor, index) => joinRows([tensor, second[index] as Tensor]))
  const together = (await session.run(both)).outputs
  for (const [index, { name }] of session.outputs.entries()) {
    const pair = alone.map((outputs) => outputs[index] as Tensor)
    if (!isSame(joinRows(pair as [Tensor, Tensor]), together[index] as Tensor)) {
      return { isSafe: false, reason: `the output '${name}' is not the same when rows are computed together` }
    }
  }
  return { isSafe: true }
}

function rowOf({ datatype, shape }: TensorSpec, size: number, seed: number): Tensor {
  const own = [1, ...shape.slice(1).map((dimension) => (dimension === -1 ? size : dimension))]
  return { datatype, shape: own, data: valuesOf(datatype, elementCount(own), seed) }
}

/** Small values that most models take: 0 and 1 for integers, which are often indices, and numbers from 0 to 1. */
function valuesOf(datatype: Tensor['datatype'], count: number, seed: number): TensorData {
  const facts = DATATYPES[datatype]
  let state = seed
  const draw = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff
    return state / 0x80000000
  }
  if (facts.kind === 'text') return Array.from({ length: count }, () => (draw() < 0.5 ? 'a' : 'b'))
  if (facts.kind === 'boolean') return new Uint8Array(count).map(() => (draw() < 0.5 ? 0 : 1))
  const values = new facts.array(count)
  for (let index = 0; index < count; index += 1) {
    if (facts.kind === 'big-integer') values[index] = draw() < 0.5 ? 0n : 1n
    else values[index] = facts.kind === 'float' ? draw() : Math.round(draw())
  }
  return values
}

function isSame(expected: Tensor, given: Tensor): boolean {
  if (expected.shape[0] !== 2 || expected.shape.join() !== given.shape.join() || expected.data.length !== given.data.length)
    return false
  return (expected.data as readonly unknown[]).every((value, index) => isClose(value, given.data[index]))
}

function isClose(expected: unknown, given: unknown): boolean {
  if (typeof expected !== 'number' || typeof given !== 'number') return expected === given
  if (Object.is(expected, given) || expected === given) return true
  return Math.abs(expected - given) <= TOLERANCE * Math.max(1, Math.abs(expected))
}
