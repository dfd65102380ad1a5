import { describe, expect, test } from 'bun:test'
import { cpSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { signJwt } from '../../src/index.ts'
import { Workplace } from '../support/command-line.ts'
import { MODELS } from '../support/server.ts'
import { sentenceFolder, writeFolder } from '../support/text-folders.ts'
import { anyShapeModel, identityModel, onnxModel } from '../support/tiny-models.ts'
import { SECRET } from '../support/tokens.ts'

const CSV = 'a,b,c,d\n5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n'
const NDJSON = '[5.1,3.5,1.4,0.2]\n\n[6.7,3.0,5.2,2.3]\n'

describe('vestal models run', () => {
  test('computes CSV, NDJSON and JSON alike', () => {
    using place = new Workplace()
    const inputs = { 'x.csv': CSV, 'x.ndjson': NDJSON, 'x.json': `{"input":[${NDJSON.trim().replace('\n\n', ',')}]}` }
    const answers = Object.entries(inputs).map(([name, text]) => {
      writeFileSync(join(place.folder, name), text)
      const { stdout, stderr, exitCode } = place.run(['models', 'run', 'iris', '--input', name])
      expect([exitCode, stderr]).toEqual([0, ''])
      return stdout
    })
    expect(new Set(answers).size).toBe(1)
    const labels = (answers[0] ?? '')
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { label: string }).label)
    expect(labels).toEqual(['setosa', 'virginica'])
  })

  test('writes CSV, JSON and .npy, and reads its own .npy', () => {
    using place = new Workplace()
    writeFileSync(join(place.folder, 'x.csv'), CSV)
    const run = (...args: readonly string[]) => place.run(['models', 'run', ...args])
    expect(run('iris', '--input', 'x.csv', '--output-format', 'csv').stdout).toMatch(
      /^label,probabilities\.setosa,probabilities\.versicolor,probabilities\.virginica\nsetosa,0\.97/,
    )
    expect(JSON.parse(run('iris', '--input', 'x.csv', '--output-format', 'json', '--output-name', 'label').stdout)).toEqual([
      'setosa',
      'virginica',
    ])
    writeFileSync(join(place.folder, 'same.onnx'), identityModel('FP32', ['n', 3]))
    expect(run('iris', '--input', 'x.csv', '--output', 'p.npy', '--output-name', 'probabilities').exitCode).toBe(0)
    const { stdout, stderr } = run('same', '--model', 'same=same.onnx', '--input', 'p.npy', '--rows', '1')
    expect(stderr).toBe('')
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as number[]).length),
    ).toEqual([3, 3])
    expect(stdout).toMatch(/^\[0\.97/)
  })

  test('takes every integer that its datatype holds, and none beyond, as CSV, NDJSON and JSON', () => {
    using place = new Workplace()
    const types = (['INT', 'UINT'] as const).flatMap((kind) => ([8, 16, 32, 64] as const).map((bits) => ({ kind, bits })))
    const columns = types.map(({ kind, bits }) => {
      const half = 2n ** BigInt(bits - 1)
      const [min, max] = kind === 'INT' ? [-half, half - 1n] : [0n, 2n * half - 1n]
      return { name: `${kind}${bits}`.toLowerCase(), datatype: `${kind}${bits}` as const, min, max }
    })
    const values = (prefix: string) => columns.map(({ name, datatype }) => ({ name: `${prefix}${name}`, datatype, shape: ['n'] }))
    const model = onnxModel({
      nodes: columns.map(({ name }) => ({ operator: 'Identity', inputs: [name], outputs: [`y-${name}`] })),
      inputs: values(''),
      outputs: values('y-'),
    })
    writeFileSync(join(place.folder, 'integers.onnx'), model)
    const rows = [columns.map(({ min }) => min), columns.map(({ max }) => max)]
    const bad = columns.flatMap(({ min, max }, index) =>
      [min - 1n, max + 1n].map((value) => columns.map((_, other) => (other === index ? value : 0n))),
    )
    const names = columns.map(({ name }) => name)
    const objects = (list: readonly (readonly bigint[])[]) =>
      list.map((row) => `{${row.map((value, index) => `"${names[index]}":${value}`).join(',')}}`)
    const forms = (list: readonly (readonly bigint[])[]) => ({
      csv: `${[names, ...list].map((row) => row.join(',')).join('\n')}\n`,
      ndjson: `${objects(list).join('\n')}\n`,
      json: `[${objects(list).join(',')}]`,
    })
    const run = (format: string, text: string) => {
      writeFileSync(join(place.folder, `x.${format}`), text)
      return place.run(['models', 'run', 'integers', '--model', 'integers=integers.onnx', '--input', `x.${format}`])
    }
    for (const [format, text] of Object.entries(forms(rows))) {
      const { stdout, stderr, exitCode } = run(format, text)
      expect([format, exitCode, stderr]).toEqual([format, 0, ''])
      expect(stdout.trim().split('\n')).toEqual(objects(rows).map((row) => row.replaceAll(/"(\w+)":/g, '"y-$1":')))
    }
    for (const [format, text] of Object.entries(forms(bad))) {
      const { stderr, exitCode } = run(format, text)
      expect([format, exitCode, stderr]).toEqual([format, 1, expect.stringContaining('from -128 to 127, got -129')])
    }
  })

  test('gives each row its own answer, also where a model takes no rows together, or only so many', () => {
    using place = new Workplace()
    const put = (name: string, bytes: Uint8Array | string) => writeFileSync(join(place.folder, name), bytes)
    put(
      'nonzero.onnx',
      onnxModel({
        nodes: [{ operator: 'NonZero', inputs: ['x'], outputs: ['y'] }],
        inputs: [{ name: 'x', datatype: 'FP32', shape: ['n'] }],
        outputs: [{ name: 'y', datatype: 'INT64', shape: [1, 'k'] }],
      }),
    )
    put('pair.onnx', identityModel('FP32', [2, 3]))
    mkdirSync(join(place.folder, 'models/few/1'), { recursive: true })
    put('models/few/1/model.onnx', identityModel('FP32', ['n', 1]))
    put('models/few/config.pbtxt', 'max_batch_size: 2')
    put(
      'missing.onnx',
      onnxModel({
        nodes: [{ operator: 'IsNaN', inputs: ['x'], outputs: ['y'] }],
        inputs: [{ name: 'x', datatype: 'FP32', shape: ['n', 2] }],
        outputs: [{ name: 'y', datatype: 'BOOL', shape: ['n', 2] }],
      }),
    )
    put('missing.csv', 'a,b\nNaN,1\n2,-inf\n')
    put('keep.onnx', identityModel('FP32', ['n', 2]))
    put('any.onnx', anyShapeModel())
    put('x.ndjson', '1\n0\n3\n')
    put('pairs.ndjson', '[1,2,3]\n[4,5,6]\n[7,8,9]\n[1,2,3]\n')
    put('ones.ndjson', '[1]\n[2]\n[3]\n')
    const run = (name: string, ...args: readonly string[]) => {
      const { stdout, stderr, exitCode } = place.run(
        [
          'models',
          'run',
          name,
          ...(['few', 'signed'].includes(name) ? [] : ['--model', `${name}=${name}.onnx`]),
          '--input',
          ...args,
        ],
        { VESTAL_MODELS: 'models' },
      )
      return [exitCode, stdout, stderr]
    }
    expect(run('nonzero', 'x.ndjson')).toEqual([0, '[0]\n[]\n[0]\n', ''])
    expect(run('nonzero', 'x.ndjson', '--rows', '3')).toEqual([
      1,
      '',
      'the model answers 3 rows with 1; compute them one by one with --rows 1\n',
    ])
    expect(run('missing', 'missing.csv')).toEqual([0, '[true,false]\n[false,false]\n', ''])
    expect(run('keep', 'missing.csv', '--output-format', 'csv')).toEqual([0, 'y[0],y[1]\nNaN,1\n2,-Infinity\n', ''])
    expect(run('keep', 'missing.csv', '--output', 'kept.npy')).toEqual([0, '', ''])
    // Names that are numbers have an order of their own in JSON's objects.
    mkdirSync(join(place.folder, 'models/signed/1'), { recursive: true })
    put('models/signed/1/model.onnx', identityModel('FP32', ['n', 2]))
    put('models/signed/model.toml', '[outputs.y]\nlabels = ["-1", "1"]')
    put('half.ndjson', '[0.25,0.75]\n')
    expect(run('signed', 'half.ndjson', '--output', 'half.npy')).toEqual([0, '', ''])
    expect(run('keep', 'half.npy')).toEqual([0, '[0.25,0.75]\n', ''])
    expect(run('keep', 'kept.npy')).toEqual([0, '["NaN",1]\n[2,"-Infinity"]\n', ''])
    const inspected = place.run(['models', 'inspect', 'any', '--model', 'any=any.onnx'])
    expect(JSON.parse(inspected.stdout)).toMatchObject({ versions: [{ inputs: [{ name: 'x', shape: [-1] }] }] })
    expect(run('pair', 'pairs.ndjson')).toEqual([0, '[1,2,3]\n[4,5,6]\n[7,8,9]\n[1,2,3]\n', ''])
    expect(run('few', 'ones.ndjson')).toEqual([0, '[1]\n[2]\n[3]\n', ''])
  })

  test('takes the files of other systems, and says where there are no rows', () => {
    using place = new Workplace()
    const files = {
      'x.csv': `\ufeff0,1,2,3\r\n5.1,3.5,1.4,0.2\r\n\r\n`,
      'x.ndjson': '\r\n[5.1,3.5,1.4,0.2]\r\n  \r\n',
      'none.csv': 'a,b,c,d\n',
      'none.ndjson': '\n\n',
      'none.json': '[]',
    }
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(place.folder, name), text)
      const { stdout, stderr, exitCode } = place.run(['models', 'run', 'iris', '--input', name])
      const isEmpty = name.startsWith('none')
      expect([name, exitCode, stderr]).toEqual([name, 0, isEmpty ? `warning: ${name} has no rows\n` : ''])
      expect(stdout).toMatch(isEmpty ? /^$/ : /^\{"label":"setosa",.*\}\n$/)
    }
    expect(
      place.run(['models', 'run', 'iris', '--input', 'none.csv', '--output', 'y.npy', '--output-name', 'probabilities']).exitCode,
    ).toBe(0)
    expect(readFileSync(join(place.folder, 'y.npy'), 'latin1')).toContain("'shape': (0, 3), }")
  })

  test('takes missing values, and single values without a list, in every format', () => {
    using place = new Workplace()
    const put = (name: string, bytes: Uint8Array | string) => writeFileSync(join(place.folder, name), bytes)
    const run = (name: string, file: string, ...args: readonly string[]) => {
      const model = ['--model', `${name}=${name}.onnx`]
      const { stdout, stderr, exitCode } = place.run(['models', 'run', name, ...model, '--input', file, ...args])
      return [exitCode, stderr, stdout]
    }
    for (const name of ['lgb_reg', 'columns', 'scalar_in'])
      cpSync(join(import.meta.dir, '../models', `${name}.onnx`), join(place.folder, `${name}.onnx`))
    put('keep.onnx', identityModel('FP32', ['n', 1]))
    // An empty line is no row; pandas writes a missing value that is alone in its line as quotes.
    put('one.csv', 'a\n1\n""\n\nnan\n')
    put('one.ndjson', '1\nnull\n[null]\n"-Infinity"\n')
    put('one.json', '[1,null,"NaN","-Infinity"]')
    expect(run('keep', 'one.csv')).toEqual([0, '', '[1]\n["NaN"]\n["NaN"]\n'])
    expect(run('keep', 'one.ndjson', '--rows', '1')).toEqual([0, '', '[1]\n["NaN"]\n["NaN"]\n["-Infinity"]\n'])
    expect(run('keep', 'one.json', '--output-format', 'csv')).toEqual([0, '', 'y[0]\n1\nNaN\nNaN\n-Infinity\n'])
    put('trees.csv', 'a,b,c,d\n0,5,5,5\n0,5,,5\n0,5,NaN,5\n')
    const [, , trees] = run('lgb_reg', 'trees.csv')
    const rows = String(trees).trim().split('\n')
    expect([rows.length, rows[1] === rows[2], rows[1] === rows[0]]).toEqual([3, true, false])
    const person = { age: 37, income: 5e4, city: 'Paris', job: 'nurse', n_children: 2 }
    const names = Object.keys(person)
    put('people.ndjson', `${JSON.stringify(person)}\n${JSON.stringify(person)}\n`)
    put('people.csv', `${names.join(',')}\n${Object.values(person).join(',')}\n${Object.values(person).join(',')}\n`)
    put('people.json', JSON.stringify(Object.fromEntries(Object.entries(person).map(([name, value]) => [name, [value, value]]))))
    put('person.json', JSON.stringify({ input: person }))
    const [exitCode, stderr, people] = run('columns', 'people.ndjson')
    expect([exitCode, stderr, String(people).trim().split('\n').length]).toEqual([0, '', 2])
    expect(run('columns', 'people.csv')).toEqual([0, '', String(people)])
    expect(run('columns', 'people.json')).toEqual([0, '', String(people)])
    expect(run('columns', 'person.json')).toEqual([0, '', String(people).split('\n').slice(1).join('\n')])
    put('scaled.json', '{"x": [[1,2,3],[4,5,6]], "k": 2}')
    put('scaled.ndjson', '{"x": [1,2,3], "k": 2}\n{"x": [4,5,6], "k": 3}\n')
    put('scaled.csv', 'k,x[0],x[1],x[2]\n2,1,2,3\n3,4,5,6\n')
    expect(run('scalar_in', 'scaled.json')).toEqual([0, '', '[2,4,6]\n[8,10,12]\n'])
    expect(run('scalar_in', 'scaled.ndjson')).toEqual([0, '', '[2,4,6]\n[12,15,18]\n'])
    expect(run('scalar_in', 'scaled.csv')).toEqual([0, '', '[2,4,6]\n[12,15,18]\n'])
    put('odd.json', '{"x": [[1,2,3],[4,5,6]], "k": {"v": 2}}')
    put('uneven.json', JSON.stringify({ ...Object.fromEntries(names.map((name) => [name, [1, 2]])), age: 1 }))
    expect(run('scalar_in', 'odd.json')).toEqual([1, 'odd.json: "k" must be a list of rows\n', ''])
    expect(run('columns', 'uneven.json')[1]).toBe('uneven.json: the inputs have different numbers of rows: 1, 2\n')
  })

  test('reports what is wrong by line and field, with exit code 1 or 2, and leaves no half-written file', () => {
    using place = new Workplace()
    writeFileSync(join(place.folder, 'x.csv'), `${CSV}1,2,x,4\n`)
    writeFileSync(join(place.folder, 'x.ndjson'), `${NDJSON}[1,2]\n[1,2,3,4]\n`)
    for (const [name, text] of Object.entries({
      'odd.text': '',
      'empty.csv': '',
      'empty.json': '\n',
      'bare.csv': '5.1,3.5,1.4,0.2\n6.7,3.0,5.2,2.3\n',
      'other.csv': 'a;b;c;d\n1;2;3;4\n',
      'oip.json': '{"inputs":[{"name":"X","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}',
    }))
      writeFileSync(join(place.folder, name), text)
    const cases: readonly (readonly [args: readonly string[], exitCode: number, message: string])[] = [
      [['iris', '--input', 'x.csv', '--output', 'y.ndjson'], 1, 'x.csv line 4, column 3 (c): must be a number, got "x"'],
      [['iris', '--input', 'x.ndjson'], 1, "x.ndjson line 4: input 'X'"],
      [['iris', '--input', 'gone.csv'], 1, 'gone.csv: cannot be read'],
      [['gone', '--input', 'x.csv'], 1, 'gone: there is no such model'],
      [['iris', '--input', 'empty.csv'], 1, 'empty.csv: is empty; CSV begins with a line of names'],
      [['iris', '--input', 'empty.json'], 1, 'empty.json: is empty'],
      [['iris', '--input', 'bare.csv'], 1, 'bare.csv line 1: has only numbers, and must be a header'],
      [
        ['iris', '--input', 'other.csv'],
        1,
        "the input 'X' takes 4 columns, and there are 1; cells must have commas between them",
      ],
      [['iris', '--input', 'oip.json'], 1, 'oip.json: is a request of the Open Inference Protocol; give only its rows'],
      [['iris', '--input', 'x.csv', '--version', '2'], 1, 'iris: there is no version 2; there is 1'],
      [['iris'], 2, '--input: must be given'],
      [['iris', '--input', 'odd.text'], 2, '--input-format says which it has'],
      [['iris', '--input', 'x.csv', '--rows', '0'], 2, '--rows: must be a whole number from 1 to 10000'],
      [['iris', '--input', 'x.csv', '--output-name', 'z'], 2, '--output-name: the model has no output "z"'],
      [['iris', '--input', 'x.csv', '--output-format', 'npy'], 2, '--output: a .npy must be a file'],
    ]
    for (const [args, exitCode, message] of cases) {
      const done = place.run(['models', 'run', ...args])
      expect([done.exitCode, done.stdout, done.stderr]).toEqual([exitCode, '', expect.stringContaining(message)])
    }
    expect([...new Bun.Glob('y.*').scanSync(place.folder)]).toEqual([])
  })
})

