import { describe, expect, test } from 'bun:test'
import { VestalError } from '../../../src/core/errors.ts'
import { classify } from '../../../src/tensor/classification.ts'
import { DATATYPES, datatypeOfOnnx, hasLongIntegers, isDatatype } from '../../../src/tensor/datatypes.ts'
import { decodeRawRequest } from '../../../src/tensor/raw-request.ts'
import { decodeInferRequest } from '../../../src/tensor/request.ts'
import { copyData, type Tensor, type TensorSpec } from '../../../src/tensor/tensor.ts'

const x: TensorSpec = { name: 'x', datatype: 'FP32', shape: [-1, 2] }
const target = { model: 'm', inputs: [x], outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1] }] }
const input = { name: 'x', datatype: 'FP32', shape: [1, 2], data: [1, 2] }

function detailOf(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error instanceof VestalError ? error.detail : error
  }
}

test('a shape that is not the model’s is named beside the one that it takes', () => {
  const wrong = (own: readonly number[], shape: unknown) =>
    detailOf(() => decodeInferRequest({ inputs: [{ ...input, shape }] }, { ...target, inputs: [{ ...x, shape: own }] }))
  expect(wrong([-1], [1, 2])).toContain('[-1]')
  expect(wrong([3], [2])).toContain('[3]')
  // A model of one number takes it as a list of one.
  expect(wrong([], [2])).toContain('[1]')
  expect(wrong([-1, 2], Array(17).fill(1))).toContain('must be a list of at most 16 integers from 0 up')
  for (const shape of [[-1, 2], [1.5, 2], ['1', 2], '1,2', null])
    expect(wrong([-1, 2], shape)).toContain('must be a list of at most 16 integers from 0 up')
  expect(wrong([-1, 2], [2 ** 53, 2])).not.toContain('must be a list')
})

describe('an inference request', () => {
  const read = (more: object) => decodeInferRequest({ inputs: [input], ...more }, target)

  test('has an id of its own, of 1024 characters at most, and none where it is empty', () => {
    expect(read({ id: 'a' }).id).toBe('a')
    expect(read({ id: 'x'.repeat(1024) }).id).toHaveLength(1024)
    for (const more of [{}, { id: '' }, { id: null }, { id: undefined }]) expect(Object.keys(read(more))).not.toContain('id')
    for (const id of [1, {}, true, 'x'.repeat(1025)])
      expect(detailOf(() => read({ id }))).toStartWith('"id" must be a string of at most 1024 characters, got ')
  })

  test('has parameters of its own only where they say something', () => {
    for (const parameters of [undefined, null, {}, { timeout: 0, priority: 0 }, { custom: 1, other: null }])
      expect(read({ parameters }).parameters).toEqual({ isBinaryOutput: false })
    expect(read({ parameters: { timeout: 1500, priority: 1, binary_data_output: true } }).parameters).toEqual({
      isBinaryOutput: true,
      timeoutMs: 1.5,
      priority: 1,
    })
    const many = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`p${index}`, index]))
    expect(read({ parameters: many(64) }).parameters).toEqual({ isBinaryOutput: false })
    expect(detailOf(() => read({ parameters: many(65) }))).toBe('the "parameters" of the request must be at most 64')
    for (const sequence of [{ sequence_id: 1 }, { sequence_id: 'a' }, { sequence_start: true }, { sequence_end: true }])
      expect(detailOf(() => read({ parameters: sequence }))).toContain('sequences')
    for (const sequence of [{ sequence_id: 0 }, { sequence_id: '' }, { sequence_start: false, sequence_end: false }])
      expect(read({ parameters: sequence }).parameters).toEqual({ isBinaryOutput: false })
  })

  test('asks for all outputs where it names none, in the form that it says', () => {
    for (const outputs of [undefined, null, []]) {
      expect(read({ outputs }).outputs).toEqual([{ name: 'y', isBinary: false }])
      expect(read({ outputs, parameters: { binary_data_output: true } }).outputs).toEqual([{ name: 'y', isBinary: true }])
    }
    const parameters = { binary_data: false, classification: 1 }
    expect(read({ outputs: [{ name: 'y', parameters }], parameters: { binary_data_output: true } }).outputs).toEqual([
      { name: 'y', isBinary: false, classCount: 1 },
    ])
    expect(read({ outputs: [{ name: 'y', parameters: { classification: 0 } }] }).outputs).toEqual([
      { name: 'y', isBinary: false },
    ])
  })

  test('has binary data that its inputs use up, whatever their place in memory', () => {
    const bytes = new Uint8Array(64).map((_, index) => index)
    const two = { ...target, inputs: [x, { name: 'b', datatype: 'UINT8' as const, shape: [3] }, { ...x, name: 'z' }] }
    const binary = (name: string, datatype: string, shape: readonly number[], size: number) => ({
      name,
      datatype,
      shape,
      parameters: { binary_data_size: size },
    })
    for (let offset = 0; offset < 5; offset += 1) {
      const memory = new Uint8Array(64 + offset)
      memory.set(bytes.subarray(0, 19), offset)
      const inputs = [binary('x', 'FP32', [1, 2], 8), binary('b', 'UINT8', [3], 3), binary('z', 'FP32', [1, 2], 8)]
      const { inputs: tensors } = decodeInferRequest({ inputs }, two, memory.subarray(offset, offset + 19))
      const bytesOf = (name: string) => {
        const data = tensors.get(name)?.data
        return ArrayBuffer.isView(data) ? [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)] : []
      }
      expect([bytesOf('x'), bytesOf('b'), bytesOf('z')]).toEqual([
        [...bytes.subarray(0, 8)],
        [...bytes.subarray(8, 11)],
        [...bytes.subarray(11, 19)],
      ])
    }
  })
})

