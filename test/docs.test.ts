import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { settingsPage } from '../src/config/page.ts'
import { ERROR_CATALOGUE } from '../src/core/errors.ts'
import { VERSION } from '../src/core/version.ts'

const ROOT = join(import.meta.dir, '..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
// One pattern each: with a slash inside braces Bun's glob finds nothing.
const pages = ['*.md', 'docs/**/*.md', 'models/**/*.md', 'examples/**/*.md', 'deploy/**/*.md']
  .flatMap((pattern) => [...new Bun.Glob(pattern).scanSync(ROOT)])
  .sort()

test('docs/reference/settings.md is what the table of settings says; bun run settings writes it', () => {
  expect(read('docs/reference/settings.md')).toBe(settingsPage())
})

test('docs/reference/errors.md has every code with its status and its text, and no other', () => {
  const rows = [...read('docs/reference/errors.md').matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \| (.+?) \|/gm)].map(
    ([, code, status, detail]) => [code, Number(status), detail],
  )
  const expected = Object.entries(ERROR_CATALOGUE).map(([code, { status, detail }]) => [code, status, detail])
  expect(rows).toEqual(expected)
})

test('docs/reference/routes.md has every route of SECURITY.md, but for files of the page and what is not supported', () => {
  const routesOf = (text: string) => [...text.matchAll(/`((?:GET|POST|PATCH|DELETE) \/[^`\s]*)`/g)].map(([, route = '']) => route)
  const [, section = ''] = read('SECURITY.md').split('## Which permission each request requires')
  const [table = ''] = section.split('### Requests for a model')
  const supported = table.split('\n').filter((line) => !line.includes('(501)'))
  const expected = routesOf(supported.join('\n')).filter((route) => !route.includes('/docs/assets/'))
  expect(expected.length).toBeGreaterThan(40)
  expect([...new Set(routesOf(read('docs/reference/routes.md')))].sort()).toEqual(expected.sort())
})

test('CHANGELOG.md has the version of this package', () => {
  expect(read('CHANGELOG.md')).toContain(`## ${VERSION}`)
})

/** The anchors that GitHub makes of a page's headings, and those that are written as `<a id>`. */
function anchorsOf(page: string): ReadonlySet<string> {
  const text = read(page).replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '')
  const seen = new Map<string, number>()
  const headings = [...text.matchAll(/^#{1,6} +(.+?)(?: +#+)?$/gm)].map(([, heading = '']) => {
    const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').replaceAll(/[`*]/g, '')
    const anchor = words
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
    const count = seen.get(anchor) ?? 0
    seen.set(anchor, count + 1)
    return count === 0 ? anchor : `${anchor}-${count}`
  })
  return new Set([...headings, ...[...text.matchAll(/<a (?:id|name)="([^"]+)"/g)].map(([, id = '']) => id)])
}

/** What a page links to, in Markdown and in HTML, but for what is on other machines. */
function linksOf(page: string): readonly string[] {
  const text = read(page)
    .replaceAll(/^(```|~~~)[\s\S]*?^\1/gm, '')
    .replaceAll(/`[^`\n]*`/g, '')
  const links = [/\]\(([^)\s]+)\)/g, /(?:src|href|srcset)="([^"]+)"/g].flatMap((pattern) => [...text.matchAll(pattern)])
  return links.map(([, link = '']) => link).filter((link) => !/^[a-z]+:/.test(link))
}

describe('a page', () => {
  test('is found in each of their folders', () => {
    for (const page of [
      'README.md',
      'docs/README.md',
      'docs/reference/errors.md',
      'docs/guides/deploy.md',
      'models/iris/README.md',
    ])
      expect(pages).toContain(page)
  })

  for (const page of pages) {
    test(`${page} links to files and headings that exist`, () => {
      for (const link of linksOf(page)) {
        const [path = '', anchor] = link.split('#')
        const target = path === '' ? page : join(dirname(page), path)
        expect([link, existsSync(join(ROOT, target))]).toEqual([link, true])
        if (anchor !== undefined) expect([link, anchorsOf(target).has(anchor)]).toEqual([link, true])
      }
    })
  }

  test('of docs is reached from docs/README.md, over the index of its folder where it has one', () => {
    const reached = ['docs/README.md', ...['start', 'concepts', 'decisions'].map((folder) => `docs/${folder}/README.md`)]
    const linked = new Set(
      reached.flatMap((index) => linksOf(index).map((link) => join(dirname(index), link.split('#')[0] ?? ''))),
    )
    expect(pages.filter((page) => page.startsWith('docs/') && !reached.includes(page) && !linked.has(page))).toEqual([])
  })

  test('of decisions is in their index', () => {
    const index = read('docs/decisions/README.md')
    for (const page of new Bun.Glob('*.md').scanSync(join(ROOT, 'docs/decisions'))) {
      if (page !== 'README.md') expect(index).toContain(page)
    }
  })
})

describe('a decision', () => {
  const decisions = [...new Bun.Glob('docs/decisions/0*.md').scanSync(ROOT)].sort()
  const parts = [
    '^# \\d{3}: \\S.*\\n',
    '- Status: (?:accepted|superseded)\\b.*',
    '- Date: \\d{4}-\\d\\d-\\d\\d\\n',
    '## Context\\n\\n\\S[\\s\\S]*?\\n',
    '## Options\\n\\n\\S[\\s\\S]*?\\n',
    '## Decision\\n\\n\\S[\\s\\S]*?\\n',
    '## Consequences\\n\\n\\S',
  ]
  const form = new RegExp(parts.join('\\n'))

  test.each(decisions)('%s has title, status, date, context, options, decision and consequences', (page) => {
    expect(read(page)).toMatch(form)
    expect([...read(page).matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)).toEqual([
      'Context',
      'Options',
      'Decision',
      'Consequences',
    ])
    expect(page).toContain(read(page).slice(2, 5))
  })
})

describe('a picture', () => {
  const pictures = [...new Bun.Glob('docs/**/*.svg').scanSync(ROOT)].sort()

  for (const picture of pictures) {
    test(`${picture} says what it shows, is legible on light and dark pages, and loads nothing`, () => {
      const text = read(picture)
      expect(text).toMatch(/<title[^>]*>[^<]+<\/title>/)
      expect(text).toContain('prefers-color-scheme:dark')
      expect(text).not.toMatch(/<script|<image|<foreignObject|\b(?:href|src)=|url\((?!#)|@import/)
    })
  }

  test('is shown by a page', () => {
    const shown = new Set(pages.flatMap((page) => linksOf(page).map((link) => join(dirname(page), link))))
    expect(pictures.length).toBeGreaterThan(20)
    expect(pictures.filter((picture) => !shown.has(picture))).toEqual([])
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
