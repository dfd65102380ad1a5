import { describe, expect, test } from 'bun:test'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import sharp from 'sharp'
import { Workplace } from '../support/command-line.ts'
import { colourModel } from '../support/picture-models.ts'
import { scoreFolder, sentenceFolder, writeFolder } from '../support/text-folders.ts'
import { SECRET } from '../support/tokens.ts'

const CLASSIFIER = join(import.meta.dir, '../../examples/text-classifier/sentiment')
const COLOURS =
  'task = "image-classify"\n[image]\nsize = 4\nmean = 0\nstd = 1\n[scores]\nlabels = ["red", "green", "blue"]\nactivation = "none"'
const TEXTS = 'I would buy it again\n\nIt broke on the first day\r\n  "excellent", great \n'
const TOP = ['--parameters', '{"top_k": 1}']

async function placeWithModels(): Promise<Workplace> {
  const place = new Workplace()
  const models = join(place.folder, 'models')
  cpSync(CLASSIFIER, join(models, 'sentiment'), { recursive: true })
  await writeFolder(join(models, 'sentences'), sentenceFolder())
  await writeFolder(join(models, 'ranks'), scoreFolder('BertForSequenceClassification', ['score']))
  await writeFolder(join(models, 'colours'), { 'model.onnx': colourModel(), 'model.toml': COLOURS })
  return place
}

function runIn(place: Workplace) {
  return (...args: readonly string[]) => {
    const { stdout, stderr, exitCode } = place.run(['models', 'run', ...args], { VESTAL_MODELS: 'models', VESTAL_SECRET: SECRET })
    return [exitCode, stdout, stderr] as const
  }
}

const labelsOf = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    // The cast: each caller compares what it gets.
    .map((line) => (JSON.parse(line) as readonly { readonly label: string }[])[0]?.label)

async function writePicture(path: string, background: string): Promise<void> {
  writeFileSync(
    path,
    await sharp({ create: { width: 9, height: 7, channels: 3, background } })
      .png()
      .toBuffer(),
  )
}

