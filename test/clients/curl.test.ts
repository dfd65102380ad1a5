import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { bytesOf } from '../support/infer-body.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const curl = Bun.which('curl')

if (hasTool('curl', curl)) {
  describe('curl', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vestal-curl-'))
    const engine = await bundledEngine()
    const app = createServer(engine)
    app.listen({ port: 0, hostname: '127.0.0.1' })
    afterAll(async () => {
      await engine.stop()
      await app.stop(true)
      rmSync(folder, { recursive: true })
    })
    const authorization = `Authorization: ${bearer('*').authorization}`
    const run = async (path: string, ...args: readonly string[]) => {
      const url = `http://127.0.0.1:${app.server?.port}${path}`
      const child = Bun.spawn([curl, '-sS', '-H', authorization, ...args, url], { stdout: 'pipe', stderr: 'inherit' })
      return new Response(child.stdout).bytes()
    }
    const json = async (path: string, ...args: readonly string[]) => JSON.parse(Buffer.from(await run(path, ...args)).toString())
    const X = '{"inputs":[{"name":"X","datatype":"FP32","shape":[1,4],"data":[5.1,3.5,1.4,0.2]}],"outputs":[{"name":"label"}]}'
    const label = { outputs: [{ name: 'label', data: [0] }] }

    test('gets JSON with what it sends by itself, and compressed where it asks', async () => {
      expect(await json('/v2/models/iris/infer', '-d', X)).toMatchObject(label)
      expect(await json('/v2/models/iris/infer', '--compressed', '-d', X)).toMatchObject(label)
    })

    test('sends a compressed body, and one in chunks', async () => {
      const [packed, plain] = [join(folder, 'x.gz'), join(folder, 'x.json')]
      await Bun.write(packed, Bun.gzipSync(X))
      await Bun.write(plain, X)
      expect(await json('/v2/models/iris/infer', '-H', 'Content-Encoding: gzip', '--data-binary', `@${packed}`)).toMatchObject(
        label,
      )
      expect(await json('/v2/models/iris/infer', '-H', 'Transfer-Encoding: chunked', '--data-binary', `@${plain}`)).toMatchObject(
        label,
      )
    })

    test('sends a raw tensor', async () => {
      const file = join(folder, 'x.bin')
      await Bun.write(file, bytesOf(new Float32Array([5.1, 3.5, 1.4, 0.2])) as Uint8Array<ArrayBuffer>)
      const answer = await run('/v2/models/iris/infer', '-H', 'Inference-Header-Content-Length: 0', '--data-binary', `@${file}`)
      expect(Buffer.from(answer).toString('latin1')).toStartWith(
        '{"model_name":"iris","model_version":"1","outputs":[{"name":"label"',
      )
    })

    test('streams a file of rows', async () => {
      const file = join(folder, 'rows.ndjson')
      await Bun.write(file, '[5.1,3.5,1.4,0.2]\n[6.7,3.0,5.2,2.3]\n')
      const type = 'content-type: application/x-ndjson'
      const text = Buffer.from(await run('/models/iris/stream', '-N', '-X', 'POST', '-H', type, '-T', file)).toString()
      const rows = text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { row: number; output: { label: string } })
      expect(rows.map(({ row, output }) => [row, output.label])).toEqual([
        [0, 'setosa'],
        [1, 'virginica'],
      ])
    })
  })
}
