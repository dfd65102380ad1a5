import { expect, test } from 'bun:test'
import {
  endsCanonically,
  isCanonicalBase64url,
  isPaddedBase64url,
  textOfBase64url,
  toBase64url,
} from '../../../src/jose/base64url.ts'

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

/** True where node:crypto's decoding and encoding give the same text back, which is what canonical means. */
const comesBack = (text: string) => Buffer.from(text, 'base64url').toString('base64url') === text

test('canonical is what comes back from its bytes, for every end of one, two and three characters', () => {
  for (const text of [
    '',
    'AAAA',
    ...ALPHABET,
    ...[...ALPHABET].flatMap((last) => [`A${last}`, `_${last}`, `AA${last}`, `__${last}`]),
  ]) {
    expect([text, isCanonicalBase64url(text), endsCanonically(text)]).toEqual([text, comesBack(text), comesBack(text)])
    expect([text, isCanonicalBase64url(`AAAA${text}`)]).toEqual([text, comesBack(`AAAA${text}`)])
  }
  for (const text of ['AA==', 'AAA=', 'A+AA', 'A/AA', 'AA A', 'AAAA\n', 'é', '='])
    expect([text, isCanonicalBase64url(text)]).toEqual([text, false])
})

test('padded is also what fills up to a multiple of four, and nothing else', () => {
  for (const text of ['', 'AA', 'AA==', 'AAA', 'AAA=', 'AAAA', 'AAAAAA=='])
    expect([text, isPaddedBase64url(text)]).toEqual([text, true])
  for (const text of ['A', 'A===', 'AA=', 'AAA==', 'AAAA=', 'AAAA==', 'AB==', 'AAB=', '==', '=', 'AA==AA', 'A+==', 'AA= '])
    expect([text, isPaddedBase64url(text)]).toEqual([text, false])
})

test('a text comes back from its base64url, of whatever length, and bytes that are no UTF-8 do not', () => {
  for (const text of [
    '',
    'a',
    'ü',
    '\ufffd',
    '🙂',
    'x'.repeat(49_151),
    'x'.repeat(49_152),
    'x'.repeat(65_536),
    'é'.repeat(100_000),
  ])
    expect(textOfBase64url(toBase64url(text)) === text).toBe(true)
  const broken = [[0xff], [0xc3], [0xed, 0xa0, 0x80], [0xc0, 0x80]]
  for (const bytes of broken) {
    expect(textOfBase64url(toBase64url(Buffer.from(bytes)))).toBeUndefined()
    expect(textOfBase64url(toBase64url(Buffer.concat([Buffer.alloc(100_000, 97), Buffer.from(bytes)])))).toBeUndefined()
  }
  // The buffer is the same for all: nothing of a longer text is left in the next one.
  expect([textOfBase64url(toBase64url('longer text')), textOfBase64url(toBase64url('short'))]).toEqual(['longer text', 'short'])
})
