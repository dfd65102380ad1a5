import { VestalError } from '../core/errors.ts'
import { DATATYPES, type Datatype, type DatatypeFacts } from './datatypes.ts'
import { BareFloat } from './exact-json.ts'
import { NumberList } from './number-list.ts'
import { describeShape, ELEMENTS_MAX, elementCount, tooManyElements } from './shape.ts'
import type { Tensor, TensorData } from './tensor.ts'
import { TRITON_TEXTS } from './triton-texts.ts'

/** Characters of a value that a message shows. */
const SHOWN_MAX = 60
/** Elements that are so few that their memory may be taken before they are counted. */
const SMALL_COUNT = 4096
/** What stands for floats that JSON does not have, by the dialect. */
const MISSING_HINTS = {
  rows: 'null, "NaN", "Infinity" or "-Infinity"',
  tensors: 'NaN, Infinity or -Infinity without quotes',
}

/** What a tensor is to hold. */
export interface TensorTarget {
  readonly name: string
  readonly datatype: Datatype
  readonly shape: readonly number[]
  /**
   * Whether null and the texts NaN, Infinity and -Infinity stand for those floats, which JSON does not have, as in rows; default false: a
   * `BareFloat` does, as in `/v2`.
   */
  readonly hasWords?: boolean | undefined
  /** For messages; rows need none. */
  readonly model?: string | undefined
}

/**
 * Makes a tensor of JSON data in row-major order, flat or nested to any depth. Each element must be one that the datatype holds
 * exactly, or the nearest for floats; the count must be the shape's.
 * @throws VestalError INPUT_INVALID, naming the input, the element and what came
 */
export function tensorFromJson(target: TensorTarget, data: unknown): Tensor {
  const { name, datatype, shape } = target
  if (data instanceof NumberList) return tensorOfList(target, data)
  if (!Array.isArray(data)) throw inputInvalid(`input '${name}': "data" must be a list, got ${show(data)}`)
  const count = elementCount(shape)
  if (count > ELEMENTS_MAX) throw inputInvalid(tooManyElements(name, datatype, shape))
  // A large shape takes memory only where the data is there for it: a body of a few bytes may name 64 million elements.
  const given = data.length === count || count <= SMALL_COUNT ? count : elementsIn(data, count)
  if (given !== count) throw inputInvalid(mismatch(target, count, given))
  const numbers = flatFloats(target, count, data)
  if (numbers !== undefined) return { datatype, shape, data: numbers }
  const storage = createStorage(target, count)
  const found = fill(data, 0, storage.put)
  if (found !== count) throw inputInvalid(mismatch(target, count, found))
  return { datatype, shape, data: storage.data }
}

/** The same of a long list of numbers. */
function tensorOfList(target: TensorTarget, { data }: NumberList): Tensor {
  const { datatype, shape } = target
  const count = elementCount(shape)
  if (data.length !== count) throw inputInvalid(mismatch(target, count, data.length))
  // Its numbers were checked as they were read.
  if (datatype === 'FP32' && data instanceof Float32Array) return { datatype, shape, data }
  if (datatype === 'FP64' && data instanceof Float64Array) return { datatype, shape, data }
  const facts = DATATYPES[datatype]
  if (facts.kind === 'big-integer') return { datatype, shape, data: integersOf(facts, data) }
  const storage = createStorage(target, count)
  for (let index = 0; index < count; index += 1) storage.put(index, data[index])
  return { datatype, shape, data: storage.data }
}

/** Integers of 64 bits, without a bigint for each. */
function integersOf({ min, array }: DatatypeFacts & { kind: 'big-integer' }, numbers: ArrayLike<number>): TensorData {
  const integers = new array(numbers.length)
  const halves = new Int32Array(integers.buffer)
  const least = min === 0n ? 0 : Number.MIN_SAFE_INTEGER
  for (let index = 0; index < numbers.length; index += 1) {
    const value = numbers[index] ?? Number.NaN
    // Read again as a whole, it is named.
    if (!Number.isSafeInteger(value) || value < least) throw inputInvalid(`element ${index} is no such integer`)
    halves[2 * index] = value
    halves[2 * index + 1] = Math.floor(value / 2 ** 32)
  }
  return integers
}

function mismatch({ name, datatype, shape, model = '' }: TensorTarget, count: number, found: number): string {
  const of = { input: name, model, expected: BigInt(count) }
  if (datatype === 'BYTES') return found > count ? TRITON_TEXTS.stringsTooMany(found, of) : TRITON_TEXTS.stringsTooFew(found, of)
  const has = `input '${name}' of shape ${describeShape(shape)} needs ${count} elements, and it has ${found > count ? 'more' : found}`
  return `${TRITON_TEXTS.dataMismatch()}; ${has}`
}

/** Elements of a list and the lists in it; one more than the most where there are more. */
function elementsIn(list: readonly unknown[], most: number): number {
  let count = 0
  for (const element of list) {
    count += Array.isArray(element) ? elementsIn(element, most - count) : 1
    if (count > most) break
  }
  return count
}

