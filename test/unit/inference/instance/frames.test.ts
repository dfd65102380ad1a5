import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { FrameReader, FrameWriter } from '../../../../src/inference/instance/frames.ts'
import { FrameAssembler, LENGTH_BYTES } from '../../../../src/processes/frames.ts'
import { DATATYPES, type Datatype } from '../../../../src/tensor/datatypes.ts'
import type { Tensor, TensorData } from '../../../../src/tensor/tensor.ts'

const NO_FILE = () => undefined
const fetchNothing = () => {
  throw new Error('nothing was stored')
}

function dataOf(datatype: Datatype, count: number, seed: number): TensorData {
  const facts = DATATYPES[datatype]
  if (facts.kind === 'text')
    return Array.from({ length: count }, (_, index) => ['', 'é', 'a\u0000b', '🙂'][(index + seed) % 4] ?? '')
  if (facts.kind === 'boolean') return new Uint8Array(count).map((_, index) => (index + seed) % 2)
  const data = new facts.array(count)
  for (let index = 0; index < count; index += 1) data[index] = facts.kind === 'big-integer' ? BigInt(index + seed) : index + seed
  return data
}

const tensors = fc.array(
  fc.record({
    datatype: fc.constantFrom(...(Object.keys(DATATYPES) as Datatype[])),
    shape: fc.array(fc.nat(4), { maxLength: 4 }),
    seed: fc.nat(100),
  }),
  { maxLength: 5 },
)
const tensorOf = ({ datatype, shape, seed }: { datatype: Datatype; shape: readonly number[]; seed: number }): Tensor => ({
  datatype,
  shape,
  data: dataOf(
    datatype,
    shape.reduce((count, size) => count * size, 1),
    seed,
  ),
})

describe('a run', () => {
  test('arrives as it was sent, whatever the datatypes and shapes are', () => {
    const writer = new FrameWriter()
    fc.assert(
      fc.property(tensors, fc.option(fc.array(fc.string({ maxLength: 8 })), { nil: undefined }), (drawn, outputs) => {
        const inputs = drawn.map(tensorOf)
        const frame = writer.run({ inputs, outputs, lane: 1, session: 7 }, NO_FILE)
        const reader = new FrameReader(frame.subarray(LENGTH_BYTES))
        expect(reader.kind).toBe('run')
        expect(reader.run(() => fetchNothing)).toEqual({ inputs, outputs, lane: 1, session: 7 })
      }),
    )
  })

  test('names the place of tensors that were stored elsewhere', () => {
    const stored: Uint8Array[] = []
    const store = (bytes: Uint8Array) => (stored.push(bytes) - 1) * 8
    const inputs = [tensorOf({ datatype: 'FP64', shape: [2, 2], seed: 3 }), tensorOf({ datatype: 'INT8', shape: [3], seed: 1 })]
    const frame = new FrameWriter().run({ inputs, lane: 0, session: 0 }, store)
    const readBytes = (offset: number, length: number) => {
      const bytes = stored[offset / 8] ?? new Uint8Array(0)
      expect(bytes).toHaveLength(length)
      return bytes.slice()
    }
    expect(new FrameReader(frame.subarray(LENGTH_BYTES)).run(() => readBytes).inputs).toEqual(inputs)
  })
})

describe('a check', () => {
  test('arrives as it was sent, with its recorded inputs and shapes', () => {
    const writer = new FrameWriter()
    fc.assert(
      fc.property(fc.array(tensors, { maxLength: 3 }), fc.boolean(), fc.boolean(), (drawn, mayMixRows, mayMakeUp) => {
        const samples = drawn.map((each) => new Map(each.map((tensor, index) => [`input ${index}`, tensorOf(tensor)])))
        for (const shapes of [undefined, new Map([['input 0', [-1, 3]]])]) {
          const frame = writer.check({ samples, shapes, mayMixRows, mayMakeUp }, 7)
          const reader = new FrameReader(frame.subarray(LENGTH_BYTES))
          expect(reader.kind).toBe('check')
          expect(reader.check()).toEqual({ trial: { samples, mayMixRows, mayMakeUp, ...(shapes && { shapes }) }, session: 7 })
        }
      }),
    )
  })
})

describe('a result', () => {
  const result = {
    outputs: [tensorOf({ datatype: 'INT64', shape: [2], seed: 5 })],
    timing: { inputNs: 1, inferNs: 2, outputNs: 3 },
  }
  const frame = new FrameWriter().result(result, NO_FILE).slice(LENGTH_BYTES)

  test('arrives as it was sent', () => {
    expect(new FrameReader(frame).result(fetchNothing)).toEqual(result)
  })

  test('that is cut off or longer anywhere is rejected', () => {
    for (let length = 1; length < frame.length; length += 1)
      expect(() => new FrameReader(frame.slice(0, length)).result(fetchNothing)).toThrow('protocol was broken')
    expect(() => new FrameReader(new Uint8Array([...frame, 0])).result(fetchNothing)).toThrow('longer than what it holds')
  })

  test('with any byte changed is read or rejected, and takes no more memory than the frame', () => {
    const original = Uint8Array.from(frame)
    for (let at = 0; at < frame.length; at += 1) {
      for (const value of [0, 1, 127, 128, 255]) {
        const changed = original.slice()
        changed[at] = value
        try {
          const { outputs } = new FrameReader(changed).result(fetchNothing)
          expect(outputs.length).toBeLessThanOrEqual(1)
        } catch (error) {
          expect(String(error)).toMatch(/protocol was broken|nothing was stored/)
        }
      }
    }
  })
})

describe('frames on a socket', () => {
  test('come out whole however they were cut', () => {
    const writer = new FrameWriter()
    fc.assert(
      fc.property(fc.array(fc.string(), { minLength: 1, maxLength: 6 }), fc.integer({ min: 1, max: 50 }), (texts, size) => {
        const sent = Buffer.concat(texts.map((text) => Uint8Array.from(writer.control({ text }))))
        const assembler = new FrameAssembler()
        const received: unknown[] = []
        for (let at = 0; at < sent.length; at += size)
          assembler.push(Uint8Array.from(sent.subarray(at, at + size)), (frame) =>
            received.push(new FrameReader(frame).control()),
          )
        expect(received).toEqual(texts.map((text) => ({ text })))
      }),
    )
  })

  test('are rejected where a length is over 2 GiB', () => {
    expect(() => new FrameAssembler().push(new Uint8Array([255, 255, 255, 255, 0]), () => undefined)).toThrow(
      'a frame is too long',
    )
  })
})
