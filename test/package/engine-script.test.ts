import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { MODELS } from '../support/server.ts'

const LIBRARY = join(import.meta.dir, '../../src/index.ts')

/** Runs a program of the library until it ends, and gives what it printed. */
async function outputOf(text: string): Promise<readonly [code: number, output: string]> {
  const program = `import { createEngine } from ${JSON.stringify(LIBRARY)}\nconst options = { modelsDirectory: ${JSON.stringify(MODELS)}, instances: 1 }\n${text}`
  const child = Bun.spawn([process.execPath, '--eval', program], { stdout: 'pipe', stderr: 'pipe' })
  const [output, errors] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
  return [child.exitCode ?? -1, `${output}${errors}`]
}

test('a program with `await using` for its engine ends by itself', async () => {
  const text = `await using engine = await createEngine(options)\nconsole.log(engine.model('iris')?.versions[0]?.state)`
  expect(await outputOf(text)).toEqual([0, 'ready\n'])
})

test('a program that stops its engine ends by itself, also when it stops it twice', async () => {
  const text = `{\nawait using engine = await createEngine(options)\nawait engine.stop()\n}\nconsole.log('stopped')`
  expect(await outputOf(text)).toEqual([0, 'stopped\n'])
})