describe('data of a request', () => {
  const read = (datatype: TensorSpec['datatype'], data: unknown, shape: unknown = [1]) => {
    const spec = { name: 'x', datatype, shape: [-1] }
    const { inputs } = decodeInferRequest({ inputs: [{ name: 'x', datatype, shape, data }] }, { ...target, inputs: [spec] })
    return Array.from(inputs.get('x')?.data as ArrayLike<unknown>)
  }

  test('holds what its datatype does, and nothing near it', () => {
    const taken: readonly (readonly [datatype: TensorSpec['datatype'], elements: readonly unknown[]])[] = [
      ['UINT8', [0, 255]],
      ['INT8', [-128, 127]],
      ['UINT16', [0, 65_535]],
      ['INT16', [-32_768, 32_767]],
      ['UINT32', [0, 4_294_967_295]],
      ['INT32', [-2_147_483_648, 2_147_483_647]],
      ['FP16', [65_504, -65_504, 0.5]],
      ['FP64', [1.5, Number.MAX_VALUE, -Number.MAX_VALUE]],
      ['BYTES', ['', 'a', '漢']],
    ]
    for (const [datatype, elements] of taken)
      for (const element of elements) expect([datatype, read(datatype, [element])]).toEqual([datatype, [element]])
    expect([read('BOOL', [true]), read('BOOL', [false])]).toEqual([[1], [0]])
    expect(read('INT64', [-(2n ** 63n)])).toEqual([-(2n ** 63n)])
    expect(read('UINT64', [2n ** 64n - 1n])).toEqual([2n ** 64n - 1n])
    expect(read('INT64', [5])).toEqual([5n])
    const refused: readonly (readonly [datatype: TensorSpec['datatype'], elements: readonly unknown[]])[] = [
      ['UINT8', [-1, 256, 1.5, '1', null, true, 1n, {}]],
      ['INT8', [-129, 128, -0.5]],
      ['UINT16', [65_536]],
      ['INT16', [-32_769, 32_768]],
      ['UINT32', [4_294_967_296, -1]],
      ['INT32', [-2_147_483_649, 2_147_483_648]],
      ['INT64', [2n ** 63n, -(2n ** 63n) - 1n, 1.5, '1', null]],
      ['UINT64', [-1n, 2n ** 64n, -1]],
      ['FP16', [65_520, -65_520, null, 'NaN', 'Infinity', '1', true]],
      ['FP32', [1e39, -1e39, null, 'NaN', '-Infinity', 10n ** 39n]],
      ['FP64', [null, 'NaN', '1', {}]],
      ['BOOL', [0, 1, 'true', null]],
      ['BYTES', [1, null, true, '\ud800', 'a\0b', {}]],
    ]
    for (const [datatype, elements] of refused)
      for (const element of elements)
        expect([datatype, element, detailOf(() => read(datatype, [element]))]).toEqual([
          datatype,
          element,
          expect.stringContaining("input 'x': element 0 must be "),
        ])
  })

  test('is as many elements as the shape says, flat or nested', () => {
    for (const data of [
      [1, 2, 3, 4],
      [
        [1, 2],
        [3, 4],
      ],
      [
        [[1], 2],
        [3, [4]],
      ],
    ])
      for (const datatype of ['FP32', 'INT32'] as const) expect(read(datatype, data, [4])).toEqual([1, 2, 3, 4])
    for (const data of [[1, 2, 3], [1, 2, 3, 4, 5], [[1, 2, 3, 4], 5], [], [[]]])
      for (const datatype of ['FP32', 'INT32'] as const)
        expect([data, detailOf(() => read(datatype, data, [4]))]).toEqual([
          data,
          expect.stringContaining("Unable to parse 'data'"),
        ])
    for (const data of [undefined, null, 'x', 1, {}]) expect(detailOf(() => read('FP32', data))).toBeString()
  })

  test('has a shape of integers from 0 up, which the model takes', () => {
    for (const shape of [[-1], [1.5], ['1'], [null], 1, null, {}, Array(17).fill(1)])
      expect([shape, detailOf(() => read('FP32', [1], shape))]).toEqual([shape, expect.stringContaining('integers from 0 up')])
    expect(detailOf(() => read('FP32', [1], [1, 2]))).toContain('unexpected shape')
    expect(read('FP32', [], [0])).toEqual([])
  })

  test('in binary is well-formed UTF-8 without the character that ends texts in C', () => {
    const ask = (...bytes: readonly number[]) => {
      const binary = Uint8Array.from([bytes.length, 0, 0, 0, ...bytes])
      const own = { name: 'x', datatype: 'BYTES', shape: [1], parameters: { binary_data_size: binary.length } }
      const spec = { name: 'x', datatype: 'BYTES' as const, shape: [1] }
      return decodeInferRequest({ inputs: [own] }, { ...target, inputs: [spec] }, binary).inputs.get('x')?.data
    }
    expect(ask(0xc3, 0xa9)).toEqual(['é'])
    expect(ask()).toEqual([''])
    expect(detailOf(() => ask(0xc3))).toBe("input 'x': element 0 of BYTES must be UTF-8")
    expect(detailOf(() => ask(97, 0, 98))).toBe("input 'x': element 0 must be a string without the character U+0000")
  })
})

