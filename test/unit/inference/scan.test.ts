import { afterEach, beforeEach, describe, expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { findModels, MODELS_MAX } from '../../../src/inference/repository/scan.ts'

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
    expect(find().map(({ name, versions, warnings: own }) => [name, versions.length, own])).toEqual([
      ['a', 1, ['the folder 01 is left out: a version is a number from 1 up, without more']],
    ])
    expect(warnings).toEqual([])
  })

  test('is reported of a folder that cannot be the name of a model', () => {
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

describe('what is laid out another way', () => {
  const NO_MODEL = 'it holds no model: neither model.onnx nor a version, which is a folder named by a number; '
  const MLFLOW =
    'artifact_path: model\nflavors:\n  onnx:\n    onnx_version: 1.16.0\n    data: model.onnx\n  python_function:\n    loader_module: mlflow.onnx\n'
  const SKLEARN = 'flavors:\n  python_function:\n    loader_module: mlflow.sklearn\n  sklearn:\n    pickled_model: model.pkl\n'
  /** Files of the folder `m`, with what is said of it. */
  const cases: readonly (readonly [name: string, files: Readonly<Record<string, string>>, reason: string])[] = [
    ['a version with a letter', { 'v1/model.onnx': 'x' }, `${NO_MODEL}its folder v1 is none: rename it to 1`],
    ['a version with a word', { 'Version_02/model.onnx': 'x' }, `${NO_MODEL}its folder Version_02 is none: rename it to 2`],
    ['a version with a point', { '3.1.0/model.onnx': 'x' }, `${NO_MODEL}its folder 3.1.0 is none: rename it to 3`],
    ['a version with a zero', { '007/model.onnx': 'x' }, `${NO_MODEL}its folder 007 is none: rename it to 7`],
    ['version 0', { '0/model.onnx': 'x' }, `${NO_MODEL}its folder 0 is none: rename it to 1`],
    ['latest', { 'latest/model.onnx': 'x' }, `${NO_MODEL}its folder latest is none: rename it to 1`],
    [
      'a model in ORT format',
      { 'net.ort': 'x' },
      `${NO_MODEL}in model.toml, [huggingface] file = "net.ort" would name its model`,
    ],
    [
      'Hugging Face without ONNX',
      { 'config.json': '{}', 'model.safetensors': 'x' },
      `${NO_MODEL}it has model.safetensors (weights; optimum-cli export onnx, or torch.onnx.export): make an ONNX model of it`,
    ],
    [
      'MLflow without ONNX',
      { MLmodel: SKLEARN, 'model.pkl': 'x' },
      `${NO_MODEL}it is a model of sklearn as MLflow lays it out, without ONNX; save it with mlflow.onnx.log_model`,
    ],
    [
      'a run of MLflow',
      { 'artifacts/MLmodel': MLFLOW },
      `${NO_MODEL}artifacts is the folder of a model as MLflow lays it out: move what is in it up`,
    ],
    [
      'another folder',
      { 'exports/net.onnx': 'x' },
      `${NO_MODEL}in model.toml, [huggingface] file = "exports/net.onnx" would name its model`,
    ],
    [
      'models inside',
      { 'iris/1/model.onnx': 'x' },
      `${NO_MODEL}it holds the folder of a model, iris; move that up, or name this folder with --models`,
    ],
    ['a checkpoint', { 'net.pt': 'x' }, `${NO_MODEL}it has net.pt (PyTorch; torch.onnx.export): make an ONNX model of it`],
    ['nothing known', { 'README.md': 'x' }, NO_MODEL.slice(0, -2)],
  ]
  for (const [name, files, reason] of cases) {
    test(`is unavailable, and said how to lay it out: ${name}`, () => {
      for (const [path, content] of Object.entries(files)) put(`m/${path}`, content)
      expect(find().map((model) => [model.name, model.reason])).toEqual([['m', reason]])
      expect(warnings).toEqual([])
    })
  }

  const versions: readonly (readonly [name: string, files: Readonly<Record<string, string>>, reason: string])[] = [
    [
      'a model in ORT format',
      { 'net.ort': 'x' },
      'its model.onnx is missing; in model.toml, [huggingface] file = "net.ort" would name its model',
    ],
    [
      'a folder',
      { 'model.onnx/model.onnx': 'x' },
      'its model.onnx is not a file; it is a folder with a model: move what is in it up',
    ],
    [
      'a folder inside',
      { 'export/model.onnx': 'x' },
      'its model.onnx is missing; in model.toml, [huggingface] file = "export/model.onnx" would name its model',
    ],
    [
      'a checkpoint',
      { 'pytorch_model.bin': 'x' },
      'its model.onnx is missing; it has pytorch_model.bin (weights of PyTorch; optimum-cli export onnx): make an ONNX model of it',
    ],
    ['nothing known', { 'README.md': 'x' }, 'its model.onnx is missing'],
  ]
  for (const [name, files, reason] of versions) {
    test(`in the folder of a version is reported: ${name}`, () => {
      for (const [path, content] of Object.entries(files)) put(`m/1/${path}`, content)
      expect(find()[0]?.versions[0]?.reason).toBe(reason)
    })
  }

  test('beside the folders of models is reported, but for a file that is named', () => {
    put('a/1/model.onnx')
    put('flat.onnx')
    put('flat.onnx.data')
    put('small.ort')
    put('README.md')
    expect(find(new Map([['small', join(folder, 'small.ort')]])).map(({ name }) => name)).toEqual(['a', 'small'])
    expect(warnings).toEqual([
      'flat.onnx in the models folder is not served: a model is a folder; move it to flat/model.onnx, with flat.onnx.data beside it under the same name, or name it with --model flat=FILE',
    ])
  })

  test('because the models folder is a model itself is reported', () => {
    put('1/model.onnx')
    expect(find()[0]?.reason).toEndWith("it looks like a version itself; name the folder above the model's with --models")
    expect(warnings).toEqual([
      expect.stringMatching(/^the models folder is a model itself, with the version 1: name the folder above it/),
    ])
    warnings = []
    rmSync(join(folder, '1'), { recursive: true })
    put('config.json')
    put('onnx/model.onnx')
    find()
    expect(warnings).toEqual([expect.stringMatching(/^the models folder is a model itself, laid out as on Hugging Face/)])
    warnings = []
    put('MLmodel', MLFLOW)
    find()
    expect(warnings).toEqual([expect.stringMatching(/^the models folder is a model itself, laid out as by MLflow/)])
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
      ['empty', 'its model.onnx is empty; copy it again'],
      ['no-file', 'its model.onnx is missing'],
      ['no-version', 'it holds no model: neither model.onnx nor a version, which is a folder named by a number'],
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

  test('whose name cannot be one is rejected', () => {
    expect(() => find(new Map([['a/b', 'x.onnx']]))).toThrow('cannot be the name of a model')
  })
})
