import { afterEach, beforeEach, expect, test } from 'bun:test'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine } from '../../../../src/inference/create-engine.ts'
import type { Engine } from '../../../../src/inference/engine.ts'
import { Journal, type JournalEntry, restore, startAfter } from '../../../../src/inference/remote/journal.ts'
import { factorModel, inputOf, put } from '../../../support/factor-model.ts'

let [models, kept] = ['', '']
let entries: readonly JournalEntry[] = []
const engines: Engine[] = []

beforeEach(() => {
  models = mkdtempSync(join(tmpdir(), 'vestal-journal-models-'))
  kept = mkdtempSync(join(tmpdir(), 'vestal-journal-'))
  entries = []
})
afterEach(async () => {
  for (const engine of engines.splice(0)) await engine.stop()
  for (const folder of [models, kept]) rmSync(folder, { recursive: true })
})

const openJournal = () => {
  const changed = (next: readonly JournalEntry[]) => {
    entries = next
  }
  return new Journal({ entries, folder: kept, changed })
}

async function start(loadAtStart: ReadonlySet<string> | undefined, warn: (message: string) => void = () => undefined) {
  const engine = await createEngine({
    modelsDirectory: models,
    threads: 1,
    warn,
    modelControl: 'explicit',
    mayOverride: true,
    ...startAfter(entries, loadAtStart),
  })
  engines.push(engine)
  await restore(engine, entries, warn)
  return engine
}

const ready = (engine: Engine) =>
  engine
    .models()
    .flatMap(({ name, versions }) => versions.filter(({ state }) => state === 'ready').map(({ version }) => `${name}/${version}`))

test('keeps what counts of loads and unloads, and no more', () => {
  const journal = openJournal()
  for (const what of ['load', 'unload', 'load'] as const) journal.record({ what, name: 'a' })
  journal.record({ what: 'load', name: 'b', version: '1' })
  journal.record({ what: 'unload', name: 'b', version: '1' })
  journal.record({ what: 'load', name: 'b', version: '2' })
  expect(entries).toEqual([
    { what: 'load', name: 'a' },
    { what: 'unload', name: 'b', version: '1' },
    { what: 'load', name: 'b', version: '2' },
  ])
  journal.record({ what: 'unload', name: 'b' })
  expect(entries).toEqual([
    { what: 'load', name: 'a' },
    { what: 'unload', name: 'b' },
  ])
})

test('keeps the files that a request brought until another load takes their place', () => {
  const journal = openJournal()
  const files = new Map([['1/model.onnx', new Uint8Array([1])]])
  journal.record({ what: 'load', name: 'a', config: '{}', files })
  journal.record({ what: 'load', name: 'a', config: '{}', files })
  expect(readdirSync(kept)).toHaveLength(1)
  journal.record({ what: 'unload', name: 'a' })
  expect(readdirSync(kept)).toEqual([])
})

test('brings another engine to where the one before was', async () => {
  for (const name of ['a', 'b', 'c']) await put(models, `${name}/1/model.onnx`, factorModel(2))
  await put(models, 'c/2/model.onnx', factorModel(3))
  const atStart = new Set(['a', 'c'])
  const first = await start(atStart)
  expect(ready(first)).toEqual(['a/1', 'c/2', 'c/1'])
  const journal = openJournal()
  const change = async (what: 'load' | 'unload', name: string, options: { version?: string; config?: string } = {}) => {
    await first[what](name, options)
    journal.record({ what, name, ...options })
  }
  await change('unload', 'a')
  await change('load', 'b')
  await change('unload', 'c', { version: '1' })
  const files = new Map([['1/model.onnx', factorModel(9)]])
  await first.load('brought', { config: '{"backend":"onnxruntime"}', files })
  journal.record({ what: 'load', name: 'brought', config: '{"backend":"onnxruntime"}', files })
  const second = await start(atStart)
  expect(ready(second)).toEqual(ready(first))
  expect(ready(second)).toEqual(['b/1', 'brought/1', 'c/2'])
  expect((await second.infer('brought', '1', inputOf(2))).get('y')?.data[0]).toBe(18)
})

test('reports what cannot be loaded any more, and loads the rest', async () => {
  await put(models, 'a/1/model.onnx', factorModel(2))
  entries = [
    { what: 'load', name: 'gone', version: '4' },
    { what: 'load', name: 'a', version: '1' },
  ]
  const warnings: string[] = []
  expect(ready(await start(new Set(), (message) => void warnings.push(message)))).toEqual(['a/1'])
  expect(warnings.filter((text) => text.startsWith('gone: cannot be loaded as it was before: '))).toHaveLength(1)
})
