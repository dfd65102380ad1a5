import { describe, expect, test } from 'bun:test'
import { VestalError } from '../../src/core/errors.ts'
import { DATATYPES, type Datatype, hasLongIntegers, listKindOf } from '../../src/tensor/datatypes.ts'
import { decodeJson, isObject, type JsonOptions } from '../../src/tensor/exact-json.ts'
import { type ListKind, numberListText, takeNumberLists } from '../../src/tensor/number-list.ts'
import { elementWriter } from '../../src/tensor/numbers.ts'
import { decodeInferRequest } from '../../src/tensor/request.ts'
import { decodeRows } from '../../src/tensor/rows.ts'
import type { NamedTensors, Tensor, TensorSpec } from '../../src/tensor/tensor.ts'
import { drawNumber } from '../support/json-numbers.ts'
import { below, type Random, seeded } from '../support/seed.ts'

const bytesOf = (text: string) => new TextEncoder().encode(text)

/** What a list of numbers is read as; undefined where it is left to be read as a whole. */
function listOf(
  text: string,
  kind: ListKind,
): { readonly shape: readonly number[]; readonly data: ArrayLike<number> } | undefined {
  const taken = takeNumberLists(bytesOf(text), kind)
  if (taken === undefined) return undefined
  return JSON.parse(Buffer.from(taken.bytes).toString(), taken.revive) as ReturnType<typeof listOf>
}

/** The numbers of a list one by one, with their texts where they differ: `expect` on so many would take minutes. */
function differences(texts: readonly string[], kind: ListKind, read: ArrayLike<number> | undefined): readonly string[] {
  if (read?.length !== texts.length) return [`${read?.length} of ${texts.length} numbers`]
  const round = kind === 'FP32' ? Math.fround : Number
  return texts.filter((text, index) => !Object.is(read[index], round(JSON.parse(text)))).slice(0, 5)
}

/** Numbers that fit the kind: a list with one that does not is left as it is. */
function drawTexts(random: Random, kind: ListKind, count: number): string[] {
  const most = kind === 'FP32' ? DATATYPES.FP32 : DATATYPES.FP64
  const max = most.kind === 'float' ? most.max : 0
  const texts: string[] = []
  while (texts.length < count) {
    const text = drawNumber(random)
    if (Math.abs(Number(text)) <= max) texts.push(text)
  }
  return texts
}

