import { describe, expect, test } from 'bun:test'
import { createRouteTable, nameIn } from '../../../src/http/route-table.ts'

const find = createRouteTable([
  { method: 'GET', path: '/' },
  { method: 'GET', path: '/docs' },
  { method: 'POST', path: '/models/:name/predict/' },
  { method: 'GET', path: '/models/:name/' },
  { method: 'DELETE', path: '/models/:name/' },
  { method: 'GET', path: '/models/stats' },
  { method: 'GET', path: '/v2/models/:name/versions/:version' },
  { method: 'WS', path: '/stream' },
  { method: 'GET', path: '/files/*' },
])

describe('a path', () => {
  for (const [path, route, methods] of [
    ['/', '/', ['GET', 'HEAD']],
    ['/docs', '/docs', ['GET', 'HEAD']],
    ['/docs/', '/docs', ['GET', 'HEAD']],
    ['/models/iris', '/models/:name/', ['DELETE', 'GET', 'HEAD']],
    ['/models/iris/predict/', '/models/:name/predict/', ['POST']],
    ['/models/stats', '/models/stats', ['GET', 'HEAD']],
    // A fixed part is tried first, and the parameter where that leads nowhere.
    ['/models/stats/predict', '/models/:name/predict/', ['POST']],
    ['/stream', '/stream', ['GET', 'HEAD']],
    ['/files/a/b/c', '/files/*', ['GET', 'HEAD']],
  ] as const) {
    test(`${path} belongs to ${route}`, () => {
      const found = find(path)
      expect([found?.path, found?.methods as readonly string[]]).toEqual([route, methods])
    })
  }

  for (const path of ['/nowhere', '/models//', '//models/iris', '/models/iris/predict/more', '/v2', '/Docs', '/models/iris//']) {
    test(`${JSON.stringify(path)} belongs to none`, () => expect(find(path)).toBeUndefined())
  }
})

test('the name in a path is what stands in the place of :name', () => {
  const nameOf = (path: string) => {
    const route = find(path)
    return route && nameIn(route, path)
  }
  expect(nameOf('/models/iris/predict/')).toBe('iris')
  expect(nameOf('/v2/models/a.b/versions/3')).toBe('a.b')
  expect(nameOf('/docs')).toBeUndefined()
})

test('a path belongs to the same route however often and among how many others it is asked for', () => {
  for (let time = 0; time < 2; time += 1) {
    for (let count = 0; count < 3_000; count += 1) {
      const path = `/models/model-${count}/`
      const route = find(path)
      expect(route?.path).toBe('/models/:name/')
      expect(route && nameIn(route, path)).toBe(`model-${count}`)
    }
  }
  expect(find(`/models/${'a'.repeat(1_000)}/predict`)?.path).toBe('/models/:name/predict/')
})
