import { afterAll, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TaskDescription } from '../../src/tasks/task.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bertTokenizer, sumModel, textInput, withTasks } from '../support/text-models.ts'
import { bearer } from '../support/tokens.ts'

const folder = mkdtempSync(join(tmpdir(), 'vestal-hostile-'))
await Bun.write(
  join(folder, 'models/mood/1/model.onnx'),
  sumModel((id) => [0, id]),
)
const good = bertTokenizer()
const changed = (change: object) => JSON.stringify({ ...JSON.parse(good), truncation: null, padding: null, ...change })
/** Each loads without an error, and crashes or hangs the process that encodes a text with it. */
const HOSTILE: Readonly<Record<string, { readonly file: string; readonly text: string; readonly says: RegExp }>> = {
  'a table that is read beyond its end': {
    file: changed({
      normalizer: {
        type: 'Precompiled',
        precompiled_charsmap: Buffer.from([4, 0, 0, 0, 255, 255, 255, 255, 1]).toString('base64'),
      },
    }),
    text: 'good',
    says: /crashed/,
  },
  'a pattern that is tried for ever': {
    file: changed({
      pre_tokenizer: { type: 'Split', pattern: { Regex: '(a+)+$|(?:(a|a)*)*b' }, behavior: 'Isolated', invert: false },
    }),
    text: `${'a'.repeat(60)}c`,
    says: /crashed|took more/,
  },
  'a normaliser that makes a text ten thousand million times as long': {
    file: changed({
      normalizer: {
        type: 'Sequence',
        normalizers: Array.from({ length: 10 }, () => ({ type: 'Replace', pattern: { String: 'a' }, content: 'a'.repeat(10) })),
      },
    }),
    text: 'a',
    says: /memory|took more|crashed/,
  },
}

const mood = async (path: string): Promise<TaskDescription> => ({
  task: 'classify',
  sources: {},
  text: await textInput(path),
  scores: { output: 'logits', labels: ['a', 'b'], activation: 'softmax' },
})
await Bun.write(join(folder, 'good.json'), good)
const inner = await bundledEngine(join(folder, 'models'))
const door = async (path: string) =>
  DOORS[0]?.(createServer(withTasks(inner, { mood: await mood(path) }))) ?? expect.unreachable()
const kind = await door(join(folder, 'good.json'))
afterAll(async () => {
  await inner.stop()
  rmSync(folder, { recursive: true })
})

const ask = async (of: Awaited<ReturnType<typeof door>>, text: string) =>
  answerOf(
    await of.fetch('/models/mood/predict/', { method: 'POST', headers: bearer('*'), body: JSON.stringify({ input: text }) }),
  )

for (const [index, [name, { file, text, says }]] of Object.entries(HOSTILE).entries()) {
  test(`${name} is an error for its caller, and nobody else notices`, async () => {
    const path = join(folder, `hostile-${index}.json`)
    await Bun.write(path, file)
    const hostile = await door(path)
    const harmed = ask(hostile, text)
    const others = await Promise.all(Array.from({ length: 8 }, () => ask(kind, 'a good film')))
    expect(others.map(({ status }) => status)).toEqual(others.map(() => 200))
    expect(await harmed).toMatchObject({ status: 400, body: { detail: expect.stringMatching(says) } })
    expect((await ask(kind, 'a good film')).status).toBe(200)
    const metrics = await (await hostile.fetch('/metrics', { headers: bearer('*') })).text()
    expect(metrics).toMatch(/vestal_tokenizer_processes_lost_total\{cause="[^"]+"\} 1/)
  }, 60_000)
}

test('a file that is no tokenizer makes its model unavailable', async () => {
  for (const [index, file] of ['{', '{"version":"1.0"}', '', '[]'].entries()) {
    const path = join(folder, `broken-${index}.json`)
    await Bun.write(path, file)
    expect(await ask(await door(path), 'good')).toMatchObject({
      status: 503,
      body: { detail: expect.stringContaining('tokenizer.json is not a tokenizer') },
    })
  }
})
