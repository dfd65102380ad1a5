import { expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { libraryPage, withDeclarations } from '../../deploy/library-page.ts'

const ROOT = join(import.meta.dir, '../..')
const page = withDeclarations(libraryPage)
/** Each section with its name, and its example where it has one. */
const sections = [...page.matchAll(/^### (?<name>\w+)\n(?<text>[\s\S]*?)(?=^##|(?![\s\S]))/gm)].map(({ groups }) => ({
  name: groups?.name ?? '',
  text: groups?.text ?? '',
}))
const exampleOf = (text: string) => /```ts\n([\s\S]*?)```\n[\s\S]*?^Signature:/m.exec(text)?.[1]

test('docs/reference/library.md is what the declarations say; bun run docs:library writes it', () => {
  expect(readFileSync(join(ROOT, 'docs/reference/library.md'), 'utf8')).toBe(page)
})

test('every name of the library has a sentence, and every function an example', () => {
  expect(sections.map(({ name }) => name)).toContain('createEngine')
  expect(sections.filter(({ text }) => !/^\n[A-Z`](?!``)/.test(text)).map(({ name }) => name)).toEqual([])
  const functions = sections.filter(({ text }) => text.includes('\nSignature:\n'))
  expect(functions.length).toBeGreaterThan(10)
  expect(functions.filter(({ text }) => exampleOf(text) === undefined).map(({ name }) => name)).toEqual([])
})

test('the examples compile', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-examples-'))
  const examples = sections.flatMap(({ name, text }) => {
    const example = exampleOf(text)
    return example === undefined ? [] : [{ name, example }]
  })
  const functions = /^export \{ (\w+(?:, \w+)*) \} from/gm
  const names = [...readFileSync(join(ROOT, 'src/index.ts'), 'utf8').matchAll(functions)].map(([, list]) => list)
  const start = [
    `import { Elysia } from 'elysia'`,
    `import { ${names.join(', ')}, type JwkSet } from 'vestal'`,
    `import { loadSignatureChecker } from 'vestal/wasm'`,
    'declare const secret: string, token: string, publicKeyPem: string, jwk: Record<string, unknown>, jwkSet: JwkSet',
  ].join('\n')
  for (const { name, example } of examples) writeFileSync(join(folder, `${name}.ts`), `${start}\n{\n${example}}\n`)
  const options = {
    extends: join(ROOT, 'tsconfig.json'),
    compilerOptions: {
      noUnusedLocals: false,
      typeRoots: [join(ROOT, 'node_modules')],
      paths: {
        vestal: [join(ROOT, 'src/index.ts')],
        'vestal/wasm': [join(ROOT, 'src/wasm/signatures.js')],
        elysia: [join(ROOT, 'node_modules/elysia')],
      },
    },
    include: ['*.ts'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(options))
  const { stdout } = Bun.spawnSync([process.execPath, join(ROOT, 'node_modules/.bin/tsc'), '--project', folder])
  rmSync(folder, { recursive: true, force: true })
  expect(stdout.toString()).toBe('')
  expect(examples.map(({ name }) => name)).toContain('authentication')
})
