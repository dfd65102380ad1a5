import { describe, expect, test } from 'bun:test'
import { VestalError } from '../../../src/core/errors.ts'
import { HELD_BYTES_MAX, type LedgerLimits, MemoryLedger, withShare } from '../../../src/core/memory-ledger.ts'

const refusal = (work: () => unknown) => {
  try {
    return work()
  } catch (error) {
    return error instanceof VestalError ? [error.code, error.status, error.headers] : error
  }
}

describe('a ledger of bytes', () => {
  test('charges each principal up to its limit, and all of them up to the server’s', () => {
    const ledger = new MemoryLedger({ bytesMax: 100, subjectBytesMax: 40 })
    expect([ledger.bytes, ledger.bytesOf('ann')]).toEqual([0, 0])
    expect([ledger.enter('ann', 30), ledger.enter('ann', 10), ledger.enter('ann', 1)]).toEqual([
      'entered',
      'entered',
      'subject-bytes',
    ])
    expect([ledger.enter('bob', 40), ledger.enter('cid', 20), ledger.enter('cid', 1)]).toEqual(['entered', 'entered', 'bytes'])
    expect([ledger.bytes, ledger.bytesOf('ann'), ledger.bytesOf('bob'), ledger.bytesOf('cid')]).toEqual([100, 40, 40, 20])
    ledger.leave('bob', 39)
    expect([ledger.bytes, ledger.bytesOf('bob')]).toEqual([61, 1])
    ledger.enter('bob', 24)
    expect([ledger.enter('cid', 15), ledger.enter('cid', 1), ledger.enter('cid', 0)]).toEqual(['entered', 'bytes', 'entered'])
    for (const [principal, bytes] of [
      ['ann', 40],
      ['bob', 25],
      ['cid', 35],
    ] as const)
      ledger.leave(principal, bytes)
    expect([ledger.bytes, ledger.bytesOf('ann'), ledger.bytesOf('bob'), ledger.bytesOf('cid')]).toEqual([0, 0, 0, 0])
    expect(ledger.principals).toBe(0)
  })

  test('lets the request that holds all there is go over a limit, and no second one, be it of one byte', () => {
    const ledger = new MemoryLedger({ bytesMax: 100, subjectBytesMax: 40 })
    expect([ledger.enter('ann', 50), ledger.enter('ann', 70, 50), ledger.enter('ann', 1)]).toEqual([
      'entered',
      'entered',
      'subject-bytes',
    ])
    expect([ledger.enter('bob', 1), ledger.enter('bob', 0), ledger.enter('ann', 0), ledger.bytes]).toEqual([
      'bytes',
      'entered',
      'entered',
      120,
    ])
    const other = new MemoryLedger({ bytesMax: 100, subjectBytesMax: 40 })
    expect([other.enter('ann', 1), other.enter('ann', 40), other.enter('ann', 40, 1)]).toEqual([
      'entered',
      'subject-bytes',
      'entered',
    ])
    expect([other.enter('bob', 1), other.enter('bob', 99, 1)]).toEqual(['entered', 'bytes'])
  })

  test('has no limit for one principal unless it is given one, and none for callers of the process itself', () => {
    const alone = new MemoryLedger({ bytesMax: 100 })
    expect([alone.enter('ann', 1), alone.enter('ann', 99), alone.enter('ann', 1)]).toEqual(['entered', 'entered', 'bytes'])
    const shared = new MemoryLedger({ bytesMax: 100, subjectBytesMax: 10 })
    expect([shared.enter('', 1), shared.enter('', 99), shared.enter('', 1)]).toEqual(['entered', 'entered', 'bytes'])
  })

  test('takes other limits while bytes are held', () => {
    const ledger = new MemoryLedger({ bytesMax: 100, subjectBytesMax: 40 })
    ledger.enter('ann', 40)
    ledger.limit({ bytesMax: 60, subjectBytesMax: 50 })
    expect([ledger.enter('ann', 10), ledger.enter('ann', 1), ledger.enter('bob', 10), ledger.enter('bob', 1)]).toEqual([
      'entered',
      'subject-bytes',
      'entered',
      'bytes',
    ])
    expect(ledger.bytes).toBe(60)
  })

  test('holds 1 GiB by default, a quarter of its limit for one principal', () => {
    expect(HELD_BYTES_MAX).toBe(1_073_741_824)
    expect(withShare<LedgerLimits>({ bytesMax: 10 })).toEqual({ bytesMax: 10, subjectBytesMax: 3 })
    expect(withShare<LedgerLimits>({ bytesMax: 10, subjectBytesMax: 7 })).toEqual({ bytesMax: 10, subjectBytesMax: 7 })
  })
})

describe('a hold', () => {
  test('grows, shrinks and is set, and the ledger with it', () => {
    const ledger = new MemoryLedger({ bytesMax: 100 })
    const hold = ledger.open('ann')
    const steps: readonly (readonly [step: () => void, bytes: number])[] = [
      [() => hold.grow(30), 30],
      [() => hold.shrink(10), 20],
      [() => hold.set(50), 50],
      [() => hold.set(50), 50],
      [() => hold.set(5), 5],
      [() => hold.set(0), 0],
      [() => hold.grow(7), 7],
      [() => hold.release(), 0],
    ]
    expect([hold.principal, hold.bytes, ledger.bytes]).toEqual(['ann', 0, 0])
    for (const [step, bytes] of steps) {
      step()
      expect([hold.bytes, ledger.bytes, ledger.bytesOf('ann')]).toEqual([bytes, bytes, bytes])
    }
  })

  test('that was released gives nothing back twice, and takes nothing', () => {
    const ledger = new MemoryLedger({ bytesMax: 100 })
    ledger.open('ann').grow(40)
    const hold = ledger.open('ann')
    hold.grow(20)
    hold.release()
    hold.release()
    hold.shrink(5)
    hold.set(0)
    expect(refusal(() => hold.grow(1))).toEqual(['REQUEST_ABORTED', 499, {}])
    expect(refusal(() => hold.set(1))).toEqual(['REQUEST_ABORTED', 499, {}])
    expect([hold.bytes, ledger.bytes, ledger.bytesOf('ann')]).toEqual([0, 40, 40])
  })

  test('that held nothing leaves nothing', () => {
    const ledger = new MemoryLedger({ bytesMax: 100 })
    const hold = ledger.open('ann')
    hold.set(0)
    hold.release()
    expect([ledger.bytesOf('ann'), ledger.principals, ledger.bytes]).toEqual([0, 0, 0])
  })

  test('that there is no room for says whose limit it was, and holds what it held', () => {
    const ledger = new MemoryLedger({ bytesMax: 100, subjectBytesMax: 40 })
    ledger.open('ann').grow(30)
    const second = ledger.open('ann')
    second.grow(10)
    const retry = { 'retry-after': '1' }
    expect(refusal(() => second.grow(1))).toEqual(['SUBJECT_MEMORY_LIMIT', 429, retry])
    const other = ledger.open('bob')
    ledger.open('cid').grow(40)
    other.grow(20)
    expect(refusal(() => other.grow(1))).toEqual(['MEMORY_LIMIT', 503, retry])
    expect([second.bytes, other.bytes, ledger.bytes]).toEqual([10, 20, 100])
  })
})
