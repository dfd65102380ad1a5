import { expect, test } from 'bun:test'
import { normalize, sep } from 'node:path'
import { csvCell, recordsOf } from '../../src/batch/csv.ts'
import { CommandError } from '../../src/core/command-error.ts'
import { withTensors } from '../../src/inference/onnx/tensors.ts'
import { withPlainLocale } from '../../src/inference/onnx/text-locale.ts'
import { valuesOf } from '../../src/inference/onnx/values.ts'
import { isInnerPath } from '../../src/inference/repository/inner-path.ts'
import { interpretConfig } from '../../src/inference/repository/pbtxt/interpret.ts'
import { parseTextFormat, TextFormatError } from '../../src/inference/repository/pbtxt/text-format.ts'
import { readConfigText } from '../../src/inference/repository/pbtxt/typed-config.ts'
import { madeSequenceModel, upperCaseModel, zipMapModel } from '../support/odd-models.ts'
import { below, type Random, seeded } from '../support/seed.ts'

const ROUNDS = 2_000

function pick<T>(random: Random, items: readonly T[]): T {
  return items[below(random, items.length)] as T
}

const PARTS = [
  ...[
    'name',
    ':',
    '{',
    '}',
    '[',
    ']',
    '<',
    '>',
    ',',
    ';',
    '"',
    "'",
    '\\',
    '#',
    '\n',
    ' ',
    '-1',
    '0x1f',
    '3.5e2',
    'TYPE_FP32',
    'true',
  ],
  ...['input', 'dims', 'max_batch_size', 'dynamic_batching', 'version_policy', 'latest', 'key', 'value', '"x"', 'é', '\0'],
]

test('whatever stands in a config.pbtxt is read, or rejected with its line', () => {
  const random = seeded('text format')
  for (let round = 0; round < ROUNDS; round += 1) {
    const text = Array.from({ length: below(random, 40) }, () => pick(random, PARTS)).join(random() < 0.5 ? ' ' : '')
    try {
      parseTextFormat(text)
    } catch (error) {
      expect([random.seed, text, error instanceof TextFormatError]).toEqual([random.seed, text, true])
    }
    try {
      interpretConfig(readConfigText(text), 'model')
    } catch (error) {
      const message = error instanceof Error ? error.message : ''
      expect([random.seed, text, message.startsWith('config.pbtxt')]).toEqual([random.seed, text, true])
    }
  }
})

test('a path that is taken for one inside a folder never leaves it', () => {
  const random = seeded('inner path')
  const parts = ['..', '.', '/', '//', '\\', 'a', 'b.onnx', '', '...', '~', ':', '\0', '1', '%2e%2e']
  for (let round = 0; round < ROUNDS; round += 1) {
    const path = Array.from({ length: below(random, 8) }, () => pick(random, parts)).join(random() < 0.5 ? '/' : '')
    if (!isInnerPath(path)) continue
    const joined = normalize(`${sep}root${sep}${path}`)
    expect([random.seed, path, joined.startsWith(`${sep}root${sep}`)]).toEqual([random.seed, path, true])
  }
})

test('cells that are written as CSV are read as they were, in pieces of any length', async () => {
  const random = seeded('csv')
  const letters = ['a', 'é', '😀', '"', ',', '\n', '\r', ' ', "'", '']
  for (let round = 0; round < 300; round += 1) {
    const width = 2 + below(random, 4)
    const cell = () => Array.from({ length: below(random, 6) }, () => pick(random, letters)).join('')
    const rows = Array.from({ length: 1 + below(random, 5) }, () => Array.from({ length: width }, cell))
    const text = rows.map((row) => row.map(csvCell).join(',')).join('\n')
    const pieces = async function* () {
      for (let at = 0; at < text.length; ) {
        const length = 1 + below(random, 7)
        yield text.slice(at, at + length)
        at += length
      }
    }
    const read = (await Array.fromAsync(recordsOf(pieces(), 'x'))).map(({ cells }) => cells)
    expect([random.seed, read]).toEqual([random.seed, rows])
  }
})

test('whatever stands in a CSV is read, or rejected with its line', async () => {
  const random = seeded('odd csv')
  for (let round = 0; round < 500; round += 1) {
    const text = Array.from({ length: below(random, 20) }, () => pick(random, ['"', ',', '\n', 'a', ' ', '\r'])).join('')
    const texts = async function* () {
      yield text
    }
    try {
      await Array.fromAsync(recordsOf(texts(), 'x'))
    } catch (error) {
      expect([random.seed, text, error instanceof CommandError]).toEqual([random.seed, text, true])
    }
  }
})

test('a model that is cut or changed anywhere is rewritten or rejected, and nothing hangs', () => {
  const random = seeded('zip map')
  const models = [zipMapModel(), madeSequenceModel(), upperCaseModel('en_US.UTF-8')]
  for (let round = 0; round < ROUNDS; round += 1) {
    const model = pick(random, models)
    const bytes = Uint8Array.from(model).subarray(0, 1 + below(random, model.length))
    for (let change = below(random, 4); change > 0; change -= 1) bytes[below(random, bytes.length)] = below(random, 256)
    try {
      for (const read of [withTensors, withPlainLocale, valuesOf]) read(bytes)
    } catch (error) {
      const message = error instanceof Error ? error.message : ''
      expect([random.seed, message]).toEqual([random.seed, expect.stringMatching(/^the model (?:is cut off|has a field)/)])
    }
  }
})
