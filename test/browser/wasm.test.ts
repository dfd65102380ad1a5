import { afterAll, expect, test } from 'bun:test'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { chromiumFlags, chromiumPath } from '../support/chromium.ts'
import { hasTool } from '../support/tools.ts'
import { wasmCases } from '../support/wasm-cases.ts'

const FOLDER = join(import.meta.dir, '../../src/wasm')
const path = chromiumPath()

if (hasTool('Chromium', path)) {
  const server = Bun.serve({
    port: 0,
    hostname: '127.0.0.1',
    routes: {
      '/': () => new Response('<!doctype html><title>page</title>', { headers: { 'content-type': 'text/html' } }),
      '/signatures.js': new Response(Bun.file(join(FOLDER, 'signatures.js'))),
      '/module-bytes.js': new Response(Bun.file(join(FOLDER, 'module-bytes.js'))),
    },
  })
  const browser = await chromium.launch({ executablePath: path, args: chromiumFlags })
  afterAll(async () => {
    await browser.close()
    await server.stop(true)
  })

  test('vestal/wasm checks signatures in a page and in its worker', async () => {
    const cases = wasmCases()
    const page = await browser.newPage()
    await page.goto(`${server.url}`)
    // In the browser, and not here: a text, so that nobody compiles it for this side.
    const check = `async (cases) => {
      const { loadSignatureChecker } = await import('${server.url}signatures.js')
      const checker = await loadSignatureChecker()
      return cases.map(({ algorithm, secret, jwk, token }) =>
        checker.verify(checker.importKey(algorithm, secret === undefined ? jwk : new TextEncoder().encode(secret)), token))
    }`
    const inPage = await page.evaluate(`(${check})(${JSON.stringify(cases)})`)
    const inWorker = await page.evaluate(`new Promise((resolve, reject) => {
      const source = 'onmessage = async ({ data }) => postMessage(await (' + ${JSON.stringify(check)} + ')(data))'
      const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })), { type: 'module' })
      worker.onmessage = ({ data }) => resolve(data)
      worker.onerror = ({ message }) => reject(new Error(message))
      worker.postMessage(${JSON.stringify(cases)})
    })`)
    const expected = cases.map(({ isRight }) => isRight)
    expect([inPage, inWorker]).toEqual([expected, expected])
  })
}
