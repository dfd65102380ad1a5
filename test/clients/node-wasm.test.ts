import { expect, test } from 'bun:test'
import { join } from 'node:path'
import { hasTool } from '../support/tools.ts'
import { wasmCases } from '../support/wasm-cases.ts'

const node = Bun.which('node')

if (hasTool('Node', node)) {
  test('vestal/wasm checks signatures in Node', () => {
    const cases = wasmCases()
    const args = [
      join(import.meta.dir, 'node-wasm.mjs'),
      join(import.meta.dir, '../../src/wasm/signatures.js'),
      JSON.stringify(cases),
    ]
    const { stdout, stderr } = Bun.spawnSync([node, ...args])
    expect([stderr.toString(), JSON.parse(stdout.toString())]).toEqual(['', cases.map(({ isRight }) => isRight)])
  })
}
