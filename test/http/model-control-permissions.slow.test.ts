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

const chain = (...models: string[]) =>
  models
    .map((model, index) => `[[steps]]\nmodel = "${model}"\ninputs = { x = "t${index}" }\noutputs = { y = "t${index + 1}" }\n`)
    .join('')
const ensemble = (...models: string[]) =>
  JSON.stringify({
    platform: 'ensemble',
    max_batch_size: 0,
    input: [{ name: 't0', data_type: 'TYPE_FP32', dims: [-1] }],
    output: [{ name: `t${models.length}`, data_type: 'TYPE_FP32', dims: [-1] }],
    ensemble_scheduling: {
      step: models.map((model, index) => ({
        model_name: model,
        model_version: -1,
        input_map: { x: `t${index}` },
        output_map: { y: `t${index + 1}` },
      })),
    },
  })

for (const [index, open] of DOORS.entries()) {
  describe(`a permission on one model reaches no other, through door ${index + 1}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'vestal-reach-'))
    let engine: Engine
    let door: ReturnType<typeof open>

    beforeAll(async () => {
      for (const name of ['iris', 'other', 'secret', 'plain']) await Bun.write(join(folder, name, '1/model.onnx'), factorModel(2))
      await Bun.write(join(folder, 'secret/model.toml'), '[permissions]\npredict = "vault:predict"\nadmin = "vault:admin"\n')
      await Bun.write(join(folder, 'pipe/pipeline.toml'), chain('iris', 'other'))
      const outer = '[[steps]]\nmodel = "pipe2"\ninputs = { t0 = "in" }\noutputs = { t2 = "out" }\n'
      await Bun.write(join(folder, 'outer/pipeline.toml'), outer)
      await Bun.write(join(folder, 'pipe2/pipeline.toml'), chain('iris', 'secret'))
      engine = await startExplicit(folder, { mayOverride: true })
      door = open(createServer(engine))
    })
    afterAll(async () => {
      await door.close()
      await engine.stop()
      rmSync(folder, { recursive: true })
    })

    const control = (path: string, parameters: object | undefined, ...permissions: string[]) =>
      answerOf(
        door.fetch(`/v2/repository/models/${path}`, {
          method: 'POST',
          headers: bearer(...permissions),
          ...(parameters !== undefined && { body: JSON.stringify({ parameters }) }),
        }),
      )
    const isReady = (name: string) => engine.model(name)?.versions.some(({ state }) => state === 'ready') === true
    const denied = (text: string) => ({ status: 403, body: { error: `Insufficient permissions: ${text}` } })

    test('unloading a pipeline with its members leaves those that the caller may not unload, and says so', async () => {
      expect(await control('pipe/unload', { unload_dependents: true }, 'model:pipe:admin', 'model:other:admin')).toEqual({
        status: 200,
        body: { not_unloaded: [{ name: 'iris', reason: 'requires the permission model:iris:admin' }] },
      })
      expect(['pipe', 'iris', 'other'].map(isReady)).toEqual([false, true, false])
      // Once more: what is unloaded already is not told of again.
      expect(await control('pipe/unload', { unload_dependents: true }, 'model:pipe:admin')).toMatchObject({
        body: { not_unloaded: [{ name: 'iris' }] },
      })
      expect(await control('pipe/unload', { unload_dependents: true }, 'model:pipe:admin', 'model:iris:admin')).toEqual({
        status: 200,
        body: '',
      })
      expect(isReady('iris')).toBe(false)
    })

    test('loading a pipeline loads its members only for who may load them: all, or none', async () => {
      expect(await control('pipe/load', undefined, 'model:pipe:admin', 'model:iris:admin')).toEqual(
        denied("loading 'pipe' also loads 'other', which requires the permission model:other:admin"),
      )
      expect(['pipe', 'iris', 'other'].map(isReady)).toEqual([false, false, false])
      expect((await control('pipe/load', undefined, 'model:pipe:admin', 'model:iris:admin', 'model:other:admin')).status).toBe(
        200,
      )
      expect(['pipe', 'iris', 'other'].map(isReady)).toEqual([true, true, true])
      // Members that are ready are not loaded, so nothing is required of them.
      expect((await control('pipe/load', undefined, 'model:pipe:admin')).status).toBe(200)
      expect((await control('pipe/unload', {}, 'model:pipe:admin')).status).toBe(200)
      expect((await control('pipe/versions/1/load', {}, 'model:pipe:admin')).status).toBe(200)
    })

    test('the members of a member count too, each with its own permission', async () => {
      for (const name of ['outer', 'pipe2', 'secret']) expect((await control(`${name}/unload`, {}, '*')).status).toBe(200)
      expect(await control('outer/load', {}, 'model:*:admin')).toEqual(
        denied("loading 'outer' also loads 'secret', which requires the permission vault:admin"),
      )
      expect(['outer', 'pipe2', 'secret'].map(isReady)).toEqual([false, false, false])
      expect((await control('outer/load', {}, 'model:*:admin', 'vault:admin')).status).toBe(200)
      expect(['outer', 'pipe2', 'secret'].map(isReady)).toEqual([true, true, true])
    })

    test('a pipeline that a request brings requires the permission to predict of each step', async () => {
      const own = ['model:plain:admin']
      const needsIris = denied("loading 'plain' lets it ask 'iris', which requires the permission model:iris:predict")
      expect(await control('plain/load', { config: ensemble('iris') }, ...own, 'model:iris:read', 'model:iris:admin')).toEqual(
        needsIris,
      )
      expect(await control('plain/load', { config: ensemble('iris', 'secret') }, ...own, 'model:*:predict')).toEqual(
        denied("loading 'plain' lets it ask 'secret', which requires the permission vault:predict"),
      )
      const files = { 'file:1/model.onnx': Buffer.from('x').toString('base64') }
      expect(await control('plain/load', { config: ensemble('iris'), ...files }, ...own)).toEqual(needsIris)
      expect(
        await control('new/load', { config: ensemble('secret'), ...files }, 'model:*:predict', 'model:*:admin'),
      ).toMatchObject({
        status: 403,
      })
      expect(engine.model('new')).toBeUndefined()
      expect(isReady('plain')).toBe(true)
      expect(
        (await control('plain/load', { config: ensemble('iris', 'secret') }, ...own, 'model:iris:predict', 'vault:predict'))
          .status,
      ).toBe(200)
      // Whoever may ask the pipeline may now ask it: the one who brought it was entitled to its steps.
      const body = JSON.stringify({ inputs: [{ name: 't0', datatype: 'FP32', shape: [1], data: [1] }] })
      const asked = await answerOf(
        door.fetch('/v2/models/plain/infer', { method: 'POST', headers: bearer('model:plain:predict'), body }),
      )
      expect(asked).toMatchObject({ status: 200, body: { outputs: [{ data: [4] }] } })
      expect((await control('plain/load', {}, ...own)).status).toBe(200)
    })

    test('a pipeline that a request brought ends when a step asks for another permission than the request had', async () => {
      await Bun.write(join(folder, 'turning/1/model.onnx'), factorModel(2))
      expect((await control('turning/load', {}, 'model:turning:admin')).status).toBe(200)
      const config = { config: ensemble('turning') }
      expect((await control('plain/load', config, 'model:plain:admin', 'model:turning:predict')).status).toBe(200)
      await Bun.write(join(folder, 'turning/model.toml'), '[permissions]\npredict = "vault:predict"\n')
      expect((await control('turning/load', {}, 'model:turning:admin')).status).toBe(200)
      expect(engine.model('plain')?.versions[0]).toMatchObject({
        state: 'unavailable',
        reason: expect.stringContaining('requires a permission that the request which loaded this did not have'),
      })
      expect((await control('plain/load', {}, 'model:plain:admin')).status).toBe(200)
      expect((await control('turning/unload', {}, '*')).status).toBe(200)
      rmSync(join(folder, 'turning'), { recursive: true })
    })

    test('a pipeline that a request brings loads members only for who may load them', async () => {
      expect((await control('iris/unload', {}, 'model:iris:admin')).status).toBe(200)
      const config = { config: ensemble('iris') }
      expect(await control('plain/load', config, 'model:plain:admin', 'model:iris:predict')).toEqual(
        denied("loading 'plain' also loads 'iris', which requires the permission model:iris:admin"),
      )
      expect([isReady('iris'), isReady('plain')]).toEqual([false, true])
      expect((await control('plain/load', config, 'model:plain:admin', 'model:iris:predict', 'model:iris:admin')).status).toBe(
        200,
      )
      expect((await control('plain/load', {}, 'model:plain:admin')).status).toBe(200)
    })

    test('a pipeline of the folder is the operator’s word: a configuration beside it requires nothing of its steps', async () => {
      expect((await control('pipe2/load', { config: '{}' }, 'model:pipe2:admin')).status).toBe(200)
    })
  })
}
