import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { createMediaPool } from '../../src/tasks/media/media-pool.ts'
import { MAIN, Workplace } from '../support/command-line.ts'
import { SMALL } from '../support/picture-models.ts'
import { MODELS } from '../support/server.ts'
import { sentenceFolder, writeFolder } from '../support/text-folders.ts'

const ROOT = join(import.meta.dir, '../..')
const folder = mkdtempSync(join(tmpdir(), 'vestal-executable-'))
/** What was built, moved away from where it was built, and the models. */
const installed = join(folder, 'installed')

beforeAll(() => {
  const built = join(folder, 'built')
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, join(ROOT, 'deploy/build.ts'), built])
  if (exitCode !== 0) throw new Error(stderr.toString())
  renameSync(built, installed)
  cpSync(MODELS, join(installed, 'models'), { recursive: true })
  symlinkSync(join(installed, 'vestal'), join(installed, 'link'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const program = join(installed, 'vestal')
const models = { VESTAL_MODELS: join(installed, 'models') }
const SECRET = { VESTAL_SECRET: 'a secret for tests alone, of 48 bytes and no less' }

/** Every operation of the server's own document, with paths that lead somewhere. */
async function operations(base: string): Promise<readonly (readonly [method: string, path: string, isOpen: boolean])[]> {
  const document = (await (await fetch(`${base}/docs/openapi.json`)).json()) as {
    readonly paths: Readonly<Record<string, Readonly<Record<string, { readonly security?: readonly object[] }>>>>
  }
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, { security }]) => {
      const real = path.replace(/\{(\w+)\}/g, (_, name: string) => (name === 'version' ? '1' : 'iris'))
      return [method.toUpperCase(), real, security === undefined || security.length === 0] as const
    }),
  )
}