describe('names of a request', () => {
  const ask = (inputs: readonly unknown[], outputs?: unknown) => detailOf(() => decodeInferRequest({ inputs, outputs }, target))
  const long = 'n'.repeat(101)

  test('are those of the model, once each, and are shown cut', () => {
    expect(ask([{ ...input, name: 'other' }])).toContain("unexpected inference input 'other' for model 'm'")
    expect(ask([{ ...input, name: 'n'.repeat(100) }])).toContain(`input '${'n'.repeat(100)}' for`)
    expect(ask([{ ...input, name: long }])).toContain(`input '${'n'.repeat(100)}…' for`)
    expect(ask([input, input])).toContain("input 'x' already exists in request")
    expect(ask([])).toContain("missing required input(s) ['x']")
    expect(ask([input], [{ name: 'other' }])).toContain("unexpected inference output 'other' for model 'm'")
    expect(ask([input], [{ name: 'y' }, { name: 'y' }])).toContain("output 'y' already exists in request")
    for (const wrong of [{}, { name: 1 }, 'y', null, []]) expect(ask([input], [wrong])).toBeString()
    for (const wrong of [{}, { name: 1 }, 'x', null, []]) expect(ask([wrong])).toBeString()
    expect(ask([{ ...input, datatype: 'FP64' }])).toContain("data-type is 'FP64', but model 'm' expects 'FP32'")
  })
})

