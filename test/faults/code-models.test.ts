import { afterEach, describe, expect, test } from 'bun:test'
import { chmodSync, chownSync, symlinkSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { VestalError } from '../../src/core/errors.ts'
import { createEngine, type Engine } from '../../src/index.ts'
import { nextOf, streamOf } from '../../src/inference/code/code-values.ts'
import { codeFolder, modelText } from '../support/code-folder.ts'
import { until } from '../support/until.ts'

const stops: (() => unknown)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).reverse()) await stop()
})

async function serve(
  files: Readonly<Record<string, string | Uint8Array>>,
  options: Partial<Parameters<typeof createEngine>[0]> = {},
) {
  const folder = await codeFolder(files)
  const warnings: string[] = []
  const start = async () => {
    const engine = await createEngine({
      modelsDirectory: folder.models,
      modelControl: 'explicit',
      threads: 1,
      instances: 1,
      warn: (line) => void warnings.push(line),
      ...options,
    })
    stops.push(() => engine.stop())
    return engine
  }
  stops.push(() => folder.remove())
  return { ...folder, warnings, start }
}

async function ask(engine: Engine, name: string, value: unknown = 1): Promise<unknown> {
  const inputs = new Map([['input', { datatype: 'BYTES' as const, shape: [1], data: [JSON.stringify(value)] }]])
  const outputs = await engine.infer(name, '1', inputs)
  return JSON.parse(String(outputs.get('output')?.data[0]))
}

const reasonOf = (engine: Engine, name: string) => engine.model(name)?.versions[0]?.reason
const codeOf = (error: unknown) => (error instanceof VestalError ? error.code : error)
const constant = (value: number) => modelText(`input: t.Unknown(), output: t.Number(), predict: () => ${value},`)

test('a caller has some streams of a model, and others have theirs', async () => {
  const { start } = await serve({
    'm/model.ts': modelText('input: t.Unknown(), output: t.Number(), async *predict() { for (;;) yield 1 },'),
  })
  const engine = await start()
  await engine.load('m')
  const begin = (subject: string) =>
    engine.infer('m', '1', nextOf('', new Map([['input', { datatype: 'BYTES', shape: [1], data: ['1'] }]])), { subject })
  for (let index = 0; index < 64; index += 1) expect(streamOf(await begin('one'))).toBeString()
  expect(await begin('one').catch(codeOf)).toBe('SUBJECT_LIMIT')
  expect(streamOf(await begin('other'))).toBeString()
})

test('an input that is wrong at a long path is rejected, and ends nothing', async () => {
  const { start, warnings } = await serve({
    'm/model.ts': `import { model, t } from 'vestal/model'
let deep: ReturnType<typeof t.Record> | ReturnType<typeof t.Number> = t.Number()
for (let level = 0; level < 80; level += 1) deep = t.Record(t.String(), deep)
export default model({ input: deep, output: t.Number(), predict: () => 1 })
`,
  })
  const engine = await start()
  await engine.load('m')
  let value: unknown = 'no number'
  for (let level = 0; level < 80; level += 1) value = { ['key'.repeat(21)]: value }
  expect(await ask(engine, 'm', value).catch(codeOf)).toBe('INPUT_INVALID')
  expect(await ask(engine, 'm', {})).toBe(1)
  expect(warnings).toEqual([])
})

test('macros are rejected, which the bundler would run before their files are checked', async () => {
  const macro =
    'import { writeFileSync } from "node:fs"\nexport const value = () => { writeFileSync(new URL("./ran", import.meta.url), ""); return 1 }\n'
  const using = (clause: string) =>
    `import { value } from ${clause}\n${modelText('input: t.Unknown(), output: t.Number(), predict: () => value(),')}`
  const { models, start } = await serve({
    'outside.ts': macro,
    'attribute/model.ts': using(`'../outside.ts' with { type: 'macro' }`),
    'escaped/model.ts': using(`'../outside.ts' with { type: 'm\\u0061cro' }`),
    'prefix/model.ts': using(`'macro:../outside.ts'`),
    'helper/model.ts': using(`'./part.ts'`),
    'helper/part.ts': `import { value as made } from '../outside.ts' with { type: 'macro' }\nexport const value = () => made()\n`,
  })
  const engine = await start()
  for (const name of ['attribute', 'escaped', 'prefix', 'helper']) {
    await engine.load(name).catch(() => undefined)
    expect(String(reasonOf(engine, name))).toContain('model.ts can use no macros: import the function and call it')
  }
  expect(await Bun.file(join(models, 'ran')).exists()).toBe(false)
})

