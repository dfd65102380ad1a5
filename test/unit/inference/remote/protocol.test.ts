import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { VestalError } from '../../../../src/core/errors.ts'
import {
  errorOf,
  failureOf,
  type InferFrame,
  readCall,
  readFailure,
  readHello,
  readInfer,
  readResult,
  writeCall,
  writeFailure,
  writeHello,
  writeInfer,
  writeResult,
} from '../../../../src/inference/remote/protocol.ts'
import { FrameBuffer, FrameCursor, LENGTH_BYTES } from '../../../../src/processes/frames.ts'
import type { Tensor } from '../../../../src/tensor/tensor.ts'

const noStore = () => undefined
const noFile = () => {
  throw new Error('nothing was stored')
}

/** A frame as the other side reads it, behind its kind. */
function sent(write: (buffer: FrameBuffer) => void): FrameCursor {
  const buffer = new FrameBuffer()
  buffer.add(1, write)
  const cursor = new FrameCursor(buffer.take().slice(LENGTH_BYTES))
  cursor.byte()
  return cursor
}

const tensors = fc
  .array(
    fc.tuple(
      fc.string({ maxLength: 8 }),
      fc.oneof(
        fc
          .float32Array({ maxLength: 6, noNaN: true })
          .map((data): Tensor => ({ datatype: 'FP32', shape: [data.length], data: new Float32Array(data) })),
        fc.array(fc.string()).map((data): Tensor => ({ datatype: 'BYTES', shape: [1, data.length], data })),
      ),
    ),
    { maxLength: 4 },
  )
  .map((entries) => new Map(entries))
const absent = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })

describe('a request to compute', () => {
  test('arrives with all that it says, whatever of it is absent', () => {
    const frames: fc.Arbitrary<InferFrame> = fc.record({
      id: fc.nat(2 ** 32 - 1),
      model: fc.string(),
      version: fc.string(),
      inputs: tensors,
      outputs: absent(fc.array(fc.string())),
      subject: absent(fc.string()),
      priority: absent(fc.nat()),
      timeoutMs: absent(fc.constantFrom(0, 1.5, 60_000, Number.POSITIVE_INFINITY)),
      requestId: absent(fc.string()),
      isUncached: fc.boolean(),
      isWatched: fc.boolean(),
    })
    fc.assert(
      fc.property(frames, (frame) => {
        expect(
          readInfer(
            sent((buffer) => writeInfer(buffer, frame, noStore)),
            noFile,
          ),
        ).toEqual(frame)
      }),
    )
  })

  test('is answered by tensors in their order', () => {
    fc.assert(
      fc.property(tensors, (outputs) => {
        const cursor = sent((buffer) => writeResult(buffer, 7, outputs, noStore))
        expect(cursor.count()).toBe(7)
        expect([...readResult(cursor, noFile)]).toEqual([...outputs])
      }),
    )
  })

  test('that is cut off anywhere is an error, and never less than was sent', () => {
    const frame = { id: 1, model: 'a', version: '1', inputs: new Map(), isUncached: false, isWatched: false }
    const buffer = new FrameBuffer()
    buffer.add(1, () => writeInfer(buffer, { ...frame, subject: 'me', outputs: ['y'] }, noStore))
    const bytes = buffer.take().slice(LENGTH_BYTES + 1)
    for (let length = 0; length < bytes.length; length += 1)
      expect(() => readInfer(new FrameCursor(bytes.slice(0, length)), noFile)).toThrow('the protocol was broken')
  })
})

describe('an error', () => {
  test('is the same on the other side, with its status, its text, its headers and its reason', () => {
    const cases = [
      new VestalError('QUEUE_FULL', { headers: { 'retry-after': '7' } }),
      new VestalError('INFERENCE_FAILED', { detail: 'not this', reason: 'for the log' }),
      new VestalError('BODY_INVALID', { detail: { field: 'is wrong', other: 'as well' } }),
    ]
    for (const error of cases) {
      const cursor = sent((buffer) => writeFailure(buffer, 3, error))
      expect(cursor.count()).toBe(3)
      const told = readFailure(cursor)
      expect(told).toBeInstanceOf(VestalError)
      // The cast: it was just seen to be one.
      const { code, status, detail, headers, message } = told as VestalError
      expect({ code, status, detail, headers, message }).toEqual({
        code: error.code,
        status: error.status,
        detail: error.detail,
        headers: error.headers,
        message: error.message,
      })
    }
  })

  test('that is a bug stays one, with the place where it was thrown', () => {
    const bug = new TypeError('x is no function')
    const told = errorOf(failureOf(bug))
    expect(told).not.toBeInstanceOf(VestalError)
    expect([told.message, told.stack]).toEqual([bug.message, bug.stack])
    expect(errorOf(failureOf('a string')).message).toBe('a string')
  })
})

test('a call takes along the files that a load brings', () => {
  const files = new Map([
    ['1/model.onnx', new Uint8Array([1, 2, 3])],
    ['1/weights.bin', new Uint8Array(70_000).fill(7)],
  ])
  const call = { what: 'load', name: 'a', options: { version: '1', config: '{}' } } as const
  const frame = { id: 5, call, mayAll: false }
  const stored: Uint8Array[] = []
  const store = (bytes: Uint8Array) => (bytes.length > 1000 ? (stored.push(bytes) - 1) * 8 : undefined)
  const read = (offset: number) => stored[offset / 8] ?? noFile()
  expect(
    readCall(
      sent((buffer) => writeCall(buffer, { ...frame, files }, store)),
      read,
    ),
  ).toEqual({ ...frame, files })
  expect(stored).toHaveLength(1)
  expect(
    readCall(
      sent((buffer) => writeCall(buffer, frame, noStore)),
      noFile,
    ),
  ).toEqual(frame)
})

test('a process of another version is distinguished by the first frame', () => {
  const hello = { modelsDirectory: 'models', hadFolder: true, timeoutMs: 5 }
  expect(readHello(sent((buffer) => writeHello(buffer, hello)))).toEqual(hello)
  const other = sent((buffer) => {
    buffer.count(99)
    buffer.text('whatever another version says')
  })
  expect(() => readHello(other)).toThrow('the other process speaks version 99, and this one 1')
})