describe('a raw request', () => {
  const read = (spec: TensorSpec, bytes: number, hasRows?: boolean) => {
    const { inputs } = decodeRawRequest(new Uint8Array(bytes).fill(65), {
      ...target,
      inputs: [spec],
      ...(hasRows !== undefined && { hasRows }),
    })
    return inputs.get(spec.name)?.shape
  }
  const manyOpen = "The shape of the raw input 'x' can not be deduced because there are more than one variable-sized dimension"

  test('has the shape that its length and the model give', () => {
    const cases: readonly (readonly [shape: readonly number[], bytes: number, read: unknown])[] = [
      [[-1, 2], 24, [3, 2]],
      [[3, -1], 24, [3, 2]],
      [[-1, -1], 24, [1, 6]],
      [[-1, 2, -1], 24, [1, 2, 3]],
      [[-1], 0, [0]],
      [[-1, 0], 0, [0, 0]],
      [[2, 3], 24, [2, 3]],
      [[-2], 8, [2]],
      [[-1, -1, -1], 24, manyOpen],
      [[2, -1, -1], 24, manyOpen],
      [[-1, 2], 12, "input byte size mismatch for input 'x' for model 'm'. Expected 8, got 12"],
    ]
    for (const [shape, bytes, expected] of cases)
      expect([shape, detailOf(() => read({ ...x, shape }, bytes))]).toEqual([shape, expected])
  })

  test('of a text is that text, where the model takes one', () => {
    const text = (shape: readonly number[]) => ({ name: 'x', datatype: 'BYTES' as const, shape })
    for (const shape of [[1], [-1], [-1, 1], []]) expect(read(text(shape), 3)).toEqual(shape.map(() => 1))
    for (const shape of [[2], [-1, 2], [0], [-1, -1], [1, -1]])
      expect(detailOf(() => read(text(shape), 3))).toBe("For BYTE datatype raw input 'x', the model must have input shape [1]")
    expect(detailOf(() => read(text([-1, -1, -1]), 3))).toBe(manyOpen)
  })

  test('of a model without rows has as many elements as its shape says, and no row is made of them', () => {
    const text = { name: 'x', datatype: 'BYTES' as const, shape: [-1] }
    expect(detailOf(() => read(text, 3, false))).toBe("For BYTE datatype raw input 'x', the model must have input shape [1]")
    expect(read({ ...text, shape: [1] }, 3, false)).toEqual([1])
    expect(read({ ...x, shape: [-1, 2] }, 24, false)).toEqual([3, 2])
    expect(detailOf(() => read({ ...x, shape: [-1, -1] }, 24, false))).toBe(manyOpen)
  })

  test('is for a model of one input', () => {
    for (const inputs of [[], [x, { ...x, name: 'z' }]])
      expect(detailOf(() => decodeRawRequest(new Uint8Array(8), { ...target, inputs }))).toBe(
        `Raw request must only have 1 input (found 1) to be deduced but got ${inputs.length} inputs in 'm' model configuration`,
      )
  })
})