describe('a reload', () => {
  test('of an edited helper gives new answers, and none fails meanwhile', async () => {
    const helper = (value: number) => `export const value = ${value}\n`
    const { write, start } = await serve({
      'm/model.ts': `import { value } from './parts/helper.ts'\n${modelText('input: t.Unknown(), output: t.Number(), predict: () => value,')}`,
      'm/parts/helper.ts': helper(1),
    })
    const engine = await start()
    const answers = new Set<unknown>()
    let isDone = false
    const asking = (async () => {
      while (!isDone) answers.add(await ask(engine, 'm'))
    })()
    await write('m/parts/helper.ts', helper(2))
    await engine.load('m')
    expect(await ask(engine, 'm')).toBe(2)
    isDone = true
    await asking
    expect([...answers].sort()).toEqual(expect.arrayContaining([1]))
    expect([...answers].every((answer) => answer === 1 || answer === 2)).toBe(true)
  })

  test('of a file with a syntax error, or whose example fails, keeps the old code and says where', async () => {
    const { write, start } = await serve({ 'm/model.ts': constant(1) })
    const engine = await start()
    await write('m/model.ts', 'export default 5 +\n')
    expect(String(await engine.load('m').catch((error: VestalError) => error.detail))).toMatch(/model\.ts:\d+:\d+: /)
    await write(
      'm/model.ts',
      modelText('examples: [1],', 'input: t.Unknown(), output: t.Number(), predict: () => { throw new Error("never right") },'),
    )
    expect(String(await engine.load('m').catch((error: VestalError) => error.detail))).toContain('examples[0]: model.ts:4:')
    expect(await ask(engine, 'm')).toBe(1)
    expect(engine.model('m')?.versions[0]?.state).toBe('ready')
  })

  test('by polling sees an edit by itself', async () => {
    const { write, start } = await serve({ 'm/model.ts': constant(1) }, { modelControl: 'poll', pollMs: 50 })
    const engine = await start()
    await write('m/model.ts', constant(2))
    await until(async () => (await ask(engine, 'm')) === 2, 'the new code answers')
  })
})

describe('calls', () => {
  const calls = (called: string) =>
    modelText(
      `calls: ["${called}"],`,
      'input: t.Unknown(), output: t.Unknown(),',
      `predict: (value, { call }) => call("${called}", value),`,
    )

  test('in a circle are rejected, and named', async () => {
    const { start } = await serve({ 'a/model.ts': calls('b'), 'b/model.ts': calls('c'), 'c/model.ts': calls('a') })
    const engine = await start()
    for (const name of ['a', 'b', 'c']) expect(reasonOf(engine, name)).toContain('its calls go round in a circle')
    expect(codeOf(await engine.load('a').catch((error: unknown) => error))).toBe('MODEL_LOAD_FAILED')
  })

  test('of a model that is not there make a model unavailable until it comes', async () => {
    const { write, start } = await serve({ 'a/model.ts': calls('b') })
    const engine = await start()
    expect(reasonOf(engine, 'a')).toBe("it calls 'b', and there is no such model")
    await write('b/model.ts', constant(7))
    await engine.load('b')
    expect(await ask(engine, 'a')).toBe(7)
    await engine.unload('b')
    expect(reasonOf(engine, 'a')).toContain("it calls 'b', which is not ready")
  })

  test('more than eight deep are rejected', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 9 }, (_, index) => [`m${index}/model.ts`, index === 8 ? constant(1) : calls(`m${index + 1}`)]),
    )
    const { start } = await serve(files)
    const engine = await start()
    expect(reasonOf(engine, 'm0')).toContain('its calls are more than 8 deep: m0 → m1')
    expect(await ask(engine, 'm1')).toBe(1)
  })

  test('end with the time of the request', async () => {
    const slow = modelText(
      'input: t.Unknown(), output: t.Unknown(),',
      'predict: (_, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", () => { console.log("aborted"); reject(new Error("late")) })),',
    )
    const { start, warnings } = await serve({ 'slow/model.ts': slow, 'outer/model.ts': calls('slow') })
    const engine = await start()
    const inputs = new Map([['input', { datatype: 'BYTES' as const, shape: [1], data: ['1'] }]])
    const failure = await engine.infer('outer', '1', inputs, { timeoutMs: 200 }).catch((error: unknown) => error)
    expect(codeOf(failure)).toBe('REQUEST_TIMEOUT')
    await until(() => warnings.some((line) => line.includes('slow/1: model.ts: aborted')), 'the called code is told')
  })
})

