import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ALIKE_LINES } from '../../../src/accounts/bounded-audit.ts'
import { startAccounts } from '../../support/accounts.ts'
import { DOORS } from '../../support/doors.ts'
import { startExplicit } from '../../support/explicit-engine.ts'
import { factorModel } from '../../support/factor-model.ts'
import { createServer } from '../../support/server.ts'
import { STORES } from '../../support/stores.ts'
import { tokenWith } from '../../support/tokens.ts'

const [sqlite] = STORES
/** A token of the server's own issuer. */
const bearer = (...permissions: string[]) => ({
  authorization: `Bearer ${tokenWith(permissions, { iss: 'https://vestal.example' })}`,
})
if (sqlite === undefined) throw new Error('SQLite is always there')
const folder = mkdtempSync(join(tmpdir(), 'vestal-model-audit-'))
await Bun.write(join(folder, 'iris/1/model.onnx'), factorModel(2))
await Bun.write(join(folder, 'broken/1/model.onnx'), 'nothing')
await Bun.write(join(folder, 'pipe/pipeline.toml'), '[[steps]]\nmodel = "iris"\ninputs = { x = "a" }\noutputs = { y = "b" }\n')
afterAll(() => rmSync(folder, { recursive: true }))

for (const [index, open] of DOORS.entries()) {
  describe(`changes of models are in the audit log, through door ${index + 1}`, () => {
    const begin = async () => {
      const place = await startAccounts(sqlite)
      const engine = await startExplicit(folder, { mayOverride: true })
      const door = open(createServer(engine, { accounts: place.server.options }))
      const control = async (path: string, headers: Record<string, string>, parameters?: object) => {
        const body = parameters === undefined ? '' : JSON.stringify({ parameters })
        const response = await door.fetch(`/v2/repository/models/${path}`, { method: 'POST', headers, body })
        await response.arrayBuffer()
        return { status: response.status, requestId: response.headers.get('x-request-id') }
      }
      /** The events since the last call. */
      let seen = 0
      const events = () => {
        const news = place.server.events.slice(seen)
        seen = place.server.events.length
        return news
      }
      return {
        control,
        events,
        async [Symbol.asyncDispose]() {
          await door.close()
          await engine.stop()
          await place[Symbol.asyncDispose]()
        },
      }
    }

    test('who, what, from where and with what outcome', async () => {
      await using server = await begin()
      const { control, events } = server
      const { requestId } = await control('iris/unload', bearer('model:iris:admin'))
      const origin = { address: expect.any(String), userAgent: expect.any(String), requestId: requestId ?? '' }
      expect(events()).toEqual([{ event: 'model-unloaded', actor: 'tester', subject: 'iris', origin }])
      await control('iris/versions/1/load', bearer('model:iris:admin'))
      expect(events()).toMatchObject([
        { event: 'model-loaded', actor: 'tester', subject: 'iris', reason: 'version 1: from its folder' },
      ])
      const config = JSON.stringify({ max_batch_size: 0 })
      await control('iris/load', bearer('model:iris:admin'), { config })
      expect(events()).toMatchObject([{ event: 'model-loaded', reason: 'with the configuration of the request' }])
      const bytes = Buffer.from(factorModel(9)).toString('base64')
      await control('iris/load', bearer('model:iris:admin'), { config, 'file:1/model.onnx': bytes })
      expect(events()).toMatchObject([
        { event: 'model-loaded', reason: 'with the configuration and files of the request: 1/model.onnx' },
      ])
    })

    test('a failure with its reason, and a denial with the model', async () => {
      await using server = await begin()
      const { control, events } = server
      expect((await control('broken/load', bearer('model:broken:admin'))).status).toBe(422)
      expect((await control('none/unload', bearer('*'))).status).toBe(404)
      expect((await control('iris/load', bearer('*'), { other: 1 })).status).toBe(400)
      expect(events()).toMatchObject([
        {
          event: 'model-load-failed',
          subject: 'broken',
          reason: expect.stringMatching(/^MODEL_LOAD_FAILED: load failed for model 'broken'/),
        },
        { event: 'model-unload-failed', subject: 'none', reason: expect.stringMatching(/^MODEL_UNKNOWN: /) },
        {
          event: 'model-load-failed',
          subject: 'iris',
          reason: expect.stringMatching(/^BODY_INVALID: unrecognized load parameter/),
        },
      ])
      for (const action of ['load', 'unload', 'versions/1/load'])
        expect((await control(`ir%69s/${action}`, bearer('model:iris:read'))).status).toBe(403)
      await control('iris/load', bearer('model:iris:admin'), { config: '{"platform":"ensemble"}' })
      expect(events()).toMatchObject([
        { event: 'model-load-denied', actor: 'tester', subject: 'iris', reason: 'needs model:iris:admin' },
        { event: 'model-unload-denied', subject: 'iris', route: 'POST /v2/repository/models/:name/unload' },
        { event: 'model-load-denied', subject: 'iris' },
        { event: 'model-load-failed', subject: 'iris' },
      ])
      await control('no%20name/load', bearer('x'))
      expect(events()).toEqual([expect.not.objectContaining({ subject: expect.anything() })])
    })

    test('what came with a pipeline, and what was left', async () => {
      await using server = await begin()
      const { control, events } = server
      await control('pipe/unload', bearer('model:pipe:admin'), { unload_dependents: true })
      expect(events()).toMatchObject([
        { event: 'model-unload-denied', actor: 'tester', subject: 'iris', reason: expect.stringContaining('model:iris:admin') },
        { event: 'model-unloaded', subject: 'pipe' },
      ])
      await control('pipe/unload', bearer('model:*:admin'), { unload_dependents: true })
      expect(events()).toMatchObject([
        { event: 'model-unloaded', subject: 'iris', reason: "with 'pipe', which is made of it" },
        { event: 'model-unloaded', subject: 'pipe' },
      ])
      await control('pipe/load', bearer('model:pipe:admin'))
      expect(events()).toMatchObject([{ event: 'model-load-denied', subject: 'pipe', reason: 'needs model:iris:admin' }])
      await control('pipe/load', bearer('model:*:admin'))
      expect(events()).toMatchObject([
        { event: 'model-loaded', subject: 'iris', reason: "'pipe' is made of it" },
        { event: 'model-loaded', subject: 'pipe' },
      ])
    })

    test('a foreign token by its issuer and subject, and a flood of failures by ten lines', async () => {
      await using server = await begin()
      const { control, events } = server
      for (let count = 0; count < ALIKE_LINES + 5; count += 1) await control('broken/load', bearer('*'))
      expect(events()).toHaveLength(ALIKE_LINES)
      const foreign = { authorization: `Bearer ${tokenWith(['*'], { iss: 'https://elsewhere.example', sub: 'tester' })}` }
      await control('iris/unload', foreign)
      expect(events().map(({ actor }) => actor)).toEqual(['https://elsewhere.example tester'])
    })
  })
}
