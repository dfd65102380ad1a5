import { afterAll, expect, test } from 'bun:test'
import { VestalError } from '../../src/core/errors.ts'
import { modelText, startCodeFolder } from '../support/code-folder.ts'
import { identityModel } from '../support/tiny-models.ts'
import { until } from '../support/until.ts'

const HOSTILE = `import { model, t } from 'vestal/model'
import { closeSync, readdirSync, readFileSync, readlinkSync, writeSync } from 'node:fs'
const numbers = (length) => { const bytes = Buffer.alloc(4); bytes.writeUInt32LE(length); return bytes }
const say = (header) => { const text = JSON.stringify(header); writeSync(3, Buffer.concat([numbers(13 + text.length), Buffer.from([1]), numbers(text.length), Buffer.from(text), numbers(0), numbers(0)])) }
const DO = {
  nothing: () => 'nothing',
  hang: () => { while (true); },
  block: () => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0),
  exit: () => process.exit(7),
  kill: () => process.kill(process.pid, 'SIGKILL'),
  reject: () => { Promise.reject(new Error('floating')); return new Promise(() => undefined) },
  later: () => { setTimeout(() => { throw new Error('later') }); return new Promise(() => undefined) },
  memory: () => { const kept = []; const more = () => { kept.push(Buffer.alloc(32 * 1024 * 1024, 1)); setTimeout(more) }; more(); return new Promise(() => undefined) },
  print: async () => { for (let index = 0; index < 2000; index += 1) console.log('line ' + index); return 'printed' },
  printRaw: () => { for (let index = 0; index < 2000; index += 1) { writeSync(1, 'x'.repeat(1000)); writeSync(2, 'x'.repeat(1000)) } return 'printed' },
  giant: () => 'x'.repeat(100 * 1024 * 1024),
  never: () => new Promise(() => undefined),
  prototype: () => { Object.prototype.polluted = true; Array.prototype.map = () => []; JSON.stringify = () => '{'; return 'x' },
  answerTwice: () => { say({ kind: 'answer', id: 1, isLast: true, isEmpty: false }); return 'x' },
  lie: () => { say({ kind: 'answer', id: 'one' }); return 'x' },
  unknown: () => { say({ kind: 'described', model: {} }); return 'x' },
  garbage: () => { writeSync(3, Buffer.alloc(1024, 255)); return new Promise(() => undefined) },
  close: () => { closeSync(3); return new Promise(() => undefined) },
  spawn: () => { Bun.spawnSync(['true']); return 'spawned' },
  fetch: async () => { await fetch('http://127.0.0.1:' + process.argv.length); return 'fetched' },
  listen: () => { Bun.serve({ port: 0, fetch: () => new Response('x') }); return 'listening' },
  killServer: () => { process.kill(process.ppid, 'SIGKILL'); return 'killed' },
  killGroup: () => { process.kill(-process.ppid, 'SIGKILL'); return 'killed' },
  standing: () => ({
    pid: process.pid,
    group: Number(readFileSync('/proc/self/stat', 'utf8').split(') ')[1].split(' ')[2]),
    memoryScore: Number(readFileSync('/proc/self/oom_score_adj', 'utf8')),
    privileges: /NoNewPrivs:\\s+(\\d)/.exec(readFileSync('/proc/self/status', 'utf8'))[1],
  }),
  descriptors: () => readdirSync('/proc/self/fd').map((name) => { try { return readlinkSync('/proc/self/fd/' + name) } catch { return '' } }).filter((path) => path.startsWith('socket:')).length,
}
export default model({ input: t.String(), output: t.Unknown(), predict: (what) => DO[what]() })
`
const { engine, warnings, stop } = await startCodeFolder({
  'hostile/model.ts': HOSTILE,
  'hostile/model.toml': '[code]\nmemory_mb = 300\n[serving]\ntimeout_ms = 20000\n',
  'kind/1/model.onnx': identityModel('FP32', ['n']),
  'kind/model.ts': modelText(
    'input: t.Number(), output: t.Number(),',
    'predict: async (value, { run }) => (await run("model", { x: [value] })).y.row(0)[0],',
  ),
  'throws/model.ts': modelText(
    'input: t.Number(), output: t.Number(), setup() {',
    '  throw new Error("no dictionary")',
    '}, predict: (value) => value,',
  ),
  'loads/model.ts': 'export default null\nthrow new Error("at once")\n',
  'other/model.ts': 'export default { predict: () => 1 }\n',
  'syntax/model.ts': "import { model } from 'vestal/model'\nexport default model({\n",
  'schema/model.ts': modelText('input: 5, output: t.Number(), predict: (value) => value,'),
})
afterAll(stop)

