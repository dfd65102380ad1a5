import { describe, expect, test } from 'bun:test'
import { openSync } from 'node:fs'
import { createExchangeFile, ExchangeFile } from '../../../../src/inference/instance/exchange.ts'

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
})
