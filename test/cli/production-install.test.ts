import { describe, expect, test } from 'bun:test'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Workplace } from '../support/command-line.ts'

const ROOT = join(import.meta.dir, '../..')

/** A clone as `bun install --production` leaves it: without the files of the documentation's page. */
function productionClone() {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-production-'))
  for (const name of ['src', 'package.json', 'tsconfig.json']) cpSync(join(ROOT, name), join(folder, name), { recursive: true })
  mkdirSync(join(folder, 'node_modules'))
  for (const name of readdirSync(join(ROOT, 'node_modules')))
    if (name !== 'swagger-ui-dist') symlinkSync(join(ROOT, 'node_modules', name), join(folder, 'node_modules', name))
  return {
    program: [process.execPath, '--no-install', join(folder, 'src/cli/main.ts')],
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

describe('a clone without the packages for development', () => {
  test('says at the start what is missing and what to do', () => {
    using clone = productionClone()
    using place = new Workplace(clone.program)
    const { exitCode, stderr } = place.run(['start', '--port', '0'])
    expect(exitCode).toBe(1)
    expect(stderr).toContain('needs swagger-ui-dist, which `bun install --production` leaves out')
    expect(stderr).not.toContain(' at ')
  })

  test('starts without the page', async () => {
    using clone = productionClone()
    using place = new Workplace(clone.program)
    const { base, child } = await place.start(['--docs-page', 'off'])
    expect((await fetch(`${base}/public/info/`)).status).toBe(200)
    expect((await fetch(`${base}/docs/`)).status).toBe(404)
    child.kill()
    await child.exited
  })
})