async function ask(name: string, value: unknown, options = {}): Promise<unknown> {
  const inputs = new Map([['input', { datatype: 'BYTES' as const, shape: [1], data: [JSON.stringify(value)] }]])
  try {
    const outputs = await engine.infer(name, '1', inputs, options)
    return JSON.parse(String(outputs.get('output')?.data[0]))
  } catch (error) {
    if (error instanceof VestalError) return error.code
    throw error
  }
}

const isBack = () => until(async () => (await ask('hostile', 'nothing')) === 'nothing', 'the model answers again')

const LOST = ['hang', 'exit', 'kill', 'reject', 'later', 'memory', 'lie', 'unknown', 'garbage', 'close'] as const
for (const what of LOST) {
  test(`what ends or hangs its process is a 503 for its caller, and nothing to others: ${what}`, async () => {
    const hostile = ask('hostile', what)
    // Others are answered meanwhile.
    expect(await ask('kind', 5)).toBe(5)
    expect(await hostile).toBe('WORKER_LOST')
    expect(await ask('kind', 6)).toBe(6)
    await isBack()
  })
}

test('a thread that is blocked without computing is ended too', async () => {
  expect(await ask('hostile', 'block')).toBe('WORKER_LOST')
  await isBack()
})

const isFiltered = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch)
for (const what of ['spawn', 'fetch', 'listen', 'killServer', 'killGroup']) {
  test.if(isFiltered)(`what it may not do is an error of its code: ${what}`, async () => {
    expect(await ask('hostile', what)).toBe('CODE_FAILED')
    expect(await ask('hostile', 'nothing')).toBe('nothing')
  })
}

test('an answer that is too large is an error of its code, or a hang where it takes too long to write', async () => {
  expect(['CODE_FAILED', 'WORKER_LOST']).toContain(String(await ask('hostile', 'giant')))
  await isBack()
})

test('prints as much as it likes, and the log stays short', async () => {
  const before = warnings.length
  expect(await ask('hostile', 'print')).toBe('printed')
  expect(await ask('hostile', 'printRaw')).toBe('printed')
  expect(warnings.length - before).toBeLessThan(200)
  expect(await ask('hostile', 'nothing')).toBe('nothing')
})

test('has one socket, which is that to its server', async () => {
  expect(await ask('hostile', 'descriptors')).toBe(1)
})

test.if(process.platform === 'linux')(
  'is ended before others where memory runs out, gains no privileges, and stays where its whole group gets a signal',
  async () => {
    const { pid, ...rest } = (await ask('hostile', 'standing')) as { pid: number }
    expect(rest as object).toEqual({ group: pid, memoryScore: 800, privileges: '1' })
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.kill(pid, signal)
      expect(await ask('hostile', 'standing')).toMatchObject({ pid })
    }
  },
)

test('a request that never answers ends at its deadline, and its place is free again', async () => {
  const asked = Array.from({ length: 40 }, () => ask('hostile', 'never', { timeoutMs: 300 }))
  expect(new Set(await Promise.all(asked))).toEqual(new Set(['REQUEST_TIMEOUT', 'QUEUE_TIMEOUT']))
  expect(await ask('hostile', 'nothing')).toBe('nothing')
})

test('tricks with prototypes change only its own process', async () => {
  await ask('hostile', 'prototype', { timeoutMs: 3000 })
  expect('polluted' in {}).toBe(false)
  expect(await ask('kind', 7)).toBe(7)
  await ask('hostile', 'exit')
  await until(async () => (await ask('hostile', 'nothing', { timeoutMs: 3000 })) === 'nothing', 'the model answers again')
})

test('what cannot be loaded says why, by file and line', () => {
  const reasonOf = (name: string) => engine.model(name)?.versions[0]?.reason
  expect(reasonOf('throws')).toBe('model.ts:4:15: Error: no dictionary')
  expect(reasonOf('loads')).toBe('model.ts:2:11: Error: at once')
  expect(reasonOf('other')).toBe('model.ts: the default export must be model({ … }) of vestal/model')
  expect(reasonOf('syntax')).toMatch(/^model\.ts:\d:\d+: /)
  expect(reasonOf('schema')).toContain('"input" must be a schema')
})
