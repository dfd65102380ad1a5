/** Reads which constants of a model are in files beside it, and says what is wrong with how it describes them. Pure. */
import { never } from '../../core/invariant.ts'
import { quoted } from '../runtime/run-reason.ts'
import { partsOf } from './fields.ts'
import { integersIn } from './integers.ts'
import { GRAPH_NODE, MODEL_GRAPH, NODE_ATTRIBUTE } from './numbers.ts'

/** A constant whose values are in a file of their own, as the model describes it. */
export interface ExternalConstant {
  readonly name: string
  /** The file; absent where the model does not name it. */
  readonly location?: string
  readonly offset?: string
  readonly length?: string
  /** Bytes that its shape and type need; undefined where its type is not known. */
  readonly bytes?: number
}

const [GRAPH_CONSTANT, GRAPH_SPARSE, MODEL_FUNCTION, FUNCTION_NODE] = [5, 15, 25, 7]
const [TENSOR_DIMS, TENSOR_TYPE, TENSOR_NAME, TENSOR_ENTRY, TENSOR_PLACE] = [1, 2, 8, 13, 14]
/** Of an attribute: a tensor, a graph, tensors, graphs, a sparse tensor. */
const [ATTRIBUTE_TENSOR, ATTRIBUTE_GRAPH, ATTRIBUTE_TENSORS, ATTRIBUTE_GRAPHS, ATTRIBUTE_SPARSE] = [5, 6, 10, 11, 22]
/** Bits of an element by the number of its type in onnx.proto. */
const BITS: Readonly<Record<number, number>> = {
  1: 32,
  2: 8,
  3: 8,
  4: 16,
  5: 16,
  6: 32,
  7: 64,
  9: 8,
  10: 16,
  11: 64,
  12: 32,
  13: 64,
  14: 64,
  15: 128,
  16: 16,
  17: 8,
  18: 8,
  19: 8,
  20: 8,
  21: 4,
  22: 4,
  23: 4,
}
const DEPTH_MAX = 16
/** Constants that are read of a model. */
const CONSTANTS_MAX = 200_000

/**
 * The constants of a model that are in other files.
 * @throws Error where the bytes are no model
 */
export function externalConstantsOf(model: Uint8Array): readonly ExternalConstant[] {
  const found: ExternalConstant[] = []
  const tensor = (bytes: Uint8Array) => {
    const constant = constantOf(bytes)
    if (constant !== undefined && found.length < CONSTANTS_MAX) found.push(constant)
  }
  /** Values and indices. */
  const sparse = (bytes: Uint8Array) => {
    for (const { number, content } of partsOf(bytes)) if (number === 1 || number === 2) tensor(content)
  }
  const node = (bytes: Uint8Array, depth: number) => {
    for (const part of partsOf(bytes)) {
      if (part.number !== NODE_ATTRIBUTE) continue
      for (const { number, content } of partsOf(part.content)) {
        if (number === ATTRIBUTE_TENSOR || number === ATTRIBUTE_TENSORS) tensor(content)
        else if (number === ATTRIBUTE_SPARSE) sparse(content)
        else if (number === ATTRIBUTE_GRAPH || number === ATTRIBUTE_GRAPHS) graph(content, depth + 1)
      }
    }
  }
  const graph = (bytes: Uint8Array, depth: number) => {
    if (depth > DEPTH_MAX) return
    for (const { number, content } of partsOf(bytes)) {
      if (number === GRAPH_NODE) node(content, depth)
      else if (number === GRAPH_CONSTANT) tensor(content)
      else if (number === GRAPH_SPARSE) sparse(content)
    }
  }
  for (const { number, content } of partsOf(model)) {
    if (number === MODEL_GRAPH) graph(content, 0)
    else if (number === MODEL_FUNCTION)
      for (const part of partsOf(content)) if (part.number === FUNCTION_NODE) node(part.content, 0)
  }
  return found
}

function constantOf(bytes: Uint8Array): ExternalConstant | undefined {
  const dims: number[] = []
  const entries: Record<string, string> = Object.create(null)
  let [name, type, isExternal] = ['', 0, false]
  for (const { number, content } of partsOf(bytes)) {
    if (number === TENSOR_DIMS) dims.push(...integersIn(content).map(Number))
    else if (number === TENSOR_TYPE) type = Number(integersIn(content)[0] ?? 0n)
    else if (number === TENSOR_NAME) name = decode(content)
    else if (number === TENSOR_PLACE) isExternal = integersIn(content)[0] === 1n
    else if (number === TENSOR_ENTRY) {
      const [key = '', value = ''] = [1, 2].map((field) => textIn(content, field))
      entries[key] = value
    }
  }
  if (!isExternal) return undefined
  const bits = BITS[type]
  const { location, offset, length } = entries
  return {
    name,
    ...(location !== undefined && { location }),
    ...(offset !== undefined && { offset }),
    ...(length !== undefined && { length }),
    ...(bits !== undefined && { bytes: Math.ceil((dims.reduce((product, size) => product * size, 1) * bits) / 8) }),
  }
}