describe('vestal models run, for a model with a task', () => {
  test('takes lines of text, NDJSON and JSON, and gives a row for each', async () => {
    using place = await placeWithModels()
    const run = runIn(place)
    const list = ['I would buy it again', 'It broke on the first day', '  "excellent", great ']
    writeFileSync(join(place.folder, 'x.txt'), TEXTS)
    writeFileSync(join(place.folder, 'x.ndjson'), list.map((text) => `${JSON.stringify(text)}\n`).join(''))
    writeFileSync(join(place.folder, 'x.json'), JSON.stringify({ input: list }))
    const [exitCode, stdout, stderr] = run('sentiment', '--input', 'x.txt')
    expect([exitCode, stderr, labelsOf(stdout)]).toEqual([0, '', ['positive', 'negative', 'positive']])
    for (const file of ['x.ndjson', 'x.json']) expect(run('sentiment', '--input', file)).toEqual([0, stdout, ''])
    expect(run('sentiment', '--input', 'x.txt', '--rows', '1')).toEqual([0, stdout, ''])
    expect(run('sentiment', '--input', 'x.txt', '--output-format', 'csv', ...TOP)[1]).toMatch(
      /^output\[0\]\.label,output\[0\]\.score\npositive,0\.\d+\nnegative,0\.\d+\npositive,0\.\d+\n$/,
    )
  })

  test('writes vectors as .npy, ranks a query with its texts, and takes pairs of texts', async () => {
    using place = await placeWithModels()
    const run = runIn(place)
    writeFileSync(join(place.folder, 'x.txt'), 'good film\nbad film\n')
    writeFileSync(join(place.folder, 'ranks.ndjson'), '{"query":"good","texts":["bad","good","film"]}\n'.repeat(2))
    writeFileSync(join(place.folder, 'pairs.ndjson'), '{"text":"It broke","text_pair":"terrible"}\n')
    expect(run('sentences', '--input', 'x.txt', '--output', 'x.npy')).toEqual([0, '', ''])
    const vectors = await Bun.file(join(place.folder, 'x.npy')).bytes()
    expect(new TextDecoder('latin1').decode(vectors)).toContain("'shape': (2, 4)")
    const [, printed] = run('sentences', '--input', 'x.txt')
    const numbers = new Float32Array(vectors.slice(-32).buffer)
    expect(
      printed
        .trim()
        .split('\n')
        .flatMap((line) => JSON.parse(line) as number[]),
    ).toEqual([...numbers].map((x) => expect.closeTo(x, 6)))
    const [code, ranks, stderr] = run('ranks', '--input', 'ranks.ndjson')
    const lines = ranks
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as readonly { index: number }[])
    expect([code, stderr, lines.map((line) => line.map(({ index }) => index).sort())]).toEqual([
      0,
      '',
      [
        [0, 1, 2],
        [0, 1, 2],
      ],
    ])
    expect(labelsOf(run('sentiment', '--input', 'pairs.ndjson')[1])).toEqual(['negative'])
  })

  test('takes pictures: one, several, a folder; each answer names its file', async () => {
    using place = await placeWithModels()
    const run = runIn(place)
    const [pictures, at] = [join(place.folder, 'pictures'), (name: string) => join(place.folder, name)]
    mkdirSync(pictures)
    await writePicture(join(pictures, 'b.png'), 'blue')
    await writePicture(join(pictures, 'a.PNG'), 'red')
    await writePicture(at('lime.png'), 'lime')
    writeFileSync(join(pictures, 'notes.md'), 'no picture')
    const red = '{"file":"pictures/a.PNG","output":[{"label":"red","score":1}]}\n'
    const blue = '{"file":"pictures/b.png","output":[{"label":"blue","score":1}]}\n'
    const green = '{"file":"lime.png","output":[{"label":"green","score":1}]}\n'
    expect(run('colours', '--input', 'pictures', '--input', 'lime.png', ...TOP)).toEqual([0, red + blue + green, ''])
    expect(run('colours', '--input', 'lime.png', '--output-format', 'csv', ...TOP)[1]).toBe(
      'file,output[0].label,output[0].score\nlime.png,green,1\n',
    )
    writeFileSync(at('x.ndjson'), `${JSON.stringify((await Bun.file(at('lime.png')).bytes()).toBase64())}\n`)
    expect(run('colours', '--input', 'x.ndjson', ...TOP)).toEqual([0, '[{"label":"green","score":1}]\n', ''])
    writeFileSync(at('broken.png'), 'no picture')
    const [exitCode, stdout, stderr] = run('colours', '--input', 'lime.png', '--input', 'broken.png', '--output', 'y.ndjson')
    expect([exitCode, stdout, stderr]).toEqual([1, '', expect.stringMatching(/^broken\.png: The picture /)])
    expect([...new Bun.Glob('y.*').scanSync(place.folder)]).toEqual([])
  })

  test('asks a running server for the same', async () => {
    using place = await placeWithModels()
    const server = await place.start([], { VESTAL_MODELS: 'models', VESTAL_SECRET: SECRET })
    try {
      const run = runIn(place)
      writeFileSync(join(place.folder, 'x.txt'), TEXTS)
      writeFileSync(join(place.folder, 'ranks.ndjson'), '{"query":"good","texts":["bad","good"]}\n')
      await writePicture(join(place.folder, 'lime.png'), 'lime')
      for (const args of [
        ['sentiment', '--input', 'x.txt', ...TOP],
        ['ranks', '--input', 'ranks.ndjson'],
        ['colours', '--input', 'lime.png'],
      ]) {
        const local = run(...args)
        expect(local[0]).toBe(0)
        expect(run(...args, '--url', server.base)).toEqual(local)
      }
    } finally {
      server.child.kill()
      await server.child.exited
    }
  })

  test('names the line, the field or the flag that is wrong', async () => {
    using place = await placeWithModels()
    const run = runIn(place)
    writeFileSync(join(place.folder, 'x.txt'), TEXTS)
    writeFileSync(join(place.folder, 'x.ndjson'), '"good"\n7\n')
    mkdirSync(join(place.folder, 'empty'))
    const cases: readonly (readonly [readonly string[], number, string])[] = [
      [['sentiment', '--input', 'x.ndjson'], 1, 'x.ndjson line 2: '],
      [
        ['sentiment', '--input', 'x.txt', '--parameters', '{"topk": 1}'],
        1,
        '"parameters.topk" is not a field of this body; did you mean top_k?',
      ],
      [['sentiment', '--input', 'x.txt', '--parameters', '[1]'], 2, '--parameters: must be a JSON object'],
      [['sentiment', '--input', 'x.txt', '--input', 'x.txt'], 2, '--input: must be given once'],
      [['sentiment', '--input', 'x.txt', '--input-format', 'csv'], 2, 'csv holds numbers, and the model has a task'],
      [['sentiment', '--input', 'x.txt', '--output', 'x.npy'], 1, 'which .npy cannot hold'],
      [['ranks', '--input', 'x.ndjson', '--rows', '2'], 2, '--rows: must be 1 for a model that ranks'],
      [['colours', '--input', 'empty'], 1, 'empty: the folder has no file that ends with .avif, .gif'],
      [['colours', '--input', 'none.png'], 1, 'none.png: cannot be read: '],
      [['colours', '--input', 'x.png', '--output', 'x.npy'], 2, 'are no numbers, which .npy holds'],
    ]
    for (const [args, code, message] of cases) {
      const [exitCode, stdout, stderr] = run(...args)
      expect([exitCode, stdout, stderr]).toEqual([code, '', expect.stringContaining(message)])
    }
  })

  test('shows on a terminal how far it is', async () => {
    using place = await placeWithModels()
    writeFileSync(join(place.folder, 'x.txt'), TEXTS)
    let shown = ''
    await using terminal = new Bun.Terminal({
      cols: 120,
      rows: 24,
      data: (_terminal, bytes) => {
        shown += new TextDecoder().decode(bytes)
      },
    })
    const child = Bun.spawn([...place.program, 'models', 'run', 'sentiment', '--input', 'x.txt', '--output', 'y.ndjson'], {
      cwd: place.folder,
      env: place.environment({ VESTAL_MODELS: 'models' }),
      terminal,
    })
    expect(await child.exited).toBe(0)
    expect(shown).toContain('[########################] 100 %, 3 rows')
  })
})

test('vestal models run reads lines of text for a model whose tensor is text', () => {
  using place = new Workplace()
  writeFileSync(join(place.folder, 'x.txt'), TEXTS)
  const run = (...args: readonly string[]) => place.run(['models', 'run', ...args])
  const { stdout, stderr } = run('reviews', '--input', 'x.txt', '--output-name', 'label')
  expect([stdout, stderr]).toEqual(['"positive"\n"negative"\n"positive"\n', ''])
  expect(run('simple', '--input', 'x.txt').stderr).toContain('a line of text is one input, and the model has 2')
  expect(run('reviews', '--input', 'x.txt', '--parameters', '{}').stderr).toContain('the model "reviews" has no task')
})