describe('the executable of bun run build', () => {
  test('has the libraries of this platform alone beside it', () => {
    const [library, ...others] = readdirSync(join(installed, 'lib')).filter((name) =>
      /onnxruntime\.(?:so|.*dylib|dll)/.test(name),
    )
    expect([library, others]).toEqual([expect.any(String), []])
    expect(readdirSync(installed).sort()).toEqual(['lib', 'link', 'models', 'vestal'])
  })

  test('serves, from a link in another folder, what is in models/: signs a token, predicts, stops', async () => {
    using place = new Workplace([join(installed, 'link')])
    const { base, output, child, rest } = await place.start([], models)
    expect(output).toMatch(/^ {2}Mode +development/m)
    expect(output).toContain('native (Rust, @node-rs/jsonwebtoken)')
    const token = place.run(['token', '--subject', 'me', '--permission', 'model:*:predict'], models).stdout.trim()
    const answer = await fetch(`${base}/models/iris/predict/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: '{"input": [[5.1, 3.5, 1.4, 0.2]]}',
    })
    expect(await answer.json()).toEqual({ output: [expect.objectContaining({ label: 'setosa' })] })
    const rows = Array.from({ length: 10_000 }, () => [5.1, 3.5, 1.4, 0.2])
    const large = await fetch(`${base}/models/iris/predict/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ input: rows }),
    })
    expect([large.status, ((await large.json()) as { output: unknown[] }).output.length]).toEqual([200, 10_000])
    for (const [name, start] of [
      ['swagger-ui.css', '.swagger-ui'],
      ['swagger-ui-bundle.js', '/*!'],
      ['favicon-32x32.png', '\uFFFDPNG'],
      ['start.js', 'const url = '],
    ] as const) {
      const asset = await fetch(`${base}/docs/assets/${name}`)
      expect([name, asset.status, (await asset.text()).startsWith(start)]).toEqual([name, 200, true])
    }
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
    // It would be read all the same, on the thread that answers.
    expect(await rest).not.toContain('a thread that reads large bodies ended')
    // Neither telemetry nor anything else is left in the home folder, which is the working directory too.
    expect(readdirSync(place.folder)).toEqual(['data'])
  })

  test('rejects callers without a token on every route that asks for a permission, as the source does', async () => {
    using place = new Workplace([program])
    const { base, child } = await place.start([], { ...models, ...SECRET, NODE_ENV: 'production' })
    const all = await operations(base)
    expect(all.length).toBeGreaterThan(50)
    const guarded = all.filter(([, , isOpen]) => !isOpen)
    expect(guarded.length).toBeGreaterThan(40)
    for (const [method, path] of guarded) {
      const { status } = await fetch(base + path, { method, redirect: 'manual', headers: { connection: 'close' } })
      expect([method, path, [401, 426].includes(status)]).toEqual([method, path, true])
    }
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('checks signatures with every signature backend', async () => {
    for (const backend of ['native', 'boring', 'wasm']) {
      using place = new Workplace([program])
      const { base, child } = await place.start(['--signature-backend', backend, '--load-model', 'none'], {
        ...models,
        ...SECRET,
      })
      const token = place.run(['token', '--subject', 'me', '--permission', 'my-permission-name'], SECRET).stdout.trim()
      const ask = (given: string) => fetch(`${base}/private/info/`, { headers: { authorization: `Bearer ${given}` } })
      expect([backend, (await ask(token)).status]).toEqual([backend, 200])
      expect([backend, (await ask(`${token.slice(0, -4)}AAAA`)).status]).toEqual([backend, 401])
      child.kill('SIGTERM')
      await child.exited
    }
  })

  test('encodes texts, with the library in it', async () => {
    await writeFolder(join(folder, 'texts/vectors'), sentenceFolder())
    const texts = { VESTAL_MODELS: join(folder, 'texts') }
    using place = new Workplace([program])
    const { base } = await place.start([], texts)
    const token = place.run(['token', '--subject', 'me', '--permission', 'model:*:predict'], texts).stdout.trim()
    const answer = await fetch(`${base}/models/vectors/predict/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ input: 'a good film' }),
    })
    expect(await answer.json()).toEqual({ output: expect.any(Array) })
  })

  test('runs a model.ts with an npm package beside it', async () => {
    using place = new Workplace([program])
    const own = join(place.folder, 'own')
    const files: Readonly<Record<string, string>> = {
      'twice/model.ts':
        "import { model, t } from 'vestal/model'\nimport { twice } from 'twice-package'\nexport default model({ input: t.Number(), output: t.Number(), predict: (value) => twice(value) })\n",
      'twice/node_modules/twice-package/package.json': '{"name":"twice-package","version":"1.0.0","main":"main.js"}',
      'twice/node_modules/twice-package/main.js': 'exports.twice = (value) => value * 2\n',
    }
    for (const [path, text] of Object.entries(files)) await Bun.write(join(own, path), text)
    const { base, child } = await place.start([], { VESTAL_MODELS: own, ...SECRET })
    const token = place.run(['token', '--subject', 'me', '--permission', 'model:*:predict'], SECRET).stdout.trim()
    const answer = await fetch(`${base}/models/twice/predict/`, {
      method: 'POST',
      headers: { authorization: `Bearer ${token}` },
      body: '{"input": 21}',
    })
    expect(await answer.json()).toEqual({ output: 42 })
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('runs a model.ts with a picture, and one with the tokenizer of its folder, over HTTP', async () => {
    using place = new Workplace([program])
    const folder = join(place.folder, 'served')
    await writeFolder(join(folder, 'words'), sentenceFolder())
    await Bun.write(
      join(folder, 'words/model.ts'),
      `import { model, t, text } from 'vestal/model'
export default model({
  input: text(), output: t.Object({ ids: t.Array(t.Integer()), text: t.String() }),
  async predict(line, { tokenizer }) {
    const ids = [...(await tokenizer.encode(line)).input_ids.row(0)].map(Number)
    return { ids, text: await tokenizer.decode(ids) }
  },
})`,
    )
    await Bun.write(
      join(folder, 'red/model.ts'),
      `import { image, model, t } from 'vestal/model'
export default model({
  input: image(), output: t.Array(t.Integer()),
  predict: (picture) => [picture.width, picture.height, ...picture.resize({ width: 1, height: 1 }).data],
})`,
    )
    const { base, child } = await place.start(['--models', folder], SECRET)
    const token = place.run(['token', '--subject', 'me', '--permission', '*'], SECRET).stdout.trim()
    const ask = async (name: string, type: string, body: string | Uint8Array<ArrayBuffer>) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': type }
      return (await fetch(`${base}/models/${name}/predict/`, { method: 'POST', headers, body })).json()
    }
    const red = { create: { width: 8, height: 6, channels: 3, background: { r: 200, g: 4, b: 5 } } } as const
    const png = new Uint8Array(await sharp(red).png().toBuffer())
    expect(await ask('red', 'image/png', png)).toEqual({ output: [8, 6, 200, 4, 5] })
    expect(await ask('words', 'application/json', '{"input":"good film"}')).toEqual({
      output: { ids: [2, 5, 7, 3], text: 'good film' },
    })
    child.kill('SIGTERM')
    expect(await child.exited).toBe(0)
  })

  test('decodes pictures, with the libraries beside it', async () => {
    const pool = createMediaPool({ command: [program, 'media'] })
    try {
      const picture = await sharp({ create: { width: 9, height: 7, channels: 3, background: 'red' } })
        .avif()
        .toBuffer()
      const answer = await pool.run({ kind: 'picture', picture: new Uint8Array(picture), input: SMALL })
      expect(answer).toMatchObject({
        kind: 'picture',
        prepared: { tensor: { shape: [1, 3, 4, 4] }, placement: { width: 9, height: 7 } },
      })
    } finally {
      pool.close()
    }
  })

  test('does what every other verb does', () => {
    using place = new Workplace([program])
    mkdirSync(join(place.folder, 'data'), { mode: 0o700 })
    expect(place.run(['models', 'list'], models).stdout.match(/ ready {2}shared: /g)).toHaveLength(4)
    expect(place.run(['keys', 'generate', '--algorithm', 'ES256']).exitCode).toBe(0)
    expect(place.run(['keys', 'list']).stdout).toContain('ES256')
    expect(place.run(['db', 'migrate']).stdout).toContain('(now)')
    expect(place.run(['db', 'status']).stdout).not.toContain('missing')
    const made = place.run(['users', 'add', 'ada', '--json'], {}, 'correct horse battery staple\n')
    expect([made.exitCode, made.stderr]).toEqual([0, ''])
    expect(place.run(['users', 'list']).stdout).toContain('ada')
    expect(place.run(['audit']).stdout).toContain('account-created')
    expect(place.run(['api-keys', 'list']).exitCode).toBe(0)
    expect(place.run(['settings']).stdout).toContain('# Settings')
    expect(place.run(['doctor', '--port', '0'], models).stdout).toEndWith('Nothing to do.\n')
    expect(place.run(['--version']).stdout.trim()).toMatch(/^\d+\.\d+\.\d+/)
    expect(place.run(['nonsense']).exitCode).toBe(2)
  })

  test('runs no code that a bunfig.toml of its working directory names', async () => {
    using place = new Workplace([program])
    await Bun.write(join(place.folder, 'bunfig.toml'), 'preload = ["./evil.ts"]\n')
    await Bun.write(join(place.folder, 'evil.ts'), "console.log('evil ran')\n")
    expect(place.run(['--version']).stdout).not.toContain('evil')
    // Bun itself does: the file is one that would be read.
    expect(Bun.spawnSync([process.execPath, MAIN, '--version'], { cwd: place.folder }).stdout.toString()).toContain('evil ran')
  })
})