function textIn(bytes: Uint8Array, field: number): string {
  for (const { number, content } of partsOf(bytes)) if (number === field) return decode(content)
  return ''
}

function decode(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

/** What stands where a model's constants are to be: a file with its size, or why there is none. */
export type DataFile =
  | { readonly kind: 'file'; readonly size: number }
  /** `near` is a file in its folder with a similar name. */
  | { readonly kind: 'missing'; readonly near?: string }
  | { readonly kind: 'outside' | 'folder' | 'special' | 'pointer' | 'lost' }
  | { readonly kind: 'unreadable'; readonly code: string }

/** A location that begins at the root of a file system, of any system. */
const ABSOLUTE = /^(?:[/\\]|[A-Za-z]:)/
const WHOLE = /^\d{1,15}$/

/**
 * What is wrong with the files with a model's constants, and what mends it; undefined where nothing is. `look` is asked for
 * paths inside the model's folder only.
 */
export function externalFault(constants: readonly ExternalConstant[], look: (location: string) => DataFile): string | undefined {
  const missing = new Map<string, string | undefined>()
  let fault: string | undefined
  const files = new Map<string, DataFile>()
  for (const constant of constants) {
    const { location = '' } = constant
    const wrong = faultOfDescription(constant)
    if (wrong !== undefined) {
      fault ??= wrong
      continue
    }
    const file = files.get(location) ?? look(location)
    files.set(location, file)
    if (file.kind === 'missing') missing.set(location, file.near)
    else fault ??= faultOfFile(constant, file)
  }
  return missing.size > 0 ? faultOfMissing(missing) : fault
}

/** Names of missing files that are listed. */
const LISTED_MAX = 3

function faultOfMissing(missing: ReadonlyMap<string, string | undefined>): string {
  const locations = [...missing.keys()]
  const listed = locations.slice(0, LISTED_MAX).map(quoted).join(', ')
  const more = locations.length > LISTED_MAX ? ` and ${locations.length - LISTED_MAX} more` : ''
  const [near] = [...missing.values()].filter((name) => name !== undefined)
  const hint = near === undefined ? '' : `; if ${quoted(near)} is it, rename it`
  const [are, them] = locations.length === 1 ? ['is', 'that file'] : ['are', 'those files']
  return `its weights are in ${listed}${more} beside it, which ${are} missing; put ${them} into the folder of the version too, under the same name${hint}`
}

function faultOfDescription({ name, location = '', offset, length, bytes }: ExternalConstant): string | undefined {
  const what = `its constant ${quoted(name)}`
  const again = 'export the model again'
  if (location === '') return `${what} stands in a file that the model does not name; ${again}`
  if (ABSOLUTE.test(location)) {
    const file = location.split(/[/\\]/).at(-1) ?? ''
    return `its weights are in ${quoted(file)} at an absolute path, and must be in the folder of the version; save it again with only the file's name`
  }
  if (location.split('/').includes('..'))
    return `its weights are in ${quoted(location)}, outside the folder of the version; put the file into that folder, and save the model again with only the file's name`
  if (offset !== undefined && !WHOLE.test(offset))
    return `${what} has the offset ${quoted(offset)}, which is no whole number; ${again}`
  if (length !== undefined && !WHOLE.test(length))
    return `${what} has the length ${quoted(length)}, which is no whole number; ${again}`
  if (length !== undefined && bytes !== undefined && Number(length) !== bytes)
    return `${what} has the length ${length}, and its shape needs ${bytes} bytes; ${again}`
  return undefined
}

function faultOfFile({ location = '', offset = '0', length, bytes }: ExternalConstant, file: DataFile): string | undefined {
  const what = `its weights are in ${quoted(location)}`
  switch (file.kind) {
    case 'missing':
      return undefined
    case 'outside':
      return `${what}, which leads outside the folder of the version; put the file itself there, not a link`
    case 'lost':
      return `${what}, which is a link to a file that is not there; put the file itself in its place`
    case 'folder':
      return `${what}, which is a folder; put the file of that name in its place`
    case 'special':
      return `${what}, which is not a file`
    case 'unreadable':
      return `${what}, which cannot be read (${file.code})`
    case 'pointer':
      return `${what}, which is a Git LFS pointer and not the weights; fetch them with git lfs pull`
    case 'file': {
      const needed = Number(offset) + (length === undefined ? (bytes ?? 0) : Number(length))
      if (needed <= file.size) return undefined
      return `${what}, which has ${file.size} bytes, and ${needed} are needed at least: it is cut off, or of another model; copy it again with its model`
    }
    default:
      return never(file)
  }
}
