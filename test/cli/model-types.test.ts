import { expect, test } from 'bun:test'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { MAIN, Workplace } from '../support/command-line.ts'
import { MODELS } from '../support/server.ts'

const CODE = `import { model, t } from 'vestal/model'
export default model({
  input: t.Object({ name: t.String(), age: t.Optional(t.Integer()), kind: t.Union([t.Literal('a'), t.Literal('b')]) }),
  output: t.Array(t.Union([t.Number(), t.Null()])),
  predict: () => [1],
})
`

test('vestal models types writes what the models take and give, which a compiler reads', async () => {
  using place = new Workplace([process.execPath, MAIN])
  const models = join(place.folder, 'models')
  for (const name of ['iris', 'simple']) cpSync(join(MODELS, name), join(models, name), { recursive: true })
  await Bun.write(join(models, 'coded/model.ts'), CODE)
  cpSync(join(MODELS, '../examples/text-classifier/sentiment'), join(models, 'sentiment'), { recursive: true })
  const { stdout, exitCode } = place.run(['models', 'types', '--models', models])
  expect([exitCode, stdout]).toEqual([0, expect.stringContaining('vestal.d.ts: the types of 4 models')])
  const text = readFileSync(join(models, 'vestal.d.ts'), 'utf8')
  expect(text).toContain(
    '"coded": { input: { "name": string; "age"?: number; "kind": ("a" | "b") }; output: ((number | null))[] }',
  )
  expect(text).toContain(
    '"iris": { input: number[][]; output: { "label": "setosa" | "versicolor" | "virginica"; "probabilities": Record<"setosa" | "versicolor" | "virginica", number> }[] }',
  )
  expect(text).toContain(
    '"sentiment": { input: ((string | { "text": string; "text_pair"?: string }) | ((string | { "text": string; "text_pair"?: string }))[]); output: any }',
  )
  expect(text).toContain('"simple": { input: { "INPUT0": number[][]; "INPUT1": number[][] }')
  expect(new Bun.Transpiler({ loader: 'ts' }).transformSync(text).trim()).toBe('')
})