describe('the classes of an output', () => {
  const tensor = (shape: readonly number[], data: Tensor['data'], datatype: Tensor['datatype'] = 'FP32'): Tensor => ({
    datatype,
    shape,
    data,
  })

  test('are its largest elements, the first of equal ones first, NaN last', () => {
    const floats = tensor([5], new Float32Array([1, Number.NaN, 3, 3, Number.NEGATIVE_INFINITY]))
    expect(classify('y', floats, { count: 9, hasRows: false })).toEqual(
      tensor([5], ['3.000000:2', '3.000000:3', '1.000000:0', 'nan:1', '-inf:4'], 'BYTES'),
    )
    const longs = tensor([2], new BigInt64Array([9007199254740992n, 9007199254740993n]), 'INT64')
    expect(classify('y', longs, { count: 1, hasRows: false }).data).toEqual(['9007199254740993:1'])
    const large = tensor([3], new Float64Array([1e21, -1e22, 999999999999999900000]), 'FP64')
    expect(classify('y', large, { count: 3, hasRows: false }).data).toEqual([
      '1000000000000000000000.000000:0',
      '999999999999999868928.000000:2',
      '-10000000000000000000000.000000:1',
    ])
  })

  test('are those of each row where there are rows, with their labels', () => {
    const rows = tensor([2, 3], new Int32Array([1, 2, 3, 6, 5, 4]), 'INT32')
    expect(classify('y', rows, { count: 2, hasRows: true, labels: ['a', 'b'] })).toEqual(
      tensor([2, 2], ['3:2', '2:1:b', '6:0:a', '5:1:b'], 'BYTES'),
    )
    expect(classify('y', tensor([0, 3], new Int32Array(0), 'INT32'), { count: 2, hasRows: true })).toEqual(
      tensor([0, 0], [], 'BYTES'),
    )
  })

  test('are a million elements at most, of what has an order', () => {
    const many = (length: number) => tensor([length], new Uint8Array(length), 'UINT8')
    expect(classify('y', many(1_000_000), { count: 1, hasRows: false }).data).toEqual(['0:0'])
    expect(detailOf(() => classify('y', many(1_000_001), { count: 1, hasRows: false }))).toBe(
      "classification output tensor too large: output 'y' has 1000001 elements, and at most 1000000 are sorted",
    )
    for (const datatype of ['BYTES', 'BOOL', 'FP16'] as const)
      expect(detailOf(() => classify('y', tensor([0], [], datatype), { count: 1, hasRows: false }))).toBe(
        `class result not available for output due to unsupported type '${datatype}' (output 'y')`,
      )
  })
})

describe('a datatype', () => {
  test('is known by its name to the letter, and by nothing that only reads like it', () => {
    for (const name of Object.keys(DATATYPES)) expect([name, isDatatype(name)]).toEqual([name, true])
    for (const name of ['', 'fp32', 'FP8', 'toString', '__proto__', ['FP32'], 1, null, undefined])
      expect([name, isDatatype(name)]).toEqual([name, false])
  })

  test('has one name in ONNX Runtime', () => {
    for (const [name, { onnx }] of Object.entries(DATATYPES))
      expect([onnx, datatypeOfOnnx(onnx) as string | undefined]).toEqual([onnx, name])
    expect(datatypeOfOnnx('bfloat16')).toBeUndefined()
  })

  test('has integers that a number would round where they have 64 bits', () => {
    const long = Object.keys(DATATYPES).filter((datatype) => isDatatype(datatype) && hasLongIntegers([{ datatype }]))
    expect(long).toEqual(['UINT64', 'INT64'])
    expect([hasLongIntegers([]), hasLongIntegers([{ datatype: 'FP32' }, { datatype: 'INT64' }])]).toEqual([false, true])
  })
})

test('a copy of data shares no memory with it, also where it is a view', () => {
  const memory = new Uint8Array([1, 2, 3, 4, 5, 6, 7, 8])
  for (const data of [memory.subarray(2, 6), Buffer.from(memory.buffer, 2, 4), new Float32Array(memory.buffer, 4, 1)]) {
    const copy = copyData(data)
    expect([...copy]).toEqual([...data])
    expect([copy.buffer === data.buffer, copy.buffer.byteLength, Buffer.isBuffer(copy)]).toEqual([false, 4, false])
  }
  expect(copyData(['a', 'b'])).toEqual(['a', 'b'])
})