describe('numbers of a long list', () => {
  for (const kind of ['FP32', 'FP64'] as const)
    test(`are those of JSON.parse, as ${kind}`, () => {
      const random = seeded(`numbers ${kind}`)
      const texts = drawTexts(random, kind, 20_000)
      const read = listOf(`[${texts.join(',')}]`, kind)
      expect([differences(texts, kind, read?.data), read?.shape, random.seed]).toEqual([[], [texts.length], random.seed])
    })

  test('are read alike wherever the text is cut into windows', () => {
    const random = seeded('windows')
    for (let round = 0; round < 8; round += 1) {
      const texts = drawTexts(random, 'FP64', 12_000)
      const spaces = ' '.repeat(below(random, 400))
      const long = `0.${'3'.repeat(below(random, 5_000))}1`
      texts.splice(below(random, texts.length), 0, long)
      const read = listOf(`${spaces}[${texts.join(', ')}\n]`, 'FP64')
      expect([differences(texts, 'FP64', read?.data), random.seed]).toEqual([[], random.seed])
    }
  })

  test('that are no JSON, too large, or stand beside something else are left to be read as a whole', () => {
    const numbers = Array.from({ length: 8_000 }, (_, index) => String(index / 7)).join(',')
    for (const other of [
      '01',
      '+1',
      '.5',
      '1.',
      '1e',
      '1e+',
      '-',
      '--1',
      '1.e3',
      'NaN',
      'null',
      '"1"',
      '{}',
      '[]',
      '[1]',
      '',
      '1e400',
      '0x1',
      '1 2',
      '1_0',
      '٣',
    ])
      for (const text of [`[${numbers},${other}]`, `[${other},${numbers}]`, `[${numbers},${other},${numbers}]`])
        expect([other, listOf(text, 'FP64')]).toEqual([other, undefined])
    expect(listOf(`[${numbers},3.4028236e38]`, 'FP32')).toBeUndefined()
    expect(listOf(`[${numbers},3.4028234e38]`, 'FP32')?.data.length).toBe(8_001)
    expect(listOf(`[${numbers},3.4028236e38]`, 'FP64')?.data.length).toBe(8_001)
  })

  test('may be in texts without being a list', () => {
    const numbers = `[${Array.from({ length: 4_000 }, (_, index) => String(index / 7)).join(',')}]`
    const text = JSON.stringify({ a: numbers, 'b"\\': `\\"${numbers}` })
    expect(takeNumberLists(bytesOf(text), 'FP64')).toBeUndefined()
    const mixed = `{"a":${JSON.stringify(`\\"[1,2`)},"b":[${Array(9_000).fill('1.5').join(',')}]}`
    const taken = takeNumberLists(bytesOf(mixed), 'FP64')
    expect(Buffer.from(taken?.bytes ?? []).toString()).toMatch(/^\{"a":"\\\\\\"\[1,2","b":\["[^"]+"\]\}$/)
  })
})

/** The JSON of a tensor, element by element. */
function listsOf({ shape, ...tensor }: Tensor, notFinite: 'texts' | 'bare'): string {
  let texts = Array.from({ length: tensor.data.length }, (_, index) => elementWriter({ shape, ...tensor }, notFinite)(index))
  for (const size of shape.toReversed())
    texts = Array.from({ length: texts.length / size }, (_, list) => `[${texts.slice(list * size, (list + 1) * size).join(',')}]`)
  return texts.join(',')
}

/** Where two texts begin to differ. */
function differenceOf(written: string | undefined, expected: string): readonly (string | undefined)[] | 'none' {
  if (written === expected) return 'none'
  const at = [...expected].findIndex((character, index) => written?.[index] !== character)
  return [written?.slice(at - 30, at + 10), expected.slice(at - 30, at + 10)]
}

const WRITTEN = [
  ...['FP32', 'FP32', 'FP64', 'INT8', 'UINT8', 'INT16', 'UINT16', 'INT32', 'UINT32', 'INT64', 'UINT64'],
] as readonly Exclude<Datatype, 'BOOL' | 'BYTES' | 'FP16'>[]

describe('a large tensor', () => {
  test('is written as its elements are, one by one', () => {
    const random = seeded('written elements')
    for (const datatype of WRITTEN) {
      const facts = DATATYPES[datatype]
      if (!('array' in facts)) throw new Error(`${datatype} is of numbers`)
      const bytes = new Uint32Array(40_000).map(() => below(random, 2 ** 32))
      const numbers = new facts.array(bytes.buffer, 0, bytes.byteLength / facts.array.BYTES_PER_ELEMENT)
      if (facts.kind === 'float')
        for (let index = 0; index < 8_000; index += 1)
          numbers[index] = [random() * 2 - 1, Number(drawNumber(random)), index, 0.1 * index][index % 4] ?? 0
      const data = numbers as Exclude<Tensor['data'], readonly string[]>
      const widths = [1, 7, 250, data.length]
      for (const width of widths) {
        const shape = [Math.floor(data.length / width), width]
        const tensor = { datatype, shape, data: data.subarray(0, (shape[0] as number) * width) } as Tensor
        for (const notFinite of ['texts', 'bare'] as const)
          expect([
            datatype,
            width,
            differenceOf(numberListText(tensor, notFinite), listsOf(tensor, notFinite)),
            random.seed,
          ]).toEqual([datatype, width, 'none', random.seed])
      }
    }
  })

  test('is written in lists of its shape', () => {
    const random = seeded('written shapes')
    for (let round = 0; round < 30; round += 1) {
      const inner = Array.from({ length: below(random, 6) }, () => 1 + below(random, 4))
      const size = inner.reduce((product, each) => product * each, 1)
      const shape = [...inner.slice(0, 2), Math.ceil(20_000 / size), ...inner.slice(2)]
      const count = shape.reduce((product, each) => product * each, 1)
      const tensor: Tensor = { datatype: 'UINT8', shape, data: new Uint8Array(count).map(() => below(random, 256)) }
      expect([shape, differenceOf(numberListText(tensor, 'texts'), listsOf(tensor, 'texts')), random.seed]).toEqual([
        shape,
        'none',
        random.seed,
      ])
    }
  })

  test('of texts, of true and false, of FP16, and a small one are left to be written one by one', () => {
    const of = (tensor: Tensor) => numberListText(tensor, 'texts')
    expect(of({ datatype: 'BYTES', shape: [5_000], data: Array(5_000).fill('1') })).toBeUndefined()
    expect(of({ datatype: 'BOOL', shape: [5_000], data: new Uint8Array(5_000) })).toBeUndefined()
    expect(of({ datatype: 'FP16', shape: [5_000], data: new Float16Array(5_000) })).toBeUndefined()
    expect(of({ datatype: 'FP32', shape: [100], data: new Float32Array(100) })).toBeUndefined()
    expect(of({ datatype: 'FP32', shape: Array(17).fill(1).with(0, 5_000), data: new Float32Array(5_000) })).toBeUndefined()
  })
})

const NAMES: readonly Datatype[] = ['FP32', 'FP32', 'FP64', 'FP16', 'UINT8', 'INT32', 'INT64', 'UINT64', 'BOOL', 'BYTES']

/** The digits of an element that a datatype may hold, or now and then may not. */
function drawElement(random: Random, datatype: Datatype): string {
  if (random() < 1e-5)
    return (
      ['null', '"NaN"', 'NaN', 'true', '1.5', '-1', '1e300', '18446744073709551616', '9007199254740993', '[1]'][
        below(random, 10)
      ] ?? ''
    )
  switch (DATATYPES[datatype].kind) {
    case 'text':
      return '"é\\n"'
    case 'boolean':
      return random() < 0.5 ? 'true' : 'false'
    case 'float':
      return datatype === 'FP16' ? String(below(random, 60_000) / 16) : drawTexts(random, datatype as ListKind, 1).join('')
    default:
      if (datatype === 'INT64') return String(Math.round((random() - 0.5) * 2 ** 54))
      return datatype === 'UINT8' ? String(below(random, 256)) : String(below(random, 2 ** 31))
  }
}

function nested(random: Random, shape: readonly number[], element: () => string): string {
  const [length, ...inner] = shape
  if (length === undefined) return element()
  const comma = random() < 0.02 ? ' ,\r\n\t' : ','
  const elements = Array.from({ length }, () => nested(random, inner, element))
  // A list of another length, now and then.
  if (random() < 0.0005) elements.pop()
  return `[${elements.join(comma)}]`
}

interface Case {
  readonly specs: readonly TensorSpec[]
  readonly rows: string
  readonly request: string
}

function drawCase(random: Random): Case {
  const specs = Array.from({ length: 1 + below(random, 2) }, (_, index): TensorSpec => {
    const inner = Array.from({ length: below(random, 3) }, () => 1 + below(random, 24))
    return { name: `x${index}`, datatype: NAMES[below(random, NAMES.length)] ?? 'FP32', shape: [-1, ...inner] }
  })
  const count = 1 + below(random, 400)
  const texts = specs.map(({ datatype, shape }) =>
    nested(random, [count, ...shape.slice(1)], () => drawElement(random, datatype)),
  )
  const only = texts.length === 1 && random() < 0.7 ? texts[0] : undefined
  const other = random() < 0.1 ? ',"more":[1]' : ''
  const rows = `{"input":${only ?? `{${specs.map(({ name }, index) => `"${name}":${texts[index]}`).join(',')}}`}${other}}`
  const inputs = specs.map(({ name, datatype, shape }, index) => {
    const sent = JSON.stringify([count, ...shape.slice(1)])
    return `{"name":"${name}","shape":${sent},"datatype":"${datatype}","data":${texts[index]}}`
  })
  return { specs, rows, request: `{"id":"[1,2]\\"","inputs":[${inputs.join(',')}]${other}}` }
}

/** Changes, drops or doubles a byte. */
function damaged(random: Random, text: string): string {
  const at = below(random, text.length)
  const byte = ['', ',', ']', '[', '"', '-', '0', ' ', '}', '\\', 'e', '\u0001'][below(random, 12)]
  return text.slice(0, at) + byte + text.slice(at + below(random, 2))
}

/** The tensors as bytes, or the error as a client sees it. */
function outcome(bytes: Uint8Array, options: JsonOptions, decode: (value: unknown) => NamedTensors): unknown {
  try {
    const tensors = decodeJson(bytes, options, decode)
    return [...tensors].map(([name, { datatype, shape, data }]) => [
      name,
      datatype,
      shape,
      ArrayBuffer.isView(data) ? [data.constructor.name, data.length, Bun.hash(data)] : data,
    ])
  } catch (error) {
    return error instanceof VestalError ? [error.code, error.detail] : error
  }
}

describe('a large body', () => {
  test('is read as it is without lists of numbers, and rejected with the same words', () => {
    const random = seeded('large bodies')
    const seen = { read: 0, rejected: 0, taken: 0 }
    for (let round = 0; round < 30; round += 1) {
      const { specs, rows, request } = drawCase(random)
      const isDamaged = random() < 0.4
      const forms = [
        [rows, (value: unknown) => decodeRows(isObject(value) ? value.input : undefined, specs)],
        [request, (value: unknown) => decodeInferRequest(value, { model: 'm', inputs: specs, outputs: [] }).inputs],
      ] as const
      for (const [text, decode] of forms) {
        const bytes = bytesOf(isDamaged ? damaged(random, text) : text)
        const options = { exactIntegers: hasLongIntegers(specs), hasBareFloats: text === request, levelsMax: 102 }
        const lists = listKindOf(specs)
        const expected = outcome(bytes, options, decode)
        expect([outcome(bytes, { ...options, lists }, decode), random.seed]).toEqual([expected, random.seed])
        const isRejected = Array.isArray(expected) && typeof expected[0] === 'string'
        seen[isRejected ? 'rejected' : 'read'] += 1
        if (lists !== undefined && takeNumberLists(bytes, lists) !== undefined) seen.taken += 1
      }
    }
    expect(Object.values(seen).every((count) => count > 3)).toBe(true)
  })

  test('has no list where a name must be, nor one that is deeper than it may be', () => {
    const numbers = Array(9_000).fill('1.5').join(',')
    const decode = (value: unknown) => value
    const options: JsonOptions = { lists: 'FP64' }
    expect(() => decodeJson(bytesOf(`{[${numbers}]:1}`), options, decode)).toThrow('The body is not valid JSON')
    const within = (levels: number) => bytesOf(`${'{"a":'.repeat(levels)}[${numbers}]${'}'.repeat(levels)}`)
    expect(decodeJson(within(99), options, decode)).toBeObject()
    expect(() => decodeJson(within(100), options, decode)).toThrow('JSON nesting depth exceeds maximum allowed limit (100)')
  })
})
