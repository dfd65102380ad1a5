/** MiniLM with nothing around it, as a process of its own: `session-loop.ts <folder> <batches|one> <seconds>` prints what it did. */
import { join } from 'node:path'
import { Tokenizer } from 'tokenizers'
import { loadSession } from '../../src/inference/runtime/ort.ts'
import { usableCores } from '../../src/platform/cores.ts'
import { mixedTexts } from './models.ts'

/** What a loop prints. */
export interface LoopResult {
  /** Texts a second. */
  readonly perSecond: number
  readonly p50Ms: number
  /** The vector of `SHORT`. */
  readonly vector: readonly number[]
}

export const SHORT = 'A man is eating food.'
/** Texts that wait at once, as many as there are callers; and the rules by which Vestal forms its runs. */
const [WAITING, TOKENS_MAX, PADDING_MAX, TEXT_TOKENS_MAX] = [32, 1024, 24, 256] as const

if (import.meta.main) console.log(JSON.stringify(await main(process.argv.slice(2))))

async function main([folder = '', way = 'one', seconds = '1']: readonly string[]): Promise<LoopResult> {
  const tokenizer = Tokenizer.fromFile(join(folder, 'tokenizer.json'))
  tokenizer.disablePadding()
  tokenizer.setTruncation(TEXT_TOKENS_MAX)
  const options = { threads: usableCores(), arena: true, optimization: 'all' } as const
  const session = await loadSession(join(folder, 'onnx/model.onnx'), options)
  const idsOf = async (text: string) => (await tokenizer.encode(text)).getIds()
  const run = async (rows: readonly (readonly number[])[]) => {
    const tensors = tensorsOf(rows)
    const inputs = session.inputs.map(
      ({ name }) => tensors[name === 'input_ids' ? 'ids' : name === 'attention_mask' ? 'mask' : 'types'],
    )
    const { outputs } = await session.run(inputs)
    return outputs[0]
  }
  const embedShort = async () => {
    const ids = await idsOf(SHORT)
    // The cast: the model's output is FP32.
    return meanOf((await run([ids]))?.data as Float32Array, ids.length)
  }
  const vector = await embedShort()
  const batches = way === 'batches' ? batchesOf(await Promise.all(mixedTexts(320).map(idsOf))) : []
  const step = async (index: number) => {
    if (way === 'one') await embedShort()
    else await run(batches[index % batches.length] ?? [])
  }
  for (let index = 0; index < 16; index += 1) await step(index)
  const times: number[] = []
  let texts = 0
  const begun = performance.now()
  for (
    let index = 0;
    performance.now() < begun + Number(seconds) * 1000 || index % Math.max(1, batches.length) !== 0;
    index += 1
  ) {
    const sent = performance.now()
    await step(index)
    times.push(performance.now() - sent)
    texts += batches[index % batches.length]?.length ?? 1
  }
  const perSecond = (texts * 1000) / (performance.now() - begun)
  times.sort((a, b) => a - b)
  return { perSecond, p50Ms: times[Math.floor(times.length / 2)] ?? Number.NaN, vector }
}

/** The runs of texts that wait together: near lengths share one as far as padding costs less than a run. */
function batchesOf(texts: readonly (readonly number[])[]): readonly (readonly (readonly number[])[])[] {
  const batches: (readonly number[])[][] = []
  for (let begin = 0; begin < texts.length; begin += WAITING) {
    const waiting = texts.slice(begin, begin + WAITING).sort((a, b) => b.length - a.length)
    let batch: (readonly number[])[] = []
    for (const text of waiting) {
      const longest = batch[0]?.length ?? text.length
      if (batch.length > 0 && (longest - text.length > PADDING_MAX || (batch.length + 1) * longest > TOKENS_MAX)) {
        batches.push(batch)
        batch = []
      }
      batch.push(text)
    }
    batches.push(batch)
  }
  return batches
}

function tensorsOf(rows: readonly (readonly number[])[]) {
  const longest = Math.max(...rows.map(({ length }) => length))
  const tensor = () =>
    ({ datatype: 'INT64', shape: [rows.length, longest], data: new BigInt64Array(rows.length * longest) }) as const
  const [ids, mask, types] = [tensor(), tensor(), tensor()]
  for (const [row, values] of rows.entries()) {
    for (const [place, value] of values.entries()) {
      ids.data[row * longest + place] = BigInt(value)
      mask.data[row * longest + place] = 1n
    }
  }
  return { ids, mask, types }
}

function meanOf(hidden: Float32Array, tokens: number): readonly number[] {
  const width = hidden.length / tokens
  const sums = Array.from({ length: width }, (_, place) => {
    let sum = 0
    for (let token = 0; token < tokens; token += 1) sum += hidden[token * width + place] ?? 0
    return sum / tokens
  })
  const length = Math.hypot(...sums)
  return sums.map((value) => value / length)
}
