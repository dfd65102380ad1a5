import { describe, expect, test } from 'bun:test'
import { fstatSync, openSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import {
  AREA_BYTES,
  AreaReader,
  type Blocks,
  ExchangeArea,
  STORED_BYTES_MIN,
} from '../../../../src/inference/remote/exchange-area.ts'
import { duplicate } from '../../../../src/platform/c-library.ts'
import { openNameless } from '../../../../src/processes/nameless-file.ts'
import { HAS_PROCESSES } from '../../../support/processes.ts'
import { mountSmallDisk } from '../../../support/small-disk.ts'

function openArea() {
  const descriptor = openNameless(AREA_BYTES)
  const [area, reader] = [new ExchangeArea(descriptor), new AreaReader(duplicate(descriptor))]
  return {
    area,
    reader,
    bytesHeld: () => fstatSync(descriptor).blocks * 512,
    [Symbol.dispose]() {
      area.close()
      reader.close()
    },
  }
}

const filled = (length: number, value: number) => new Uint8Array(length).fill(value)

describe.skipIf(!HAS_PROCESSES)('an area', () => {
  test('keeps what was stored until the other side has read it, whatever comes and goes meanwhile', () => {
    const steps = fc.array(
      fc.oneof(
        fc.record({ kind: fc.constant('store' as const), bytes: fc.nat(40_000) }),
        fc.record({ kind: fc.constant('free' as const), which: fc.nat(20) }),
      ),
      { maxLength: 40 },
    )
    using open = openArea()
    const { area, reader } = open
    fc.assert(
      fc.property(steps, (drawn) => {
        const held: { readonly blocks: Blocks; readonly offset: number; readonly bytes: Uint8Array }[] = []
        for (const [value, step] of drawn.entries()) {
          if (step.kind === 'store') {
            const bytes = filled(STORED_BYTES_MIN + step.bytes, value)
            const offset = area.store(bytes)
            if (offset !== undefined) held.push({ blocks: area.taken(), offset, bytes })
          } else {
            const [gone] = held.splice(step.which % Math.max(1, held.length), 1)
            if (gone !== undefined) area.free(gone.blocks)
          }
          for (const { offset, bytes } of held) expect(reader.read(offset, bytes.length)).toEqual(bytes)
        }
        for (const { blocks } of held) area.free(blocks)
      }),
      { numRuns: 30 },
    )
  })

  test('takes nothing that is small, and no more than it holds', () => {
    using open = openArea()
    const { area } = open
    expect(area.store(filled(STORED_BYTES_MIN - 1, 1))).toBeUndefined()
    expect(area.taken()).toEqual([])
    expect(area.store(filled(AREA_BYTES - STORED_BYTES_MIN, 1))).toBe(0)
    expect(area.store(filled(2 * STORED_BYTES_MIN, 2))).toBeUndefined()
    expect(area.store(filled(STORED_BYTES_MIN, 2))).toBe(AREA_BYTES - STORED_BYTES_MIN)
    area.free(area.taken())
    expect(area.store(filled(STORED_BYTES_MIN, 3))).toBe(0)
  })

  test('gives its memory back once nothing is in it', () => {
    using open = openArea()
    const { area, bytesHeld } = open
    area.store(filled(2 ** 25, 1))
    const large = area.taken()
    area.store(filled(2 ** 20, 1))
    const small = area.taken()
    expect(bytesHeld()).toBeGreaterThanOrEqual(2 ** 25)
    area.free(large)
    expect(bytesHeld()).toBeGreaterThanOrEqual(2 ** 25)
    area.free(small)
    expect(bytesHeld()).toBe(0)
    area.store(filled(2 ** 20, 1))
    area.rest()
    expect(bytesHeld()).toBeGreaterThan(0)
    area.free(area.taken())
    expect(bytesHeld()).toBeGreaterThan(0)
    area.rest()
    expect(bytesHeld()).toBe(0)
  })

  test('reads nothing that is outside of it', () => {
    using open = openArea()
    for (const [offset, length] of [
      [AREA_BYTES, 1],
      [0.5, 1],
      [0, AREA_BYTES + 1],
      [2 ** 60, 1],
    ] as const)
      expect(() => open.reader.read(offset, length)).toThrow('outside of its area')
    expect(() => new AreaReader(undefined).read(0, 1)).toThrow('outside of its area')
  })

  test('on a file system that is full takes what there is room for, and keeps nothing of the rest', () => {
    const disk = mountSmallDisk()
    if (disk === undefined) return
    using _disk = disk
    const descriptor = openSync(join(disk.folder, 'area'), 'w+')
    const [area, reader] = [new ExchangeArea(descriptor), new AreaReader(duplicate(descriptor))]
    const small = filled(2 ** 19, 1)
    expect(area.store(small)).toBe(0)
    const blocks = area.taken()
    expect(area.store(filled(2 ** 22, 2))).toBeUndefined()
    expect(area.taken()).toEqual([])
    const second = area.store(small)
    expect(second).toBe(2 ** 19)
    expect(reader.read(0, small.length)).toEqual(small)
    area.free([...blocks, ...area.taken()])
    area.close()
    reader.close()
  })

  test('that there is none of stores nothing', () => {
    const area = new ExchangeArea(undefined)
    expect(area.store(filled(STORED_BYTES_MIN, 1))).toBeUndefined()
    area.free(area.taken())
    area.rest()
    area.close()
  })
})