describe('vestal models list', () => {
  test('says of what is laid out another way what it is, and how to lay it out', () => {
    using place = new Workplace()
    const put = (path: string, content: Uint8Array | string) => {
      mkdirSync(join(place.folder, dirname(path)), { recursive: true })
      writeFileSync(join(place.folder, path), content)
    }
    put('own/flat.onnx', identityModel('FP32'))
    put('own/bert/onnx/model.onnx', identityModel('FP32'))
    put('own/bert/config.json', '{}')
    put('own/nested/export/model.onnx', identityModel('FP32'))
    put('own/good/1/model.onnx', identityModel('FP32'))
    put('own/good/v2/model.onnx', identityModel('FP32'))
    put('own/page/1/model.onnx', '<!DOCTYPE html><html>')
    const { stdout, stderr, exitCode } = place.run(['models', 'list', '--models', 'own'])
    expect(exitCode).toBe(0)
    expect(stderr).toContain(
      'warning: flat.onnx in the models folder is not served: a model is a folder; move it to flat/model.onnx',
    )
    expect(stderr).toContain('warning: good: the folder v2 is left out: a version is a number from 1 up')
    expect(stdout).toMatch(
      /^nested +1 +- +- +unavailable: it holds no model: .*; in model\.toml, \[huggingface\] file = "export\/model\.onnx" would name/m,
    )
    expect(stdout).toMatch(/^bert +1 +x FP32\[-1\] +y FP32\[-1\] +ready/m)
    expect(stdout).toMatch(/^good +1 +x FP32\[-1\] +y FP32\[-1\] +ready/m)
    expect(stdout).toMatch(/^page +1 +- +- +unavailable: it is an HTML page, .*download the file itself/m)
    expect(stdout).not.toContain(place.folder)
    const { findings } = JSON.parse(place.run(['doctor', '--json', '--models', 'own']).stdout) as {
      readonly findings: readonly { readonly message: string }[]
    }
    const messages = findings.map(({ message }) => message).join('\n')
    for (const part of [
      'flat.onnx in the models folder is not served',
      'would name its model',
      'the folder v2 is left out',
      'it is an HTML page',
    ])
      expect(messages).toContain(part)
  })
})

