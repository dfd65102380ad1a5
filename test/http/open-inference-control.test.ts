import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createEngine, type Engine } from '../../src/index.ts'
import type { LoadOptions } from '../../src/inference/engine.ts'
import { answerOf, DOORS } from '../support/doors.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { identityModel } from '../support/tiny-models.ts'
import { bearer } from '../support/tokens.ts'

const X = { inputs: [{ name: 'x', datatype: 'FP32', shape: [2], data: [1, 2] }] }

for (const [index, open] of DOORS.entries()) {
  describe(`models under control, through door ${index + 1}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'vestal-control-'))
    let engine: Engine
    let door: ReturnType<typeof open>
    /** What the routes asked of the engine. */
    const loads: (LoadOptions | undefined)[] = []

    beforeAll(async () => {
      await Bun.write(join(folder, 'a/1/model.onnx'), identityModel('FP32'))
      await Bun.write(join(folder, 'a/2/model.onnx'), identityModel('FP32'))
      await Bun.write(join(folder, 'b/1/model.onnx'), identityModel('FP32'))
      await Bun.write(join(folder, 'broken/1/model.onnx'), 'nothing')
      await Bun.write(join(folder, 'owned/1/model.onnx'), identityModel('FP32'))
      await Bun.write(join(folder, 'owned/model.toml'), '[permissions]\nread = "team:flowers:read"\nadmin = "team:flowers:admin"')
      const loaded = await createEngine({ modelsDirectory: folder, threads: 1, warn: () => undefined, modelControl: 'explicit' })
      engine = {
        ...loaded,
        load: (name, options) => {
          loads.unshift(options)
          return loaded.load(name, options)
        },
      }
      door = open(createServer(engine, { bodyBytesMax: 100_000 }))
    })
    afterAll(async () => {
      await door.close()
      await engine.stop()
      rmSync(folder, { recursive: true })
    })

    const get = (path: string, ...permissions: string[]) => answerOf(door.fetch(path, { headers: bearer(...permissions) }))
    const post = (path: string, body?: unknown, ...permissions: string[]) =>
      door.fetch(path, {
        method: 'POST',
        headers: bearer(...(permissions.length > 0 ? permissions : ['*'])),
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
    const infer = async (path: string) => (await post(`/v2/models/${path}/infer`, X)).status

    test('are listed with what a token may read, and no other', async () => {
      expect(await get('/v2/models', 'model:a:read', 'model:broken:read')).toEqual({
        status: 200,
        body: { models: ['a', 'broken'] },
      })
      expect(await get('/v2/models')).toEqual({ status: 200, body: { models: [] } })
      const { body } = await answerOf(post('/v2/repository/index', undefined, 'model:a:read', 'model:broken:read'))
      expect(body).toEqual([
        { name: 'a', version: '2', state: 'READY', reason: '' },
        { name: 'a', version: '1', state: 'READY', reason: '' },
        { name: 'broken', version: '1', state: 'UNAVAILABLE', reason: expect.any(String) },
      ])
      expect(await answerOf(post('/v2/repository/index', { ready: true }, 'model:*:read'))).toMatchObject({
        body: [{ name: 'a' }, { name: 'a' }, { name: 'b' }],
      })
      expect(await answerOf(post('/v2/repository/index', {}, 'nothing'))).toEqual({ status: 200, body: [] })
    })

    test('have an index whose body is checked', async () => {
      for (const [body, error] of [
        ['{"ready":1}', "Invalid value for 'ready': expected a boolean"],
        ['[]', 'the body must be an object, or nothing'],
        ['{', 'The body is not valid JSON'],
        ['['.repeat(250_000), 'The body is not valid JSON'],
        [`${'['.repeat(120)}${']'.repeat(120)}`, 'JSON nesting depth exceeds maximum allowed limit (100)'],
      ]) {
        expect(await answerOf(post('/v2/repository/index', body))).toEqual({ status: 400, body: { error } })
      }
      expect((await post('/v2/repository/index', ' '.repeat(2_000_000))).status).toBe(413)
    })

    test('have a configuration, of a version or of the one that answers', async () => {
      const { status, body } = await get('/v2/models/a/config', 'model:a:read')
      expect([status, body]).toMatchObject([
        200,
        {
          name: 'a',
          platform: 'onnxruntime_onnx',
          backend: 'onnxruntime',
          input: [{ name: 'x', data_type: 'TYPE_FP32' }],
          output: [{ name: 'y', data_type: 'TYPE_FP32' }],
        },
      ])
      expect((await get('/v2/models/a/versions/1/config', 'model:a:read')).status).toBe(200)
      expect(await get('/v2/models/none/config', '*')).toEqual({
        status: 404,
        body: { error: "Request for unknown model: 'none' is not found" },
      })
      expect((await get('/v2/models/a/versions/9/config', '*')).status).toBe(404)
      expect((await get('/v2/models/broken/config', '*')).status).toBe(503)
      expect((await get('/v2/models/a/config', 'model:a:predict', 'model:b:read')).status).toBe(403)
    })

    test('are unloaded and loaded again, all of them or one version', async () => {
      const unloaded = await post('/v2/repository/models/a/unload')
      expect([unloaded.status, await unloaded.text()]).toEqual([200, ''])
      for (const path of ['/v2/models/a', '/v2/models/a/config']) {
        expect(await get(path, '*')).toEqual({
          status: 404,
          body: { error: "Request for unknown model: 'a' has no available versions" },
        })
      }
      expect(await infer('a')).toBe(404)
      expect(await get('/v2/models/a/versions/2', '*')).toEqual({
        status: 503,
        body: { error: "Request for unknown model: 'a' version 2 is not at ready state: unloaded" },
      })
      expect(await get('/v2/models/a/ready', '*')).toEqual({ status: 503, body: { name: 'a', ready: false } })
      const loaded = await post('/v2/repository/models/a/load')
      expect([loaded.status, await loaded.text()]).toEqual([200, ''])
      expect(await infer('a')).toBe(200)

      expect((await post('/v2/repository/models/a/versions/2/unload', {}, 'model:a:admin')).status).toBe(200)
      expect([await infer('a/versions/2'), await infer('a/versions/1'), await infer('a')]).toEqual([503, 200, 200])
      expect((await post('/v2/repository/models/a/versions/2/load', { parameters: {} }, 'model:a:admin')).status).toBe(200)
      expect([await infer('a/versions/2'), loads[0]]).toMatchObject([200, { version: '2' }])
    })

    test('are controlled by who may: neither a reader nor the administrator of another', async () => {
      for (const action of ['load', 'unload', 'versions/1/load', 'versions/1/unload']) {
        for (const permission of ['model:a:read', 'model:a:predict', 'model:b:admin', 'admin']) {
          const { status, body } = await answerOf(post(`/v2/repository/models/a/${action}`, {}, permission))
          expect([status, body]).toEqual([403, { error: 'Insufficient permissions' }])
        }
      }
      expect(await infer('a')).toBe(200)
    })

    test('may name the permission that controls them, loaded or not', async () => {
      for (const action of ['unload', 'load', 'load', 'unload', 'unload', 'load']) {
        expect((await post(`/v2/repository/models/owned/${action}`, undefined, 'model:owned:admin')).status).toBe(403)
        expect((await post(`/v2/repository/models/owned/${action}`, undefined, 'team:flowers:admin')).status).toBe(200)
      }
    })

    test('that are unknown or broken get an error that says so', async () => {
      for (const path of ['none/load', 'none/unload', 'a/versions/77/load', 'a/versions/77/unload']) {
        const { status, body } = await answerOf(post(`/v2/repository/models/${path}`))
        expect([path, status]).toEqual([path, 404])
        expect((body as { error: string }).error).toBeString()
      }
      const { status, body } = await answerOf(post('/v2/repository/models/broken/load'))
      expect([status, (body as { error: string }).error]).toEqual([
        422,
        expect.stringMatching(/^load failed for model 'broken': version 1 is at UNAVAILABLE state: ./),
      ])
    })

    test('that came after the start have nothing to unload, and those that are nowhere get an error that says so', async () => {
      await Bun.write(join(folder, 'late/1/model.onnx'), identityModel('FP32'))
      for (const action of ['unload', 'load']) expect((await post(`/v2/repository/models/late/${action}`)).status).toBe(200)
      expect(await infer('late')).toBe(200)
      expect(await answerOf(post('/v2/repository/models/none/unload'))).toEqual({
        status: 404,
        body: { error: "failed to unload 'none': no such model" },
      })
      expect(await answerOf(post('/v2/repository/models/a/versions/77/unload'))).toEqual({
        status: 404,
        body: { error: "failed to unload 'a': no version 77" },
      })
      rmSync(join(folder, 'late'), { recursive: true })
      expect((await post('/v2/repository/models/late/unload')).status).toBe(200)
    })

    test('are loaded with parameters that are checked', async () => {
      const cases: readonly (readonly [parameters: unknown, error: string])[] = [
        [[], '"parameters" must be an object'],
        [{ config: {} }, "parameter 'config' must be a string that holds JSON"],
        [{ other: 'x' }, 'unrecognized load parameter "other"'],
        [{ config: '{}', 'file:1/model.onnx': 'not base64' }, 'parameter "file:1/model.onnx" must be a string of base64'],
        [{ config: '{}', 'file:1/model.onnx': 'YQ' }, 'parameter "file:1/model.onnx" must be a string of base64'],
        [{ config: '{}', 'file:1/model.onnx': 7 }, 'parameter "file:1/model.onnx" must be a string of base64'],
        [
          { config: '{}', ...Object.fromEntries(Array.from({ length: 65 }, (_, index) => [`file:1/${index}`, ''])) },
          'a load request may bring 64 files at most',
        ],
      ]
      for (const [parameters, error] of cases) {
        expect(await answerOf(post('/v2/repository/models/a/load', { parameters }))).toEqual({ status: 400, body: { error } })
      }
      await post('/v2/repository/models/a/load', { parameters: { config: '{"a":1}', 'file:1/model.onnx': 'YWI=' } })
      expect(loads[0]).toMatchObject({ config: '{"a":1}', files: new Map([['1/model.onnx', new Uint8Array([97, 98])]]) })
      expect((await post('/v2/repository/models/a/load', { parameters: { config: ' '.repeat(100_000) } })).status).toBe(413)
      expect(await infer('a')).toBe(200)
    })

    test('are unloaded with parameters that are checked', async () => {
      for (const [parameters, error] of [
        [{ unload_dependents: 'yes' }, "Unable to parse 'unload_dependents': attempt to access JSON non-boolean as boolean"],
        [{ other: 1 }, 'unrecognized unload parameter "other"'],
      ] as const) {
        expect(await answerOf(post('/v2/repository/models/a/unload', { parameters }))).toEqual({ status: 400, body: { error } })
      }
      expect((await post('/v2/repository/models/b/unload', { parameters: { unload_dependents: true } })).status).toBe(200)
      expect((await post('/v2/repository/models/b/load')).status).toBe(200)
    })

    test('have statistics: rows, runs and all eight durations', async () => {
      const before = (await get('/v2/models/b/versions/1/stats', 'model:b:read')).body as {
        model_stats: { inference_count: number }[]
      }
      expect(await infer('b')).toBe(200)
      const { status, body } = await get('/v2/models/b/stats', 'model:b:read')
      const duration = { count: expect.any(Number), ns: expect.any(Number) }
      expect([status, body]).toEqual([
        200,
        {
          model_stats: [
            {
              name: 'b',
              version: '1',
              last_inference: expect.any(Number),
              inference_count: expect.any(Number),
              execution_count: expect.any(Number),
              inference_stats: {
                success: duration,
                fail: duration,
                queue: duration,
                compute_input: duration,
                compute_infer: duration,
                compute_output: duration,
                cache_hit: duration,
                cache_miss: duration,
              },
              response_stats: {},
              batch_stats: expect.any(Array),
              memory_usage: [],
            },
          ],
        },
      ])
      const [entry] = (body as typeof before).model_stats
      expect(entry?.inference_count).toBeGreaterThan(before.model_stats[0]?.inference_count ?? 0)
    })

    test('have statistics for those alone that a token may read', async () => {
      const namesOf = async (...permissions: string[]) => {
        const { body } = await get('/v2/models/stats', ...permissions)
        return (body as { model_stats: { name: string; version: string }[] }).model_stats.map(
          ({ name, version }) => `${name}/${version}`,
        )
      }
      expect((await namesOf('model:*:read')).sort()).toEqual(['a/1', 'a/2', 'b/1'])
      expect(await namesOf('model:b:read', 'model:a:predict')).toEqual(['b/1'])
      expect(await namesOf()).toEqual([])
      expect((await get('/v2/models/none/stats', '*')).status).toBe(404)
      expect((await get('/v2/models/a/versions/9/stats', '*')).status).toBe(404)
      expect((await get('/v2/models/a/stats', 'model:b:read')).status).toBe(403)
    })

    test('are not shared by memory, traced or logged from outside, and a client learns why', async () => {
      for (const [method, path] of [
        ['GET', '/v2/systemsharedmemory/status'],
        ['GET', '/v2/cudasharedmemory/region/r/status'],
        ['POST', '/v2/systemsharedmemory/region/r/register'],
        ['POST', '/v2/cudasharedmemory/unregister'],
        ['GET', '/v2/trace/setting'],
        ['POST', '/v2/models/a/trace/setting'],
        ['POST', '/v2/logging'],
        ['POST', '/v2/repository/main/index'],
        ['POST', '/v2/repository/main/models/a/load'],
      ] as const) {
        const response = await door.fetch(path, { method, headers: bearer('x') })
        expect([path, response.status, (await response.json()) as object]).toEqual([
          path,
          501,
          { error: expect.stringContaining('not supported') },
        ])
      }
    })
  })
}

test('where control is off a model is neither loaded nor unloaded', async () => {
  const engine = await bundledEngine()
  const [open] = DOORS
  const door = open?.(createServer(engine))
  for (const action of ['load', 'unload']) {
    const response = await door?.fetch(`/v2/repository/models/iris/${action}`, { method: 'POST', headers: bearer('*') })
    expect([response?.status, await response?.json()]).toEqual([
      503,
      { error: 'explicit model load / unload is not allowed if polling is enabled; it needs --model-control explicit' },
    ])
  }
  await engine.stop()
})
