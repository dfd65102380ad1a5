import { expect, test } from 'bun:test'
import { apiKeyId, makeApiKey } from '../../../src/accounts/api-key-text.ts'

test('no character of a key is likelier than another', () => {
  const keys = 3000
  const counts = new Map<string, number>()
  for (let index = 0; index < keys; index += 1) {
    const [, , secret = ''] = makeApiKey().text.split('_')
    for (const character of secret) counts.set(character, (counts.get(character) ?? 0) + 1)
  }
  const expected = (keys * 43) / 62
  expect(counts.size).toBe(62)
  // Seven standard deviations: a fair one exceeds that in a run of many billions.
  for (const count of counts.values()) expect(Math.abs(count - expected)).toBeLessThan(7 * Math.sqrt(expected))
})

test('a key says its id, and one with a mistake in it none', () => {
  const { id, text } = makeApiKey()
  expect(apiKeyId(text)).toBe(id)
  const other = text.at(20) === 'a' ? 'b' : 'a'
  for (const wrong of [`${text.slice(0, 20)}${other}${text.slice(21)}`, text.slice(1), `${text}a`, ''])
    expect(apiKeyId(wrong)).toBeUndefined()
})
