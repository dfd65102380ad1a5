import { expect, test } from 'bun:test'
import { cpSync, mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { Workplace } from '../support/command-line.ts'
import { freePort } from '../support/free-port.ts'
import { identityModel } from '../support/tiny-models.ts'
import { until } from '../support/until.ts'

const ROOT = join(import.meta.dir, '../..')
const START_MS = 50_000

test(
  '`bun run dev` serves a model that comes, and code that changes',
  async () => {
    using place = new Workplace()
    for (const name of ['src', 'package.json']) cpSync(join(ROOT, name), join(place.folder, name), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(place.folder, 'node_modules'))
    mkdirSync(join(place.folder, 'own'))
    const port = String(await freePort())
    const environment = place.environment({ VESTAL_MODELS: 'own', VESTAL_PORT: port })
    const child = Bun.spawn([process.execPath, 'run', 'dev'], {
      cwd: place.folder,
      env: environment,
      stdout: 'ignore',
      stderr: 'ignore',
      detached: true,
    })
    try {
      const base = `http://127.0.0.1:${port}`
      const versionNow = async () => {
        const answer = await fetch(base).catch(() => undefined)
        return ((await answer?.json()) as { version: string } | undefined)?.version
      }
      await until(async () => (await versionNow()) !== undefined, 'it serves', START_MS)
      const args = ['token', '--subject', 'me', '--permission', 'model:*:read', '--port', port]
      const headers = { authorization: `Bearer ${place.run(args).stdout.trim()}` }
      const statusOfModel = async () => (await fetch(`${base}/models/flower/`, { headers })).status
      expect(await statusOfModel()).toBe(404)
      await Bun.write(join(place.folder, 'own/flower/1/model.onnx'), identityModel('FP32'))
      await until(async () => (await statusOfModel()) === 200, 'the model is served', START_MS)
      await Bun.write(join(place.folder, 'src/core/version.ts'), "export const VERSION = 'changed'\n")
      await until(async () => (await versionNow()) === 'changed', 'the code is run', START_MS)
      await until(async () => (await statusOfModel().catch(() => 0)) === 200, 'the model is served again', START_MS)
    } finally {
      process.kill(-child.pid, 'SIGTERM')
      await child.exited
    }
  },
  3 * START_MS,
)