/** A flat list of floats that fits, as nearly all are; undefined for all else, which is then looked at element by element. */
function flatFloats({ datatype }: TensorTarget, count: number, list: readonly unknown[]): TensorData | undefined {
  const facts = DATATYPES[datatype]
  if (facts.kind !== 'float' || list.length !== count) return undefined
  const { max } = facts
  const data = new facts.array(count)
  for (let index = 0; index < count; index += 1) {
    const element = list[index]
    if (typeof element !== 'number' || Math.abs(element) > max) return undefined
    data[index] = element
  }
  return data
}

type Put = (index: number, element: unknown) => boolean

/** Puts every element in place and gives the index after the last; stops once an element has no place. */
function fill(list: readonly unknown[], start: number, put: Put): number {
  let index = start
  for (const element of list) {
    if (Array.isArray(element)) index = fill(element, index, put)
    else if (put(index, element)) index += 1
    else return index + 1
  }
  return index
}

interface Storage {
  readonly data: TensorData
  /** False when the index is beyond the storage; throws when the datatype cannot hold the element. */
  readonly put: Put
}

function createStorage({ name, datatype, hasWords = false }: TensorTarget, count: number): Storage {
  const facts = DATATYPES[datatype]
  const rejected = (index: number, element: unknown, expected: string) =>
    inputInvalid(`input '${name}': element ${index} must be ${expected}, got ${show(element)}`)
  switch (facts.kind) {
    case 'text': {
      const data: string[] = []
      return storage(data, count, (index, element) => {
        if (typeof element !== 'string') throw rejected(index, element, 'a string')
        if (!element.isWellFormed()) throw rejected(index, '', 'a string without lone surrogates')
        // onnxruntime-node hands texts over as C does, where this character ends one: the rest would be lost.
        if (element.includes('\0')) throw rejected(index, element, 'a string without the character U+0000')
        data.push(element)
      })
    }
    case 'boolean': {
      const data = new Uint8Array(count)
      return storage(data, count, (index, element) => {
        if (typeof element !== 'boolean') throw rejected(index, element, 'true or false')
        data[index] = element ? 1 : 0
      })
    }
    case 'integer': {
      const data = new facts.array(count)
      const { min, max } = facts
      return storage(data, count, (index, element) => {
        if (typeof element !== 'number' || !Number.isInteger(element) || element < min || element > max) {
          throw rejected(index, element, `an integer of ${datatype}, from ${min} to ${max}`)
        }
        data[index] = element
      })
    }
    case 'big-integer': {
      const data = new facts.array(count)
      const { min, max } = facts
      return storage(data, count, (index, element) => {
        // A larger number was rounded, or is none of 64 bits.
        const value = Number.isSafeInteger(element) ? BigInt(element as number) : element
        if (typeof value !== 'bigint' || value < min || value > max) {
          throw rejected(index, element, `an integer of ${datatype}, from ${min} to ${max}`)
        }
        data[index] = value
      })
    }
    case 'float': {
      const data = new facts.array(count)
      const { max } = facts
      const read = hasWords ? floatOfRows : floatOfTensors
      const hint = MISSING_HINTS[hasWords ? 'rows' : 'tensors']
      return storage(data, count, (index, element) => {
        const isNumber = typeof element === 'number' || typeof element === 'bigint'
        const value = isNumber ? Number(element) : read(element)
        if (value === undefined || (isNumber && Math.abs(value) > max)) {
          throw rejected(
            index,
            element,
            `a number of ${datatype}${isNoNumber(element) ? ` (what JSON has no number for is ${hint})` : ''}`,
          )
        }
        data[index] = value
      })
    }
  }
}

/** The float that something stands for in rows which is no number: a missing value is NaN. */
function floatOfRows(element: unknown): number | undefined {
  if (element === null) return Number.NaN
  return element === 'NaN' || element === 'Infinity' || element === '-Infinity' ? Number(element) : undefined
}

function floatOfTensors(element: unknown): number | undefined {
  return element instanceof BareFloat ? element.value : undefined
}

/** True for what JSON writers make of NaN and infinities. */
function isNoNumber(element: unknown): boolean {
  return (
    element === null ||
    element instanceof BareFloat ||
    (typeof element === 'string' && /^[+-]?(?:nan|inf(?:inity)?)$/i.test(element))
  )
}

function storage(data: TensorData, count: number, set: (index: number, element: unknown) => void): Storage {
  const put = (index: number, element: unknown) => {
    if (index >= count) return false
    set(index, element)
    return true
  }
  return { data, put }
}

/** A value as messages show it: its JSON, cut short. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value instanceof BareFloat) return String(value.value)
  const text =
    typeof value === 'bigint' || value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY
      ? String(value)
      : (JSON.stringify(value, bigIntAsText) ?? typeof value)
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text
}

function bigIntAsText(_name: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value
}

/** The error for a rejected input, with the text that the client sees. */
export function inputInvalid(detail: string): VestalError {
  return new VestalError('INPUT_INVALID', { detail })
}
