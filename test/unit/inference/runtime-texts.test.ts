import { expect, test } from 'bun:test'
import { createRuntimeTexts, type RuntimeText } from '../../../src/inference/runtime/runtime-texts.ts'

test('each text of a version is handed on once a minute, in one line, and eight different ones at most', () => {
  const heard: RuntimeText[] = []
  let nowMs = 0
  const hear = createRuntimeTexts(
    'fraud/2',
    (text) => heard.push(text),
    () => nowMs,
  )
  hear('run', 'a.cc:1 one\n\u001b[31mtwo\n')
  hear('run', 'a.cc:1 one\n\u001b[31mtwo\n')
  expect(heard).toEqual([{ model: 'fraud', version: '2', during: 'run', text: 'a.cc:1 one [31mtwo' }])
  for (let index = 0; index < 20; index += 1) hear('load', `text ${index}`)
  expect(heard).toHaveLength(8)
  nowMs = 59_999
  hear('run', 'later')
  expect(heard).toHaveLength(8)
  nowMs = 60_000
  hear('run', 'later')
  expect(heard.at(-1)).toMatchObject({ during: 'run', text: 'later' })
})
