import { afterAll, describe, expect, test } from 'bun:test'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encode } from '../../src/tasks/text/tokenizer-pool.ts'
import { DOORS } from '../support/doors.ts'
import { blocksOf } from '../support/page.ts'
import { REAL_MODELS, realModel } from '../support/real-models.ts'
import { seeded } from '../support/seed.ts'
import { bundledEngine, createServer } from '../support/server.ts'
import { textInput } from '../support/text-models.ts'
import { bearer, tokenWith } from '../support/tokens.ts'
import { hasTool } from '../support/tools.ts'

const python = process.env.VESTAL_TEST_TEXTS_PYTHON
const minilm = realModel('minilm')
const FIXTURES = join(import.meta.dir, '../models/text')

async function ask(question: object): Promise<unknown[]> {
  const script = join(import.meta.dir, 'text_truth.py')
  const child = Bun.spawn([python ?? '', script], {
    stdin: Buffer.from(JSON.stringify(question)),
    stdout: 'pipe',
    stderr: 'inherit',
  })
  return JSON.parse(await new Response(child.stdout).text())
}

/** Texts of any code points, and of words of many scripts. */
function drawnTexts(count: number): readonly string[] {
  const random = seeded('text-truth')
  const below = (most: number) => Math.floor(random() * most)
  const ranges = [
    [0x20, 0x7e],
    [0xa0, 0x24f],
    [0x300, 0x36f],
    [0x370, 0x5ff],
    [0x600, 0x6ff],
    [0x900, 0xdff],
    [0x1100, 0x11ff],
    [0x2000, 0x2bff],
    [0x3040, 0x30ff],
    [0x4e00, 0x9fff],
    [0xac00, 0xd7a3],
    [0xfb00, 0xffef],
    [0x1d400, 0x1d7ff],
    [0x1f300, 0x1faff],
    [0x20000, 0x2a6df],
    [0xe0000, 0xe007f],
  ] as const
  const from = ([low, high]: readonly [number, number]) => String.fromCodePoint(low + below(high - low + 1))
  const anywhere = () => {
    const point = below(0x110000)
    return point >= 0xd800 && point <= 0xdfff ? ' ' : String.fromCodePoint(point)
  }
  return Array.from({ length: count }, (_, index) =>
    Array.from({ length: 1 + below(60) }, () => {
      if (index % 3 === 0) return anywhere()
      return below(5) === 0 ? ' ' : from(ranges[below(ranges.length)] ?? [0x20, 0x7e])
    }).join(''),
  )
}

if (hasTool('Python with test/clients/texts-requirements.txt (VESTAL_TEST_TEXTS_PYTHON)', python)) {
  describe('tokens of many texts are those of Python', async () => {
    const byHand: readonly string[] = await Bun.file(join(FIXTURES, 'texts.json')).json()
    const texts = [...byHand, ...drawnTexts(2400)]
    const files = ['bert', 'roberta', 'unigram'].map((name) => join(FIXTURES, `${name}.json`))
    if (minilm !== undefined) files.push(join(minilm, 'tokenizer.json'))
    for (const path of files) {
      test(path.split('/').slice(-2).join('/'), async () => {
        const { tokenizer: file } = await textInput(path)
        // The cast: the script says what it answers.
        const truth = (await ask({ tokenizer: path, texts })) as [number[], number[][]][]
        for (let begin = 0; begin < texts.length; begin += 64) {
          const some = texts.slice(begin, begin + 64)
          const encoded = await encode({ file, texts: some, tokensMax: 2 ** 31, cut: 'right', hasDetails: true })
          for (const [index, text] of encoded.entries()) {
            const [window] = 'windows' in text ? text.windows : []
            const { starts = [], ends = [] } = window?.details ?? {}
            const own = { ids: window?.ids, offsets: starts.map((start, token) => [start, ends[token]]) }
            const [ids, offsets] = truth[begin + index] ?? [[], []]
            expect({ text: some[index], ids: own.ids, offsets: own.offsets }).toEqual({ text: some[index], ids, offsets })
          }
        }
      }, 120_000)
    }
  })

  if (hasTool(REAL_MODELS, minilm)) {
    describe('all-MiniLM-L6-v2 from its folder', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'vestal-minilm-'))
      cpSync(minilm, join(folder, 'minilm'), { recursive: true })
      const engine = await bundledEngine(folder)
      const door = DOORS[0]?.(createServer(engine)) ?? expect.unreachable()
      afterAll(async () => {
        await engine.stop()
        rmSync(folder, { recursive: true })
      })
      const embed = async <Input extends string | readonly string[]>(input: Input) => {
        const response = await door.fetch('/models/minilm/predict/', {
          method: 'POST',
          headers: bearer('*'),
          body: JSON.stringify({ input }),
        })
        const body = (await response.json()) as { readonly output: unknown }
        expect([response.status, body]).toEqual([200, expect.objectContaining({ output: expect.anything() })])
        return body.output as Input extends string ? number[] : number[][]
      }
      const dot = (one: readonly number[], other: readonly number[]) =>
        one.reduce((sum, value, place) => sum + value * (other[place] ?? 0), 0)
      const furthest = (one: readonly number[], other: readonly number[]) =>
        Math.max(...one.map((value, place) => Math.abs(value - (other[place] ?? 0))))
      const words = 'the river of words goes on and on until it meets another one in the sea'.split(' ')
      const mixed = Array.from({ length: 32 }, (_, index) =>
        Array.from({ length: 1 + ((index * 37) % 290) }, (_, place) => words[(place * 7 + index) % words.length]).join(' '),
      )

      test('is asked as the guide says', async () => {
        const page = await Bun.file(join(import.meta.dir, '../../docs/guides/serve-an-embedding-model.md')).text()
        const [command, printed] = blocksOf(page).filter(({ text, mark }) => text.includes('curl') || mark?.kind === 'prints')
        const socket = DOORS[1]?.(createServer(engine)) ?? expect.unreachable()
        // What signs tokens for the reader signs them for another server here.
        const token = `vestal() { echo '${tokenWith(['model:minilm:predict'])}'; }`
        const script = `${token}\n${command?.text.replaceAll('http://127.0.0.1:8000', socket.base)}`
        const child = Bun.spawn(['bash', '-c', script], { stdout: 'pipe', stderr: 'inherit' })
        const { output } = JSON.parse(await new Response(child.stdout).text())
        await socket.close()
        expect(output).toEqual(JSON.parse(printed?.text ?? '').output.map((value: number) => expect.closeTo(value, 5)))
      }, 60_000)

      test('has the known cosines', async () => {
        const [eating = [], bread = [], sky = []] = await embed([
          'A man is eating food.',
          'A man is eating a piece of bread.',
          'The sky is blue today.',
        ])
        expect(dot(eating, bread)).toBeCloseTo(0.7535, 4)
        expect(dot(eating, sky)).toBeCloseTo(-0.0144, 4)
        expect(dot(eating, eating)).toBeCloseTo(1, 5)
      }, 60_000)

      test('gives each text the vector that sentence-transformers computes, alone and among 31 of other lengths', async () => {
        const truth = (await ask({ folder: minilm, texts: mixed })) as number[][]
        const together = await embed(mixed)
        for (const [index, vector] of together.entries()) {
          expect([index, furthest(vector, truth[index] ?? []) < 1e-5]).toEqual([index, true])
        }
        for (const index of [0, 7, 19, 31]) {
          const alone = await embed(mixed[index] ?? '')
          expect([index, furthest(alone, together[index] ?? []) < 1e-5]).toEqual([index, true])
        }
      }, 120_000)
    })
  }
}
