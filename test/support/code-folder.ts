import { mkdtempSync, rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createEngine } from '../../src/index.ts'

/** A folder of models that only its owner may write, with these files: a `model.ts` is not run from a folder that everybody may change. */
export async function codeFolder(files: Readonly<Record<string, string | Uint8Array>>) {
  // Beside a package.json of the test's own user: the system's temporary folder may be written by everybody.
  const root = mkdtempSync(join(tmpdir(), 'vestal-code-'))
  const models = join(root, 'models')
  const write = async (path: string, content: string | Uint8Array) => {
    await mkdir(dirname(join(models, path)), { recursive: true })
    await Bun.write(join(models, path), content)
  }
  for (const [path, content] of Object.entries(files)) await write(path, content)
  return { models, write, remove: () => rmSync(root, { recursive: true, force: true }) }
}

/** An engine that serves such a folder with one worker of one thread, and what it warned of. */
export async function startCodeFolder(files: Readonly<Record<string, string | Uint8Array>>) {
  const folder = await codeFolder(files)
  const warnings: string[] = []
  const engine = await createEngine({
    modelsDirectory: folder.models,
    threads: 1,
    instances: 1,
    warn: (line) => void warnings.push(line),
  })
  const stop = async () => {
    await engine.stop()
    folder.remove()
  }
  return { engine, warnings, stop }
}

/** The text of a `model.ts` whose definition has these lines. */
export function modelText(...lines: readonly string[]): string {
  return `import { model, Refusal, t, tensor, text } from 'vestal/model'\nexport default model({\n  ${lines.join('\n  ')}\n})\nvoid [Refusal, t, tensor, text]\n`
}
