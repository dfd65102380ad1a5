import { afterAll, describe, expect, test } from 'bun:test'
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { MAIN } from '../support/command-line.ts'
import { freePort } from '../support/free-port.ts'
import { type Block, blocksOf, isPrinted } from '../support/page.ts'
import { Terminals } from '../support/terminal.ts'
import { testWith } from '../support/tools.ts'

const ROOT = join(import.meta.dir, '../..')
const PAGE_MS = 180_000
const PORT = '8000'
/** README's first command, of which `.ci/run` does the installing. */
const INSTALLS = 'npm install -g bun@1.4.5 && bun install && '

const folders: string[] = []
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'vestal-docs-'))
  folders.push(folder)
  return folder
}

interface Page {
  readonly name: string
  readonly blocks: readonly Block[]
}

const pages: readonly Page[] = ['*.md', 'docs/*/*.md']
  .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(ROOT)].sort())
  .map((name) => ({ name, blocks: blocksOf(readFileSync(join(ROOT, name), 'utf8')) }))

const python = process.env.VESTAL_TEST_PYTHON
const isRun = ({ language, mark }: Block) => language === 'sh' && mark?.kind !== 'not-run'

/** A folder with the packages that a page has its reader add, `vestal` as the source. */
function withPackages(folder: string): string {
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, 'vestal'), { recursive: true })
  for (const name of readdirSync(join(ROOT, 'node_modules'))) symlinkSync(join(ROOT, 'node_modules', name), join(modules, name))
  symlinkSync(join(ROOT, 'src'), join(modules, 'vestal/src'))
  writeFileSync(
    join(modules, 'vestal/package.json'),
    '{"name": "vestal", "exports": {".": "./src/index.ts", "./model": "./src/model/model.ts", "./testing": "./src/testing/testing.ts"}}',
  )
  return folder
}

/** Where the reader of a page is: in an empty folder with `vestal` installed, or in a clone, where `bun run` has the verbs. The clone is `~/vestal`. */
function readersFolder({ blocks }: Page): { readonly folder: string; readonly home: string; readonly path: string } {
  const [folder, home, programs] = [newFolder(), newFolder(), newFolder()]
  symlinkSync(ROOT, join(home, 'vestal'))
  writeFileSync(join(programs, 'vestal'), `#!/bin/sh\nexec '${process.execPath}' '${MAIN}' "$@"\n`)
  chmodSync(join(programs, 'vestal'), 0o755)
  if (blocks.some((block) => isRun(block) && /\bbun run\b/.test(block.text))) {
    for (const name of ['package.json', 'src', 'models', 'examples', 'deploy', 'docs', 'node_modules'])
      symlinkSync(join(ROOT, name), join(folder, name))
  } else withPackages(folder)
  const path = [programs, ...(python === undefined ? [] : [dirname(python)]), dirname(process.execPath), process.env.PATH]
  return { folder, home, path: path.join(':') }
}

/** The ports that a page names, each by one that is free. */
async function portsOf({ blocks }: Page): Promise<ReadonlyMap<string, number>> {
  const named = blocks.flatMap(({ text }) => [...text.matchAll(/(?:127\.0\.0\.1|localhost):(\d+)/g)].map(([, port = '']) => port))
  const ports = new Map<string, number>()
  for (const port of new Set([PORT, ...named])) {
    let free = await freePort()
    // The system may give one again that was given back.
    while ([...ports.values()].includes(free)) free = await freePort()
    ports.set(port, free)
  }
  return ports
}

async function follow(page: Page): Promise<void> {
  const [{ folder, home, path }, ports] = [readersFolder(page), await portsOf(page)]
  const ported = (text: string) => text.replaceAll(/\b\d{4,5}\b/g, (number) => String(ports.get(number) ?? number))
  const environment = {
    PATH: path,
    HOME: home,
    LANG: 'C.UTF-8',
    VESTAL_PORT: String(ports.get(PORT)),
    // Of examples/identity-provider.
    ISSUER_PORT: String(ports.get('9000') ?? ''),
    VESTAL_LOG_FORMAT: 'pretty',
  }
  await using terminals = new Terminals(folder, environment)
  let printed = ''
  for (const block of page.blocks) {
    const { mark, line } = block
    const text = ported(block.text)
    try {
      if (mark?.kind === 'file') {
        mkdirSync(dirname(join(folder, mark.name)), { recursive: true })
        writeFileSync(join(folder, mark.name), text)
      } else if (mark?.kind === 'prints') {
        if (!isPrinted(text, printed)) throw new Error(`the block before it prints\n${printed}`)
      } else if (mark?.kind === 'keeps-running') {
        await terminals.keepRunning(text.replace(INSTALLS, ''), ports.get(mark.port) ?? 0)
      } else if (isRun(block)) printed = await terminals.run(text, mark?.kind === 'typed' ? mark.line : '')
    } catch (error) {
      throw new Error(`${page.name}:${line}: ${withoutTokens(String(error))}`)
    }
  }
}