describe('code is not run', () => {
  test('where it is off', async () => {
    const { start } = await serve({ 'm/model.ts': constant(1) }, { code: false })
    expect(reasonOf(await start(), 'm')).toBe('its model.ts is not run: code is off (--code off)')
  })

  test('from a file, or a folder, that everybody may write', async () => {
    const { models, start } = await serve({
      'file/model.ts': constant(1),
      'folder/model.ts': constant(1),
      'helper/model.ts': `import './h.ts'\n${constant(1)}`,
      'helper/h.ts': '',
    })
    chmodSync(join(models, 'file/model.ts'), 0o666)
    chmodSync(join(models, 'folder'), 0o777)
    chmodSync(join(models, 'helper/h.ts'), 0o666)
    const engine = await start()
    expect(reasonOf(engine, 'file')).toBe('model.ts may be written by everybody: code is not run from it (chmod o-w)')
    expect(reasonOf(engine, 'folder')).toBe(
      'the folder of the model may be written by everybody: code is not run from it (chmod o-w)',
    )
    expect(reasonOf(engine, 'helper')).toBe('h.ts may be written by everybody: code is not run from it (chmod o-w)')
  })

  test.if(process.getuid?.() === 0)('from a file of another user', async () => {
    const { models, start } = await serve({ 'm/model.ts': constant(1) })
    chownSync(join(models, 'm/model.ts'), 1234, 1234)
    // As root: it is the other user's file, and root may read it.
    expect(reasonOf(await start(), 'm')).toContain('model.ts belongs to another user')
  })

  test('from a link out of its folder, or an import of a file there', async () => {
    const { models, write, start } = await serve({
      'link/1/keep': 'x',
      'import/model.ts': `import '../outside/code.ts'\n${constant(1)}`,
    })
    await write('outside/code.ts', 'export {}\n')
    await write('outside/model.txt', constant(1))
    symlinkSync(join(models, 'outside/model.txt'), join(models, 'link/model.ts'))
    const engine = await start()
    expect(reasonOf(engine, 'link')).toContain('is a link that leads out of its folder')
    expect(reasonOf(engine, 'import')).toContain('which leads out of its folder')
    unlinkSync(join(models, 'link/model.ts'))
  })

  test('from a load request, nor with its configuration', async () => {
    const { start } = await serve({ 'm/model.ts': constant(1) }, { mayOverride: true })
    const engine = await start()
    const files = new Map([
      ['1/model.ts', Buffer.from(constant(2))],
      ['model.ts', Buffer.from(constant(2))],
    ])
    const config = '{"backend":"onnxruntime"}'
    expect(codeOf(await engine.load('new', { config, files }).catch((error: unknown) => error))).toBe('BODY_INVALID')
    files.delete('model.ts')
    expect(codeOf(await engine.load('new', { config, files }).catch((error: unknown) => error))).toBe('MODEL_LOAD_FAILED')
    expect(codeOf(await engine.load('m', { config }).catch((error: unknown) => error))).toBe('MODEL_LOAD_FAILED')
    expect(await ask(engine, 'm')).toBe(1)
  })

  test('where a native addon is imported', async () => {
    const { start } = await serve({
      'm/model.ts': `import addon from './addon.node'\n${constant(1)}\nvoid addon\n`,
      'm/addon.node': 'x',
    })
    expect(reasonOf(await start(), 'm')).toContain("'./addon.node' is a native addon")
  })
})

test('an npm package beside it is bundled', async () => {
  const { start } = await serve({
    'm/model.ts': `import { twice } from 'twice'\n${modelText('input: t.Number(), output: t.Number(), predict: (value) => twice(value),')}`,
    'm/node_modules/twice/package.json': '{"name":"twice","version":"1.0.0","main":"main.js"}',
    'm/node_modules/twice/main.js': 'exports.twice = (value) => value * 2\n',
  })
  expect(await ask(await start(), 'm', 21)).toBe(42)
})

test('variables come only by name, and the network only where it is allowed', async () => {
  const code = modelText(
    'input: t.Unknown(), output: t.Unknown(),',
    'async predict() {',
    '  try { Bun.listen({ hostname: "127.0.0.1", port: 0, socket: { data() {} } }).stop() } catch { return [process.env, "denied"] }',
    '  return [process.env, "allowed"]',
    '},',
  )
  process.env.CODE_MODELS_TEST = 'given'
  const { start } = await serve({
    'closed/model.ts': code,
    'open/model.ts': code,
    'open/model.toml': '[code]\nnetwork = true\nenv = ["CODE_MODELS_TEST"]\n',
    'wrong/model.ts': code,
    'wrong/model.toml': '[code]\nenv = ["VESTAL_SECRET"]\n',
  })
  const engine = await start()
  expect(await ask(engine, 'closed')).toEqual([{}, 'denied'])
  expect(await ask(engine, 'open')).toEqual([{ CODE_MODELS_TEST: 'given' }, 'allowed'])
  expect(reasonOf(engine, 'wrong')).toContain("none of Vestal's own")
})
