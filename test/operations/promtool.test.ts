import { afterAll, expect, test } from 'bun:test'
import { bundledEngine, createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const promtool = Bun.which('promtool')

if (hasTool('promtool', promtool)) {
  const engine = await bundledEngine()
  afterAll(() => engine.stop())

  test('promtool finds nothing wrong with the metrics but that Triton named its counters otherwise', async () => {
    const app = createServer(engine)
    const body = '{"input":[[5.1,3.5,1.4,0.2]]}'
    await app.handle(
      new Request('http://localhost/models/iris/predict/', { method: 'POST', headers: bearer('model:iris:predict'), body }),
    )
    const text = await (await app.handle(new Request('http://localhost/metrics', { headers: bearer('metrics:read') }))).text()
    const { stdout, stderr } = Bun.spawnSync([promtool, 'check', 'metrics'], { stdin: Buffer.from(text) })
    const findings = `${stdout}${stderr}`.split('\n').filter((line) => line !== '')
    expect(findings.filter((line) => !line.startsWith('nv_'))).toEqual([])
    // The other way round: the tool reads and judges.
    expect(findings.length).toBeGreaterThan(0)
  })

  test('promtool rejects what is no exposition', () => {
    const { exitCode } = Bun.spawnSync([promtool, 'check', 'metrics'], { stdin: Buffer.from('a{b=} 1\n') })
    expect(exitCode).not.toBe(0)
  })
}
