import { afterEach, describe, expect, test } from 'bun:test'
import { VestalError } from '../../../src/core/errors.ts'
import { DATATYPES, type Datatype } from '../../../src/tensor/datatypes.ts'
import { tensorFromJson } from '../../../src/tensor/decode.ts'
import { ELEMENTS_MAX } from '../../../src/tensor/shape.ts'

const NAMES = Object.keys(DATATYPES) as readonly Datatype[]

/** Notes the length of every array that is made for a datatype, until it is put back. */
const restore: (() => void)[] = []
afterEach(() => {
  for (const back of restore.splice(0)) back()
})
function arraysMadeFor(datatype: Datatype): number[] {
  // The casts: the table is read only for everybody else.
  const facts = DATATYPES[datatype] as unknown as { array: new (length: number) => object }
  const made: number[] = []
  const { array } = facts
  if (array === undefined) return made
  facts.array = new Proxy(array, {
    construct(target, [length]) {
      made.push(length)
      return new target(length)
    },
  })
  restore.push(() => {
    facts.array = array
  })
  return made
}

describe('data that is not as much as its shape says', () => {
  for (const datatype of NAMES) {
    test(`is rejected before memory is taken for it: ${datatype}`, () => {
      const made = arraysMadeFor(datatype)
      const element = datatype === 'BYTES' ? 'a' : datatype === 'BOOL' ? true : 1
      for (const [shape, data] of [
        [[ELEMENTS_MAX], [element]],
        [[ELEMENTS_MAX], []],
        [
          [2, ELEMENTS_MAX / 2],
          [[element], [element]],
        ],
        [[4097], [Array(4097).fill(element), [element, [element]]]],
        [[4097], Array(4096).fill(element)],
      ] as const) {
        const decode = () => tensorFromJson({ name: 'x', datatype, shape, model: 'm' }, data)
        expect(decode).toThrow(VestalError)
      }
      expect(made).toEqual([])
      const few = () => tensorFromJson({ name: 'x', datatype, shape: [3], model: 'm' }, [[element], [element]])
      expect(few).toThrow(VestalError)
      made.length = 0
      const nested = tensorFromJson({ name: 'x', datatype, shape: [3, 1] }, [[element], [[element]], element])
      expect(nested.data.length).toBe(3)
      const hasNumbers = datatype !== 'BYTES' && datatype !== 'BOOL'
      expect([...new Set(made)]).toEqual(hasNumbers ? [3] : [])
    })
  }
})
