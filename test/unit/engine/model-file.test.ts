import { describe, expect, test } from 'bun:test'
import { EMPTY_MODEL_FILE, readModelFile } from '../../../src/engine/repository/model-file.ts'

describe('model.toml', () => {
  test('is read whole', () => {
    const text = `
description = "Names a flower"
[permissions]
predict = "flowers:ask"
[outputs.label]
labels = ["a", "b"]
[[examples]]
input = [[1, 2.5]]
[[examples]]
[examples.input]
x = ["y"]
`
    expect(readModelFile(text)).toEqual({
      description: 'Names a flower',
      permissions: { predict: 'flowers:ask' },
      labels: new Map([['label', ['a', 'b']]]),
      examples: [[[1, 2.5]], { x: ['y'] }],
    })
  })

  test('may be empty', () => {
    expect(readModelFile('')).toEqual(EMPTY_MODEL_FILE)
  })

  const faults: readonly (readonly [text: string, message: string])[] = [
    ['a = ', 'model.toml is not valid TOML'],
    ['colour = "red"', '"colour" is not a key that is known'],
    ['description = 7', '"description" must be a text'],
    ['permissions = "x"', '"permissions" must be a table'],
    ['[permissions]\nadmin = "x"', '"permissions.admin" is not a key that is known'],
    ['[permissions]\npredict = 7', '"permissions.predict" must be a text without spaces'],
    ['[permissions]\npredict = ""', '"permissions.predict" must be a text without spaces'],
    ['[permissions]\npredict = "a b"', '"permissions.predict" must be a text without spaces'],
    ['[permissions]\npredict = "model:*:predict"', '"permissions.predict" must be a text without spaces'],
    ['outputs = []', '"outputs" must be a table'],
    ['[outputs.y]', '"outputs.y.labels" must be a list of texts'],
    ['[outputs.y]\nlabels = []', '"outputs.y.labels" must be a list of texts'],
    ['[outputs.y]\nlabels = [1]', '"outputs.y.labels" must be a list of texts'],
    ['[outputs.y]\nlabels = ["a", "a"]', '"outputs.y.labels" has a label twice'],
    ['[outputs.y]\nlabels = ["a"]\nother = 1', '"outputs.y.other" is not a key that is known'],
    ['examples = {}', '"examples" must be a list of tables'],
    ['examples = [1]', '"examples[0]" must be a table'],
    ['[[examples]]', '"examples[0].input" is missing'],
    ['[[examples]]\ninput = 1\noutput = 2', '"examples[0].output" is not a key that is known'],
  ]
  for (const [text, message] of faults) {
    test(`that is wrong is told the key and the rule: ${text.replaceAll('\n', ' ')}`, () => {
      expect(() => readModelFile(text)).toThrow(message)
    })
  }
})
