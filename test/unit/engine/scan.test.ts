import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { findModels, MODELS_MAX } from '../../../src/engine/repository/scan.ts'

let folder = ''
let warnings: string[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'vestal-scan-'))
  warnings = []
})
afterEach(() => rmSync(folder, { recursive: true }))

function put(path: string, content = 'x'): string {
  mkdirSync(dirname(join(folder, path)), { recursive: true })
  writeFileSync(join(folder, path), content)
  return join(folder, path)
}

function find(files?: ReadonlyMap<string, string>) {
  return findModels({ modelsDirectory: folder, ...(files && { files }), warn: (message) => warnings.push(message) })
}

describe('a folder of models', () => {
  test('has its models by name, and their versions from the newest', () => {
    for (const path of ['b/2/model.onnx', 'b/10/model.onnx', 'a/1/model.onnx']) put(path)
    expect(find().map(({ name, versions }) => [name, ...versions.map(({ version }) => version)])).toEqual([
      ['a', '1'],
      ['b', '10', '2'],
    ])
    expect(warnings).toEqual([])
  })

  test('may hold other files, hidden folders and folders that are no version', () => {
    for (const path of [
      'README.md',
      '.git/x',
      '_old/1/model.onnx',
      'a/README.md',
      'a/1/model.onnx',
      'a/draft/model.onnx',
      'a/01/model.onnx',
    ]) {
      put(path)
    }
    expect(find().map(({ name, versions }) => [name, versions.length])).toEqual([['a', 1]])
    expect(warnings).toEqual([])
  })

  test('is told of a folder that cannot be the name of a model', () => {
    put('with space/1/model.onnx')
    put(`${'x'.repeat(101)}/1/model.onnx`)
    expect(find()).toEqual([])
    expect(warnings).toHaveLength(2)
  })

  test('that is not there is a warning', () => {
    expect(findModels({ modelsDirectory: join(folder, 'none'), warn: (message) => warnings.push(message) })).toEqual([])
    expect(warnings).toHaveLength(1)
  })

  test('may say which versions are loaded; the others are there, and say why not', () => {
    for (const path of ['a/1/model.onnx', 'a/2/model.onnx', 'a/10/model.onnx']) put(path)
    const chosen = (policy: string) => {
      put('a/model.toml', policy)
      return find()[0]
        ?.versions.filter(({ leftOut }) => leftOut === undefined)
        .map(({ version }) => version)
    }
    expect(chosen('')).toEqual(['10', '2', '1'])
    expect(chosen('[versions]\nall = true')).toEqual(['10', '2', '1'])
    expect(chosen('[versions]\nlatest = 2')).toEqual(['10', '2'])
    expect(chosen('[versions]\nonly = [1, 2, 7]')).toEqual(['2', '1'])
    expect(find()[0]?.versions[0]?.leftOut).toBe('left out by the version policy: only 1, 2, 7')
  })

  test('may hold links', () => {
    put('a/1/model.onnx')
    symlinkSync(join(folder, 'a'), join(folder, 'b'))
    symlinkSync(join(folder, 'nowhere'), join(folder, 'c'))
    expect(find().map(({ name, reason }) => [name, reason])).toEqual([
      ['a', undefined],
      ['b', undefined],
      ['c', 'its folder cannot be read (ENOENT)'],
    ])
  })

  test(`holds ${MODELS_MAX} models and says what is left out`, () => {
    for (let index = 0; index <= MODELS_MAX; index += 1) mkdirSync(join(folder, `m${index}`))
    expect(find()).toHaveLength(MODELS_MAX)
    expect(warnings[0]).toContain(`the first ${MODELS_MAX} by name are served`)
  })
})

describe('a model that is broken', () => {
  test('is found, with the reason', () => {
    mkdirSync(join(folder, 'no-version'))
    mkdirSync(join(folder, 'no-file/1'), { recursive: true })
    mkdirSync(join(folder, 'a-folder/1/model.onnx'), { recursive: true })
    put('empty/1/model.onnx', '')
    put('bad-toml/1/model.onnx')
    put('bad-toml/model.toml', 'colour = "red"')
    const reasons = find().map(({ name, reason, versions }) => [name, reason ?? versions[0]?.reason])
    expect(reasons).toEqual([
      ['a-folder', 'its model.onnx is not a file'],
      ['bad-toml', 'model.toml: "colour" is not a key that is known'],
      ['empty', 'its model.onnx is empty'],
      ['no-file', 'its model.onnx is missing'],
      ['no-version', 'it has no version: a folder named by a number, with model.onnx'],
    ])
    expect(JSON.stringify(reasons)).not.toContain(folder)
  })
})

describe('a single file', () => {
  test('is version 1 of a model', () => {
    const path = put('somewhere.onnx')
    expect(find(new Map([['own', path]]))).toEqual([
      {
        name: 'own',
        file: expect.anything(),
        permissions: { predict: 'model:own:predict', read: 'model:own:read', admin: 'model:own:admin' },
        versions: [{ version: '1', path }],
      } as never,
    ])
  })

  test('stands in for the folder of its name, with a warning', () => {
    put('a/7/model.onnx')
    const path = put('other.onnx')
    expect(find(new Map([['a', path]]))[0]?.versions[0]?.version).toBe('1')
    expect(warnings).toHaveLength(1)
  })

  test('whose name cannot be one is refused', () => {
    expect(() => find(new Map([['a/b', 'x.onnx']]))).toThrow('cannot be the name of a model')
  })
})
