import { expect, test } from 'bun:test'
import { didYouMean, nearestOf } from '../../../src/core/nearest.ts'

test('a word stands for the candidate that is one slip away: a letter more, less, changed or swapped', () => {
  for (const word of ['portt', 'prt', 'pert', 'prot', 'opr', 'xport'])
    expect([word, nearestOf(word, ['host', 'port'])]).toEqual([word, word === 'opr' ? undefined : 'port'])
})

test('longer words may have more slips, and short ones none', () => {
  const cases: readonly (readonly [word: string, candidate: string, isNear: boolean])[] = [
    ['ab', 'ab', true],
    ['ab', 'ac', false],
    ['abc', 'abx', true],
    ['port', 'support', false],
    ['port', 'portrait', false],
    ['support', 'port', false],
    ['abcde', 'abcdx', true],
    ['abcde', 'abcxx', false],
    ['abcdef', 'abcdxx', true],
    ['abcdef', 'abcxxx', false],
    ['abcdefghi', 'abcdefgxx', true],
    ['abcdefghi', 'abcdefxxx', false],
    ['abcdefghij', 'abcdefgxxx', true],
    ['abcdefghij', 'abcdefxxxx', false],
    ['abcdefghij', 'badcefghji', true],
    ['abcdefghij', 'badcfeghji', false],
  ]
  for (const [word, candidate, isNear] of cases)
    expect([word, candidate, nearestOf(word, [candidate])]).toEqual([word, candidate, isNear ? candidate : undefined])
})

test('the nearest is taken, the first of those that are as near', () => {
  expect(nearestOf('model-dir', ['model-dirs', 'models-dir', 'model-dir'])).toBe('model-dir')
  expect(nearestOf('levl', ['level', 'lev'])).toBe('level')
  expect(nearestOf('levl', ['lev', 'level'])).toBe('lev')
})

test('hyphens, underscores, dots, blanks and capitals do not count', () => {
  for (const word of ['Model_Dir', 'modeldir', 'MODEL.DIR', 'model dir', '--model-dir'])
    expect([word, nearestOf(word, ['model-dir'])]).toEqual([word, 'model-dir'])
})

test('nothing is near to no word, and none of no candidates', () => {
  expect([nearestOf('', ['a']), nearestOf('-_', ['a', '']), nearestOf('port', [])]).toEqual([undefined, undefined, undefined])
})

test('long words are compared by their first sixty characters', () => {
  const start = 'x'.repeat(59)
  expect(nearestOf(`${start}ab`, [`${start}a${'y'.repeat(1000)}`])).toBe(`${start}a${'y'.repeat(1000)}`)
  expect(nearestOf(`${'x'.repeat(57)}abcd`, [`${'x'.repeat(57)}efgh`])).toBe(`${'x'.repeat(57)}efgh`)
  expect(nearestOf(`${'x'.repeat(56)}abcd`, [`${'x'.repeat(56)}efgh`])).toBeUndefined()
})

test('it is asked about in a text that continues another', () => {
  expect([didYouMean('prot', ['host', 'port']), didYouMean('zzzz', ['host', 'port'])]).toEqual(['; did you mean port?', ''])
})