/** What is printed of a fault may be kept for long. */
function withoutTokens(text: string): string {
  return text.replaceAll(/eyJ[\w-]+\.[\w-]+\.[\w-]+|vst_\w+/g, '(a token)')
}

describe('the reader of a page', () => {
  test('rejects a comment that says nothing known, and output that is not what the page shows', () => {
    expect(() => blocksOf('<!-- not rum: it needs root -->\n```sh\nls\n```\n')).toThrow('"not rum: it needs root" is none of')
    expect([isPrinted('{"a": …}', '{"a": 1}\n'), isPrinted('{"a": …}', '{"b": 1}'), isPrinted('a.c', 'abc')]).toEqual([
      true,
      false,
      false,
    ])
  })

  test('stops at a command that fails, also within a line, and keeps variables from block to block', async () => {
    await using terminals = new Terminals(newFolder(), { PATH: process.env.PATH ?? '' })
    expect(await terminals.run('NAME=ada\n')).toBe('')
    expect(await terminals.run('read -r LINE; echo "$NAME $LINE"\n', 'typed')).toBe('ada typed\n')
    await expect(terminals.run('false | cat\necho after\n')).rejects.toThrow('exit code 1')
  })

  test('reports a program that ends where it should keep running', async () => {
    await using terminals = new Terminals(newFolder(), { PATH: process.env.PATH ?? '' })
    await expect(terminals.keepRunning('echo over; exit 3', await freePort())).rejects.toThrow('exit code 3\nover')
  })
})

describe('a page of docs', () => {
  test('is found in each of their folders', () => {
    const names = pages.map(({ name }) => name)
    expect(names).toContain('README.md')
    expect(names).toContain('docs/start/first-model.md')
    expect(names).toContain('docs/reference/audit-log.md')
    expect(pages.flatMap(({ blocks }) => blocks).filter(isRun).length).toBeGreaterThan(20)
  })

  test('says of each command that is not run why', () => {
    for (const { name, blocks } of pages)
      for (const { mark, line } of blocks) {
        if (mark?.kind === 'not-run') expect([name, line, mark.reason.split(' ').length > 2]).toEqual([name, line, true])
      }
  })

  for (const page of pages.filter(({ blocks }) => blocks.some(isRun))) {
    const needsPython = page.blocks.some((block) => isRun(block) && /(?:^\s*|\$\()python\b/m.test(block.text))
    const testPage = needsPython
      ? testWith('a Python with what test/clients/requirements.txt lists (VESTAL_TEST_PYTHON)', python)
      : test
    testPage(`${page.name} does what it says`, () => follow(page), PAGE_MS)
  }
})

test(
  'TypeScript in docs compiles at strict',
  async () => {
    const folder = withPackages(newFolder())
    let count = 0
    // The library's reference is made of declarations; test/package/library-page.test.ts compiles its examples.
    for (const { name, blocks } of pages.filter((page) => page.name !== 'docs/reference/library.md')) {
      for (const { language, text, mark, line } of blocks) {
        if (language !== 'ts' || mark?.kind === 'not-run') continue
        const place = mark?.kind === 'file' ? mark.name : `line-${line}.ts`
        await Bun.write(join(folder, name.replace(/\.md$/, ''), place), `${text}\nexport {}\n`)
        count += 1
      }
    }
    const options = {
      extends: join(ROOT, 'tsconfig.json'),
      compilerOptions: {
        typeRoots: [join(ROOT, 'node_modules')],
        noUnusedLocals: false,
        paths: { vestal: [join(ROOT, 'src/index.ts')] },
      },
      include: ['**/*.ts'],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(options))
    const { stdout, exitCode } = Bun.spawnSync([join(ROOT, 'node_modules/.bin/tsc'), '-p', folder], { cwd: folder })
    expect([exitCode, stdout.toString()]).toEqual([0, ''])
    expect(count).toBeGreaterThan(0)
  },
  PAGE_MS,
)
