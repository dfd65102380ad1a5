import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { settingsPage } from '../src/config/page.ts'
import { ERROR_CATALOGUE } from '../src/core/errors.ts'
import { VERSION } from '../src/core/version.ts'

const ROOT = join(import.meta.dir, '..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
// One pattern each: with a slash inside braces Bun's glob finds nothing.
const pages = ['*.md', 'docs/**/*.md', 'models/**/*.md'].flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(ROOT)]).sort()

test('docs/settings.md is what the table of settings says; bun run settings writes it', () => {
  expect(read('docs/settings.md')).toBe(settingsPage())
})

test('docs/errors.md has every code with its status and its text, and no other', () => {
  const rows = [...read('docs/errors.md').matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \| (.+?) \|/gm)].map(
    ([, code, status, detail]) => [code, Number(status), detail],
  )
  const expected = Object.entries(ERROR_CATALOGUE).map(([code, { status, detail }]) => [code, status, detail])
  expect(rows).toEqual(expected)
})

test('CHANGELOG.md has the version of this package', () => {
  expect(read('CHANGELOG.md')).toContain(`## ${VERSION}`)
})

describe('a page', () => {
  test('is found in each of their folders', () => {
    for (const page of ['README.md', 'docs/errors.md', 'docs/operations/README.md', 'models/iris/README.md'])
      expect(pages).toContain(page)
  })

  for (const page of pages) {
    test(`${page} links to what there is`, () => {
      for (const [, link = ''] of read(page).matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
        if (/^https?:/.test(link)) continue
        expect([link, existsSync(join(ROOT, dirname(page), link))]).toEqual([link, true])
      }
    })
  }

  test('of decisions is in their index', () => {
    const index = read('docs/decisions/README.md')
    for (const page of new Bun.Glob('*.md').scanSync(join(ROOT, 'docs/decisions'))) {
      if (page !== 'README.md') expect(index).toContain(page)
    }
  })
})

describe('README.md', () => {
  const commands = [...read('README.md').matchAll(/```(?:sh|bash)\n([\s\S]*?)```/g)].map(([, block = '']) => block.trim())

  test('begins with the command that runs the server and the one that tests it, which .ci/run runs word for word', () => {
    const run = read('.ci/run')
    expect(commands[0]).toBe('npm install -g bun@1.4.5 && bun install && bun run start')
    expect(commands[1]).toBe('bun test')
    for (const command of commands.slice(0, 2)) expect(run).toContain(command)
  })

  test('names scripts that there are', () => {
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    for (const [, name = ''] of read('README.md').matchAll(/bun run (?:--silent )?([a-z]+)/g))
      expect(Object.keys(scripts)).toContain(name)
  })
})
