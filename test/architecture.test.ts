import { describe, expect, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

const ROOT = join(import.meta.dir, '..')
const TEXT = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8')

/** The text of a section, up to the next one. */
function section(title: string): string {
  const start = TEXT.indexOf(`## ${title}\n`)
  expect(start).toBeGreaterThan(-1)
  const end = TEXT.indexOf('\n## ', start)
  return TEXT.slice(start, end === -1 ? undefined : end)
}

/** The file that each numbered step begins with, in order. */
function steps(text: string): readonly (readonly [number: number, file: string])[] {
  return [...text.matchAll(/^(\d+)\. `([\w/-]+\.ts)`/gm)].map(([, number, file = '']) => [Number(number), file])
}

describe.each([
  ['The way of a prediction', 15],
  ['The way of a token', 8],
] as const)('%s', (title, most) => {
  const text = section(title)

  test(`passes at most ${most} files, which exist`, () => {
    const found = steps(text)
    expect(found.map(([number]) => number)).toEqual(found.map((_, index) => index + 1))
    expect(found.length).toBe([...text.matchAll(/^\d+\. /gm)].length)
    expect(found.length).toBeGreaterThan(0)
    expect(found.length).toBeLessThanOrEqual(most)
    expect(found.filter(([, file]) => !existsSync(join(ROOT, 'src', file)))).toEqual([])
  })

  test('is drawn with the same files in the same order', () => {
    const drawn = [...text.matchAll(/\[(\d+) ([\w/-]+)\]/g)].map(([, number, name = '']) => [Number(number), name] as const)
    const files = steps(text)
    expect(drawn.map(([number]) => number)).toEqual(files.map(([number]) => number))
    expect(drawn.filter(([number, name]) => files[number - 1]?.[1].endsWith(`${name}.ts`) !== true)).toEqual([])
  })

  test('names no file that is not there', () => {
    const named = [...text.matchAll(/`([\w/-]+\.ts)`/g)].map(([, file = '']) => file)
    const sources = [...new Bun.Glob('**/*.ts').scanSync(join(ROOT, 'src'))]
    expect(named.filter((file) => !sources.some((source) => source === file || source.endsWith(`/${file}`)))).toEqual([])
  })
})