describe('a folder of Hugging Face', () => {
  test('is listed, inspected and checked with what it does, and where each fact is from', async () => {
    using place = new Workplace()
    await writeFolder(join(place.folder, 'own/vectors'), sentenceFolder())
    const run = (...args: readonly string[]) => place.run(['models', ...args, '--models', 'own'])
    expect(run('list').stdout).toMatch(/RUNS +TASK\nvectors +1 .* embedding \(4 numbers, 32 tokens\)/)
    const { versions } = JSON.parse(run('inspect', 'vectors').stdout) as { readonly versions: readonly object[] }
    expect(versions).toMatchObject([
      { state: 'ready', task: { task: 'embedding', sources: { tokensMax: 'sentence_bert_config.json max_seq_length' } } },
    ])
    const { stdout, stderr, exitCode } = run('check', 'own/vectors')
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout).toMatch(/Task: {5}embedding \(4 numbers, 32 tokens\)\n(?:.*\n)* +pooling +1_Pooling\/config\.json\n/)
    expect(stdout).toContain('Measured: texts of 32 tokens')
  })
})

describe('vestal models check', () => {
  test('says with what a file can be served, and how it is fastest', () => {
    using place = new Workplace()
    const { stdout, exitCode } = place.run(['models', 'check', join(MODELS, 'iris/1/model.onnx')])
    expect(exitCode).toBe(0)
    expect(stdout).toContain('Inputs:   X FP32[-1,4]')
    expect(stdout).toMatch(
      /Recommended, for model\.toml:\n\n\[serving\]\ninstances = \d+\nthreads = \d+\n\n\[batching\]\nrows_max = \d+\n/,
    )
  })

  test('says why requests share no runs, and measures the sizes that it is given', () => {
    using place = new Workplace()
    const tokens = join(import.meta.dir, '../models/tok_old_seq7.onnx')
    const asked = place.run(['models', 'check', tokens, '--shape', 'input_ids=1,7', '--shape', 'attention_mask=1,7'])
    expect(asked.stdout).toContain('Measured: zeros in input_ids[rows,7], attention_mask[rows,7]\n')
    expect(asked.stdout).toMatch(/Runs: {5}separate: Reshape ".*" moves what stands before the rows.*\[\[warmup\]\]/)
    expect(place.run(['models', 'check', tokens]).stdout).toMatch(/Speed: {4}not measured: .*--shape INPUT=1,128/)
    mkdirSync(join(place.folder, 'm/tokens/2'), { recursive: true })
    cpSync(tokens, join(place.folder, 'm/tokens/2/model.onnx'))
    const rows = '[[1,2,3,4,5,6,7]]'
    writeFileSync(
      join(place.folder, 'm/tokens/model.toml'),
      `[[examples]]\ninput = {input_ids = ${rows}, attention_mask = ${rows}}`,
    )
    const recorded = place.run(['models', 'check', 'm/tokens/2/model.onnx']).stdout
    expect(recorded).toContain('Measured: the recorded input input_ids[rows,7], attention_mask[rows,7]\n')
    expect(recorded).toMatch(/Runs: {5}shared: \d+ recorded rows had the same answers/)
    const cases = [
      ['ids=1,7', '--shape: the model has no input "ids"; it has "input_ids", "attention_mask"'],
      ['input_ids=1,7,7', '--shape: "input_ids" is [-1,-1] in the model, and [1,7,7] does not fit'],
      ['input_ids', '--shape: must be INPUT=SIZE,SIZE'],
    ] as const
    for (const [shape, message] of cases) {
      const { exitCode, stderr } = place.run(['models', 'check', tokens, '--shape', shape])
      expect([exitCode, stderr]).toEqual([2, expect.stringContaining(message)])
    }
  })

  test('says what a file is that is no model, and which file of a folder can be checked', () => {
    using place = new Workplace()
    const put = (path: string, content: Uint8Array | string) => {
      mkdirSync(join(place.folder, dirname(path)), { recursive: true })
      writeFileSync(join(place.folder, path), content)
    }
    put('model.onnx', 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n')
    put('bert/onnx/a.onnx', identityModel('FP32'))
    put('bert/onnx/b.onnx', identityModel('FP32'))
    put('forest/MLmodel', 'flavors:\n  sklearn:\n    pickled_model: model.pkl\n')
    const cases = [
      [
        'model.onnx',
        'model.onnx cannot be served: it is a Git LFS pointer, which stands for the model; fetch the model itself with git lfs pull\n',
      ],
      ['bert', 'bert: is a folder; name a model file in it: bert/onnx/a.onnx, bert/onnx/b.onnx\n'],
      [
        'forest',
        'forest: is a folder; there is no .onnx file in it; it is a model of sklearn as MLflow lays it out, without ONNX',
      ],
    ] as const
    for (const [path, said] of cases) {
      const { stdout, stderr, exitCode } = place.run(['models', 'check', path])
      expect([exitCode, stdout, stderr]).toEqual([1, '', expect.stringContaining(said)])
    }
    const debug = place.run(['models', 'check', 'model.onnx', '--log-level', 'debug'])
    expect(debug.stderr).toContain('model/1: ONNX Runtime says: Load model from')
  })

  test('says why a file cannot be', () => {
    using place = new Workplace()
    writeFileSync(join(place.folder, 'bad.onnx'), identityModel('BF16'))
    const { stdout, stderr, exitCode } = place.run(['models', 'check', 'bad.onnx'])
    expect([exitCode, stdout, stderr]).toEqual([
      1,
      '',
      expect.stringContaining('bad.onnx cannot be served: an input or output has the type BF16'),
    ])
  })
})

describe('vestal models, of a running server', () => {
  test('are looked at, run, unloaded and loaded again', async () => {
    using place = new Workplace()
    cpSync(join(MODELS, 'iris'), join(place.folder, 'models/iris'), { recursive: true })
    writeFileSync(join(place.folder, 'x.csv'), CSV)
    const environment = { VESTAL_MODELS: 'models', VESTAL_SECRET: SECRET }
    const { base, child } = await place.start(['--model-control', 'explicit'], environment)
    const ask = (words: readonly string[], more: Readonly<Record<string, string>> = {}) =>
      place.run(['models', ...words, '--url', base], { ...environment, ...more })
    try {
      expect(JSON.parse(ask(['inspect', 'iris']).stdout)).toMatchObject({
        name: 'iris',
        configuration: { platform: 'onnxruntime_onnx' },
      })
      const remote = ask(['run', 'iris', '--input', 'x.csv'])
      expect([remote.exitCode, remote.stderr]).toEqual([0, ''])
      expect(remote.stdout).toContain('"label":"virginica"')
      expect(ask(['list']).stdout).toMatch(
        /^NAME .*\niris +1 +X FP32\[-1,4\] .* ready +shared: the graph keeps rows apart, .*\n$/,
      )
      expect(ask(['unload', 'iris']).stdout).toBe('iris: unloaded\n')
      const refused = ask(['run', 'iris', '--input', 'x.csv'])
      expect([refused.exitCode, refused.stderr]).toEqual([1, expect.stringContaining('the server answered 404')])
      expect(ask(['load', 'iris', '--version', '1']).stdout).toBe('iris: loaded\n')
      expect(ask(['load', 'gone']).exitCode).toBe(1)
      const weak = signJwt({ sub: 'me', data: { permissions: ['model:iris:read'] } }, SECRET)
      const forbidden = ask(['unload', 'iris'], { VESTAL_CLIENT_TOKEN: weak })
      expect([forbidden.exitCode, forbidden.stderr]).toEqual([1, expect.stringContaining('the server answered 403')])
    } finally {
      child.kill()
      await child.exited
    }
  })

  test('are loaded and unloaded with the models of a pipeline, each with the permission that its own folder names', async () => {
    using place = new Workplace()
    cpSync(join(MODELS, 'iris'), join(place.folder, 'models/iris'), { recursive: true })
    mkdirSync(join(place.folder, 'models/chain'))
    writeFileSync(join(place.folder, 'models/iris/model.toml'), '[permissions]\nadmin = "team:flowers:admin"\n')
    const steps = '[[steps]]\nmodel = "iris"\ninputs = { X = "x" }\noutputs = { label = "y", probabilities = "p" }\n'
    writeFileSync(join(place.folder, 'models/chain/pipeline.toml'), steps)
    const environment = { VESTAL_MODELS: 'models', VESTAL_SECRET: SECRET }
    const { base, child } = await place.start(['--model-control', 'explicit', '--load-model', 'none'], environment)
    const ask = (words: readonly string[], more: Readonly<Record<string, string>> = {}) =>
      place.run(['models', ...words, '--url', base], { ...environment, ...more })
    try {
      expect(ask(['load', 'chain'])).toMatchObject({ exitCode: 0, stdout: 'chain: loaded\n', stderr: '' })
      const own = signJwt({ sub: 'me', data: { permissions: ['model:chain:admin'] } }, SECRET)
      expect(ask(['unload', 'chain', '--dependents'], { VESTAL_CLIENT_TOKEN: own })).toMatchObject({
        exitCode: 0,
        stdout: 'chain: unloaded\niris: not unloaded; it requires the permission team:flowers:admin\n',
      })
      expect(ask(['unload', 'chain', '--dependents'])).toMatchObject({ exitCode: 0, stdout: 'chain: unloaded\n' })
    } finally {
      child.kill()
      await child.exited
    }
  })

  test('that is not there is reported, and so are words that make no sense', () => {
    using place = new Workplace()
    const cases: readonly (readonly [args: readonly string[], exitCode: number, message: string])[] = [
      [
        ['load', 'iris', '--url', 'http://127.0.0.1:1'],
        1,
        'http://127.0.0.1:1 cannot be reached: nothing listens there; is the server started?',
      ],
      [['load', 'iris', '--url', 'file:///x'], 2, '--url: must be an http or https address'],
      [['load', 'iris', '--version', 'new', '--url', 'http://127.0.0.1:1'], 2, '--version: must be a whole number from 1 up'],
      [['load'], 2, 'models load: needs the name of a model'],
      [['check'], 2, 'models check: needs a model file'],
      [['list', 'iris'], 2, 'models list: takes no more words'],
      [['check', 'gone.onnx'], 1, 'gone.onnx: there is no such file'],
      [['inspect', 'iris', '--version', '9'], 1, 'iris: there is no version 9; there is 1'],
      [['fly', 'iris'], 2, 'models: "fly" is not one of list, inspect, load, unload, run, check'],
    ]
    for (const [args, exitCode, message] of cases) {
      const done = place.run(['models', ...args])
      expect([done.exitCode, done.stdout, done.stderr]).toEqual([exitCode, '', expect.stringContaining(message)])
    }
  })

  test('a long file is computed row for row', () => {
    using place = new Workplace()
    const line = '[5.1,3.5,1.4,0.2]\n'
    writeFileSync(join(place.folder, 'long.ndjson'), line.repeat(60_000))
    const { exitCode, stderr } = place.run([
      'models',
      'run',
      'iris',
      '--input',
      'long.ndjson',
      '--output',
      'out.ndjson',
      '--rows',
      '2000',
    ])
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(readFileSync(join(place.folder, 'out.ndjson'), 'utf8').split('\n')).toHaveLength(60_001)
  })
})
