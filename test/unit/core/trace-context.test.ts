import { describe, expect, test } from 'bun:test'
import { readTraceParent, readTraceState, traceParentOf } from '../../../src/core/trace-context.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'

describe('traceparent', () => {
  test('says the trace, the span and whether it is recorded', () => {
    const context = { traceId: TRACE, spanId: SPAN }
    expect(readTraceParent(`00-${TRACE}-${SPAN}-01`)).toEqual({ ...context, isSampled: true })
    expect(readTraceParent(`00-${TRACE}-${SPAN}-00`)).toEqual({ ...context, isSampled: false })
    // Flags that have no meaning yet are ignored.
    expect(readTraceParent(`00-${TRACE}-${SPAN}-fe`)).toEqual({ ...context, isSampled: false })
    expect(readTraceParent(`00-${TRACE}-${SPAN}-03`)).toEqual({ ...context, isSampled: true })
  })

  test('of a version to come is read as far as it is ours', () => {
    for (const header of [`cc-${TRACE}-${SPAN}-01`, `cc-${TRACE}-${SPAN}-01-what-the-future-will-be-like`])
      expect(readTraceParent(header)?.traceId).toBe(TRACE)
  })

  test('may have 512 characters and no more', () => {
    const header = `cc-${TRACE}-${SPAN}-01-`
    expect(readTraceParent(header.padEnd(512, 'x'))?.spanId).toBe(SPAN)
    expect(readTraceParent(header.padEnd(513, 'x'))).toBeUndefined()
  })

  test('that is none is none', () => {
    for (const header of [
      null,
      '',
      'x',
      `00-${TRACE}-${SPAN}`,
      `00-${TRACE}-${SPAN}-1`,
      `00-${TRACE}-${SPAN}-01-`,
      `00-${TRACE}-${SPAN}-01-more`,
      `cc-${TRACE}-${SPAN}-01.more`,
      `ff-${TRACE}-${SPAN}-01`,
      `00-${TRACE.toUpperCase()}-${SPAN}-01`,
      `00-${'0'.repeat(32)}-${SPAN}-01`,
      `00-${TRACE}-${'0'.repeat(16)}-01`,
      `00-${TRACE.slice(1)}-${SPAN}-01`,
      `00-${TRACE}g-${SPAN}-01`,
      ` 00-${TRACE}-${SPAN}-01`,
      // Two headers, as they come joined.
      `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`,
      `cc-${TRACE}-${SPAN}-01-${'x'.repeat(500)}`,
    ]) {
      expect([header, readTraceParent(header)]).toEqual([header, undefined])
    }
  })

  test('is written as it is read', () => {
    for (const isSampled of [true, false]) {
      const context = { traceId: TRACE, spanId: SPAN, isSampled }
      expect(readTraceParent(traceParentOf(context))).toEqual(context)
    }
  })
})

describe('tracestate', () => {
  test('is passed on as it came, without blanks and empty members', () => {
    expect(readTraceState('congo=t61rcWkgMzE,rojo=00f067aa0ba902b7')).toBe('congo=t61rcWkgMzE,rojo=00f067aa0ba902b7')
    expect(readTraceState(' a=1 , , b@vendor=x y ')).toBe('a=1,b@vendor=x y')
  })

  test('may have 32 members of 512 characters in all', () => {
    const members = Array.from({ length: 32 }, (_, index) => `k${index}=v`).join(',')
    expect(readTraceState(members)).toBe(members)
    const longest = `a=${'x'.repeat(256)},b=${'x'.repeat(251)}`
    expect([longest.length, readTraceState(longest), readTraceState(`${longest}x`)]).toEqual([512, longest, undefined])
  })

  test('that is none, or too long, is left out', () => {
    const members = Array.from({ length: 33 }, (_, index) => `k${index}=v`).join(',')
    for (const header of [
      null,
      '',
      ',',
      'a',
      'A=1',
      'a=',
      'a=1,a=2',
      'a=b=c',
      'a=1,B=2',
      'B=2,a=1',
      'a=1,b,c=3',
      'a=\u00e4',
      members,
      `a=${'x'.repeat(257)}`,
      `a=${'x'.repeat(600)}`,
    ])
      expect([header, readTraceState(header)]).toEqual([header, undefined])
  })
})

test('one malformed member of tracestate spoils it, wherever it stands', () => {
  for (const header of ['a=1,b', 'b,a=1', 'a=1,B=2', 'a=1,b=,c=3', 'a=1,b=x\u0001']) {
    expect([header, readTraceState(header)]).toEqual([header, undefined])
  }
  expect(readTraceState('a=1, b=2')).toBe('a=1,b=2')
})
