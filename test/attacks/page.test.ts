import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { hasShared, readSharedText } from '../support/shared.ts'
import { algorithmAttacks } from './algorithms.ts'
import { claimAttacks } from './claims.ts'
import { encodingAttacks } from './encodings.ts'
import { headerAttacks } from './headers.ts'
import { signatureAttacks } from './signatures.ts'

const DOCS = join(import.meta.dir, '../../docs/reference/evidence')
const page = readFileSync(join(DOCS, 'attacks.md'), 'utf8')

interface Row {
  readonly row: string
  readonly files: readonly string[]
}

const rows: readonly Row[] = [...page.matchAll(/^\| ([ASEHCRX]\d+) \|.*\| (.+) \|$/gm)].map(([, row = '', cell = '']) => ({
  row,
  files: [...cell.matchAll(/\]\((.+?)\)/g)].map(([, file = '']) => join(DOCS, file)),
}))

const lists = [algorithmAttacks(), signatureAttacks(), encodingAttacks(), headerAttacks(), claimAttacks()]
const listed = new Set(lists.flat().map(({ row }) => row))

/** Rows that a file of tests has: in the titles of its tests, or in the lists that it runs through. */
function rowsIn(file: string): ReadonlySet<string> {
  if (file.endsWith('attacks/tokens.test.ts')) return listed
  const text = readFileSync(file, 'utf8')
  const titles = [...text.matchAll(/\b(?:test|describe)\(\s*(['`])(.+?)\1,/g)].map(([, , title = '']) => title)
  // A list of cases has its rows as texts of their own.
  const inLists = [...text.matchAll(/: \['([ASEHCRX]\d+)', /g)].map(([, row = '']) => row)
  return new Set([...titles.flatMap((title) => title.match(/\b[ASEHCRX]\d+\b/g) ?? []), ...inLists])
}

test('every row of the page is there once and names a file that tries it', () => {
  const names = rows.map(({ row }) => row)
  expect(new Set(names).size).toBe(names.length)
  for (const { row, files } of rows) {
    expect([row, files.length > 0]).toEqual([row, true])
    for (const file of files) {
      // What is no row of a suite of attacks is named by the page alone.
      if (/attacks\/\w+\.test\.ts$/.test(file)) expect([row, file, rowsIn(file).has(row)]).toEqual([row, file, true])
      else expect([row, readFileSync(file, 'utf8').length > 0]).toEqual([row, true])
    }
  }
})

test('every row that is tried is on the page, with its file', () => {
  for (const name of ['tokens', 'keys', 'http', 'cache', 'stores']) {
    const file = join(import.meta.dir, `${name}.test.ts`)
    for (const row of rowsIn(file)) {
      const files = rows.find((candidate) => candidate.row === row)?.files ?? []
      expect([row, files.includes(file)]).toEqual([row, true])
    }
  }
})

test.if(hasShared('spec/jwt.md'))('every row of the list that this was made from is on the page', () => {
  const asked = [...readSharedText('spec/jwt.md').matchAll(/^\| ([ASEHCRX]\d+) \|/gm)].map(([, row = '']) => row)
  expect(asked.length).toBeGreaterThan(70)
  const names = rows.map(({ row }) => row)
  expect(asked.filter((row) => !names.includes(row))).toEqual([])
})
