import { describe, expect, test } from 'bun:test'
import { ftruncateSync, openSync } from 'node:fs'
import { freeMemory } from '../../../src/platform/c-library.ts'
import { createExchangeFile, EXCHANGE_BYTES, ExchangeFile, mapFile } from '../../../src/processes/exchange.ts'
import { openNameless } from '../../../src/processes/nameless-file.ts'

/** Large enough for a file. */
const LARGE = new Uint8Array(64 * 1024).fill(7)

describe('an exchange file', () => {
  test('gives what was stored as a copy, and holds it until it is asked to give memory back', () => {
    const file = createExchangeFile()
    file.begin()
    const at = file.store(LARGE)
    expect(at).toBe(0)
    expect(file.readBytes(0, LARGE.length)).toEqual(LARGE)
    file.release('nothing')
    expect(file.readBytes(0, LARGE.length)).toEqual(new Uint8Array(LARGE.length))
    file.close()
  })

  test('stores nothing where there is no place for files in memory: the tensor goes through the socket', () => {
    // Used in its place then: a read-only file.
    const file = new ExchangeFile(openSync(process.execPath, 'r'))
    file.begin()
    expect(file.store(LARGE)).toBeUndefined()
    file.release('nothing')
    file.close()
  })

  test('leaves small tensors to the socket', () => {
    const file = createExchangeFile()
    file.begin()
    expect(file.store(new Uint8Array(1024))).toBeUndefined()
    file.close()
  })

  test('has of each run what that run stored, whether the file had memory for it before or not', () => {
    for (const file of [createExchangeFile(), new ExchangeFile(openNameless(EXCHANGE_BYTES))]) {
      for (const [value, sizes] of [
        [1, [40_000, 100_000]],
        [2, [100_000, 40_001, 33_000]],
        [3, [33_000]],
        [4, [17 * 2 ** 20, 70_000]],
        [5, [300_000, 50_000]],
      ] as const) {
        file.begin()
        const stored = sizes.map((size, index) => {
          const bytes = new Uint8Array(size).fill(value * 10 + index)
          return { bytes, at: file.store(bytes) ?? -1 }
        })
        for (const { bytes, at } of stored) expect(Buffer.compare(file.readBytes(at, bytes.length), bytes)).toBe(0)
        file.release('little')
      }
      file.release('nothing')
      expect(file.readBytes(0, 100_000).every((byte) => byte === 0)).toBe(true)
      file.close()
    }
  })

  describe.skipIf(process.platform !== 'linux')('in sealed memory', () => {
    test('cannot be cut off by the other side: a mapped page behind its end would end the server', () => {
      const file = createExchangeFile()
      for (const length of [0, EXCHANGE_BYTES - 1, EXCHANGE_BYTES + 1])
        expect(() => ftruncateSync(file.descriptor, length)).toThrow('EPERM')
      file.close()
    })

    test('takes what the other side maps, from 4 KiB on, and goes on where that side has freed the memory', () => {
      const file = createExchangeFile()
      const seen = mapFile(file.descriptor)
      for (const value of [1, 2, 3]) {
        file.begin()
        expect(file.store(new Uint8Array(4095))).toBeUndefined()
        expect(file.store(new Uint8Array(5000).fill(value))).toBe(0)
        expect(file.store(new Uint8Array(5000).fill(value + 10))).toBe(5056)
        expect([seen[4999], seen[5056], seen[10_055]]).toEqual([value, value + 10, value + 10])
        if (value === 2) freeMemory(file.descriptor, EXCHANGE_BYTES)
      }
      file.close()
    })
  })
})
