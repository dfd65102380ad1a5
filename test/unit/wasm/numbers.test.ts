import { expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

const FOLDER = join(import.meta.dir, '../../../src/wasm')

test('the module that reads numbers is the one whose checksum is recorded, imports nothing and names no machine', () => {
  const module = readFileSync(join(FOLDER, 'numbers.wasm'))
  const sum = new Bun.CryptoHasher('sha256').update(module).digest('hex')
  expect(readFileSync(join(FOLDER, 'numbers.wasm.sha256'), 'utf8')).toBe(`${sum}  numbers.wasm\n`)
  expect(WebAssembly.Module.imports(new WebAssembly.Module(module))).toEqual([])
  expect(module.toString('latin1')).not.toMatch(/\/(?:root|home|tmp|work|Users)\/|registry\/src/)
  expect(module.length).toBeLessThan(100_000)
})
