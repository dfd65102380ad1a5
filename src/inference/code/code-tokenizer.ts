/** The tokenizer of a `model.ts`: the `tokenizer.json` beside it, for the first of its files that takes tokens. */
import { type Static, Type } from '@sinclair/typebox'
import { VestalError } from '../../core/errors.ts'
import { matches } from '../../schema/check.ts'
import type { TaskCall } from '../../tasks/call.ts'
import type { GraphFacts } from '../../tasks/folder/facts.ts'
import { type FolderTexts, readTexts } from '../../tasks/folder/read-texts.ts'
import type { TaskTables } from '../../tasks/folder/task-tables.ts'
import { tensorsOf } from '../../tasks/text/rows.ts'
import { encodeTexts } from '../../tasks/text/texts.ts'
import { decode } from '../../tasks/text/tokenize.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import { samplesOf } from '../batching/task-samples.ts'
import { type PaddingRule, paddingOfTexts } from '../padding.ts'

const Encode = Type.Object({
  text: Type.Union([Type.String(), Type.Tuple([Type.String(), Type.String()])]),
  truncate: Type.Boolean(),
})
const Decode = Type.Object({ ids: Type.Array(Type.Integer()), skipSpecialTokens: Type.Boolean() })

/** Why a model has no tokenizer where its folder has none. */
export const NO_TOKENIZER = 'there is no tokenizer.json in its folder'

/** Encodes texts for the code of a model, and decodes ids. */
export class CodeTokenizer {
  readonly #texts: FolderTexts
  #call: Pick<TaskCall, 'task' | 'inputs'> | undefined
  #graph: GraphFacts | undefined
  /** Why it cannot encode; undefined where it can. */
  reason: string | undefined = 'the model has no file'

  constructor(texts: FolderTexts) {
    this.#texts = texts
  }

  /** Absolute path of `tokenizer.json`, which a worker loads with the model's first file. */
  get path(): string {
    return this.#texts.tokenizer
  }

  /** Takes what a worker has loaded. A file that takes something else than tokens has none, which is no fault of the model. */
  describe(graph: GraphFacts): void {
    try {
      const text = this.#texts.describe(graph)
      this.#graph = graph
      this.#call = { task: { task: 'embedding', text, sources: {} }, inputs: graph.inputs }
      this.reason = undefined
    } catch (error) {
      this.reason = error instanceof Error ? error.message : String(error)
    }
  }

  /** How texts of different lengths share a run of the file. */
  padding(): PaddingRule | undefined {
    return paddingOfTexts(this.#call?.task.text)
  }

  /** Requests to try the file with, which are as those that it will get. */
  samples(): readonly NamedTensors[] {
    return this.#call === undefined || this.#graph === undefined ? [] : samplesOf(this.#call.task, this.#graph)
  }

  /** The inputs of the file for a text: one row. `json` is `{text, truncate}`. @throws VestalError INPUT_TOO_LONG, TOKENIZING_FAILED, as the tokenizers */
  async encode(json: string, signal: AbortSignal): Promise<NamedTensors> {
    const { text, truncate } = checked(Encode, json)
    const call: TaskCall = { ...this.#known(), infer: async () => new Map(), signal }
    const [row] = await encodeTexts(call, [text], { truncate })
    if (row === undefined) throw new VestalError('TOKENIZING_FAILED', { detail: 'the text has no tokens' })
    return tensorsOf(call, row)
  }

  /** The text of ids. `json` is `{ids, skipSpecialTokens}`. @throws VestalError as the tokenizers */
  async decode(json: string): Promise<string> {
    const { ids, skipSpecialTokens } = checked(Decode, json)
    const [text = ''] = await decode(this.#known(), [ids], { skipSpecialTokens })
    return text
  }

  #known(): Pick<TaskCall, 'task' | 'inputs'> {
    if (this.#call === undefined) throw new VestalError('UNSUPPORTED', { detail: `The model has no tokenizer: ${this.reason}` })
    return this.#call
  }
}

/** The tokenizer of a folder; undefined where it has none. @throws Error naming the file that cannot be read */
export function codeTokenizerIn(folder: string, tables: TaskTables | undefined): CodeTokenizer | undefined {
  const texts = readTexts(folder, tables)
  return texts === undefined ? undefined : new CodeTokenizer(texts)
}

/**
 * The tokenizer of a folder, tried in this process: for a test of a model, whose own files cannot surprise it.
 * @throws Error where it cannot be read
 */
export async function openTokenizer(
  folder: string,
  tables: TaskTables | undefined,
  graph: Pick<GraphFacts, 'inputs' | 'outputs'>,
): Promise<CodeTokenizer | undefined> {
  const tokenizer = codeTokenizerIn(folder, tables)
  if (tokenizer === undefined) return undefined
  const { readTokenizer } = await import('../../tasks/folder/tokenizer-facts.ts')
  tokenizer.describe({ ...graph, tokenizer: await readTokenizer(tokenizer.path) })
  return tokenizer
}

/** What the code asks for, which it may have changed. @throws VestalError INPUT_INVALID */
function checked<S extends typeof Encode | typeof Decode>(schema: S, json: string): Static<S> {
  const asked: unknown = JSON.parse(json)
  if (!matches(schema, asked)) throw new VestalError('INPUT_INVALID', { detail: 'the tokenizer takes a text or a pair, or ids' })
  // The cast is what the check establishes.
  return asked as Static<S>
}
