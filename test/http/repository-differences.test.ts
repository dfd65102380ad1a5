import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Engine } from '../../src/index.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { startExplicit } from '../support/explicit-engine.ts'
import { factorModel } from '../support/factor-model.ts'
import { createServer } from '../support/server.ts'
import { bearer } from '../support/tokens.ts'

/** An ensemble over `times` with the given version policy. */
const ensemble = (policy: string) => `
platform: "ensemble"
${policy}
input { name: "a" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "b" data_type: TYPE_FP32 dims: [ -1 ] }
ensemble_scheduling { step { model_name: "times" model_version: -1 input_map { key: "x" value: "a" } output_map { key: "y" value: "b" } } }
`
interface Entry {
  readonly name: string
  readonly version?: string
  readonly state?: string
  readonly reason?: string
}
const SPECIFIC = (...versions: number[]) => `version_policy: { specific { versions: [ ${versions.join(', ')} ] } }`

for (const [index, open] of DOORS.entries()) {
  describe(`the model repository, through door ${index + 1}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'vestal-differences-'))
    const put = (path: string, content: Uint8Array | string) => Bun.write(join(folder, path), content)
    let engine: Engine
    let door: ReturnType<typeof open>

    beforeAll(async () => {
      await put('times/1/model.onnx', factorModel(2))
      await put('both/1/model.onnx', factorModel(2))
      await put('both/2/model.onnx', 'nothing')
      await put('both/3/model.onnx', factorModel(3))
      for (const version of [1, 3]) await put(`chain/${version}/.keep`, '')
      await put('chain/config.pbtxt', ensemble(SPECIFIC(1)))
      await put('bare/config.pbtxt', ensemble(''))
      await put('urgent/1/model.onnx', factorModel(2))
      await put('urgent/model.toml', '[serving]\npriority_levels = 3\npriority_default = 2\n')
      engine = await startExplicit(folder, { mayOverride: true })
      door = open(createServer(engine))
    })
    afterAll(async () => {
      await door.close()
      await engine.stop()
      rmSync(folder, { recursive: true })
    })

    const post = (path: string, body?: unknown, permission = '*') =>
      answerOf(
        door.fetch(path, {
          method: 'POST',
          headers: bearer(permission),
          ...(body !== undefined && { body: JSON.stringify(body) }),
        }),
      )
    const load = (name: string, parameters?: object) =>
      post(`/v2/repository/models/${name}/load`, parameters === undefined ? undefined : { parameters })
    const get = (path: string) => answerOf(door.fetch(path, { headers: bearer('*') }))
    const entriesOf = async (name: string) =>
      ((await post('/v2/repository/index')).body as Entry[]).filter((entry) => entry.name === name)
    const READY = { state: 'READY', reason: '' }

    test('has an empty reason where nothing is wrong, and the reason where something is', async () => {
      expect(await entriesOf('times')).toEqual([{ name: 'times', version: '1', ...READY }])
      expect(await entriesOf('both')).toMatchObject([{ version: '3' }, { version: '2', state: 'UNAVAILABLE' }, { version: '1' }])
      const body = (await post('/v2/repository/index')).body as Entry[]
      expect(body.every(({ version, reason }) => version === undefined || reason !== undefined)).toBe(true)
    })

    test('holds pipelines to their version policy, at the start, when they are loaded, and when their models change', async () => {
      const only = async (...versions: string[]) => {
        expect(await entriesOf('chain')).toEqual(versions.map((version) => ({ name: 'chain', version, ...READY })))
        for (const version of ['1', '3'])
          expect([version, (await get(`/v2/models/chain/versions/${version}/ready`)).status]).toEqual([
            version,
            versions.includes(version) ? 200 : 503,
          ])
        expect((await get('/v2/models/chain')).body).toMatchObject({ versions })
      }
      await only('1')
      expect((await get('/v2/models/chain/config')).body).toMatchObject({ version_policy: { specific: { versions: [1] } } })
      expect((await load('times')).status).toBe(200)
      await only('1')
      await put('chain/config.pbtxt', ensemble(SPECIFIC(1, 3)))
      expect((await load('chain')).status).toBe(200)
      await only('3', '1')
      const asked = { inputs: [{ name: 'a', datatype: 'FP32', shape: [1], data: [4] }] }
      for (const version of ['1', '3'])
        expect((await post(`/v2/models/chain/versions/${version}/infer`, asked)).body).toMatchObject({
          model_version: version,
          outputs: [{ data: [8] }],
        })
      await put('chain/config.pbtxt', ensemble('version_policy: { latest { num_versions: 1 } }'))
      expect((await load('chain')).status).toBe(200)
      await only('3')
      // One that the policy leaves out is loaded by its number, as a model's is.
      expect((await post('/v2/repository/models/chain/versions/1/load')).status).toBe(200)
      await only('3', '1')
      await put('chain/config.pbtxt', ensemble(SPECIFIC(1)))
      expect((await load('chain')).status).toBe(200)
      await only('1')
    })

    test('has one version of a pipeline without folders', async () => {
      expect(await entriesOf('bare')).toEqual([{ name: 'bare', version: '1', ...READY }])
    })

    test('rejects a load whose version policy names no version that is there, and keeps serving', async () => {
      const config = (name: string) => ({ config: JSON.stringify({ name, version_policy: { specific: { versions: [9] } } }) })
      expect(await load('times', config('times'))).toEqual({
        status: 422,
        body: { error: "failed to load 'times', no version is available: its version policy names none of 1" },
      })
      expect(await entriesOf('times')).toEqual([{ name: 'times', version: '1', ...READY }])
    })

    test('serves the other versions of a model of which one is broken, and says so to who loads it', async () => {
      expect(await load('both')).toMatchObject({
        status: 422,
        body: { error: expect.stringMatching(/^load failed for model 'both': version 2 is at UNAVAILABLE state: ./) },
      })
      const asked = { inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] }
      for (const [path, answer] of [
        ['both', 3],
        ['both/versions/1', 2],
      ] as const)
        expect((await post(`/v2/models/${path}/infer`, asked)).body).toMatchObject({ outputs: [{ data: [answer] }] })
      expect((await get('/v2/models/both/versions/2/ready')).status).toBe(503)
    })

    test('reads the folder again where a load brings no configuration, whatever the load before brought', async () => {
      const config = JSON.stringify({ max_batch_size: 7 })
      const sizeOf = async () => ((await get('/v2/models/times/config')).body as { max_batch_size: number }).max_batch_size
      const before = await sizeOf()
      expect((await load('times', { config })).status).toBe(200)
      expect(await sizeOf()).toBe(7)
      expect((await load('times')).status).toBe(200)
      expect(await sizeOf()).toBe(before)
    })

    test('has models whose priority 0, the default and what is less urgent require no permission', async () => {
      const ask = (priority: number, permission = 'model:urgent:predict') =>
        post(
          '/v2/models/urgent/infer',
          { parameters: { priority }, inputs: [{ name: 'x', datatype: 'FP32', shape: [1], data: [1] }] },
          permission,
        )
      for (const priority of [0, 2, 3]) expect([priority, (await ask(priority)).status]).toEqual([priority, 200])
      expect(await ask(1)).toMatchObject({ status: 403, body: { error: expect.stringContaining('model:urgent:priority') } })
    })
  })
}
