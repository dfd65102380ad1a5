/** `vestal/testing`: tries a `model.ts` in a test, without a server. */
import { existsSync } from 'node:fs'
import { basename, join, resolve } from 'node:path'
import { NO_TOKENIZER, openTokenizer } from '../inference/code/code-tokenizer.ts'
import { createEngine } from '../inference/create-engine.ts'
import type { OwnEngine } from '../inference/engine.ts'
import { codeIn } from '../inference/repository/code-model.ts'
import { readDefinition } from '../inference/repository/definition.ts'
import { type CallOptions, isDefinedModel } from '../model/definition.ts'
import { describeModel, type FileFacts, RunnableModel, type Services } from '../model/execute.ts'
import { folderLabels } from '../tasks/folder/folder-labels.ts'

export interface OpenOptions {
  /** What the models in `calls` answer, by name: the input of the call, and its options, give its output. */
  readonly fakes?: Readonly<Record<string, (input: never, options: CallOptions) => unknown>>
  /** `caller.subject`; default `tester`. */
  readonly caller?: string
}

/** A `model.ts` that is open in a test. */
export interface OpenModel extends AsyncDisposable {
  /**
   * What the model answers to an input.
   * @throws Refusal, InputFault, OutputFault, and whatever the functions throw
   */
  readonly predict: (input: unknown) => Promise<unknown>
  /** The outputs of `async *predict`, one after the other. */
  readonly stream: (input: unknown) => AsyncGenerator<unknown, void>
  /** Ends the processes that compute its files. */
  readonly close: () => Promise<void>
}

/**
 * Opens the `model.ts` of a folder in this process. Its ONNX files are computed and its texts encoded as a server does; the models that it
 * calls are fakes.
 *
 * @example
 * await using m = await open('models/read-receipt', { fakes: { 'read-line': () => 'milk 1.29' } })
 * expect(await m.predict(picture)).toEqual(['milk 1.29'])
 *
 * @throws Error where the folder, a file or the definition is wrong
 */
export async function open(folder: string, { fakes = {}, caller = 'tester' }: OpenOptions = {}): Promise<OpenModel> {
  const path = resolve(folder)
  const name = basename(path)
  const definition = readDefinition(path, name)
  const found = codeIn({ folder: path, definition, numbers: versionsIn(path), isConfigured: false })
  if (found.reason !== undefined) throw new Error(`${name}: ${found.reason}`)
  const loaded: { readonly default?: unknown } = await import(found.code.entry)
  if (!isDefinedModel(loaded.default)) throw new Error(`${name}: the default export of model.ts must be model({ … })`)
  const { files = found.code.file === undefined ? {} : { model: found.code.file }, limits } = describeModel(loaded.default)
  const names = Object.keys(files)
  const engine = await engineOf(Object.values(files).map((file) => join(path, file)))
  const versionOf = (file: string) => engine?.model(nameOf(names.indexOf(file)))?.versions[0]
  const facts = names.map((file): readonly [string, FileFacts] => {
    const version = versionOf(file)
    if (version?.state !== 'ready') throw new Error(`${name}: the file '${file}' cannot be loaded: ${version?.reason}`)
    return [file, { inputs: version.inputs, outputs: version.outputs }]
  })
  const graph = names[0] === undefined ? undefined : versionOf(names[0])
  const tokenizer = graph && (await openTokenizer(path, definition.file.tasks, graph))
  const own = [...names.flatMap((file) => [...(versionOf(file)?.labels ?? [])]), ...definition.file.labels]
  const labels = own.length > 0 ? own : folderLabels(path, graph?.outputs ?? [])
  const noTokenizer = graph === undefined ? 'the model has no file' : tokenizer === undefined ? NO_TOKENIZER : tokenizer.reason
  const model = new RunnableModel(loaded.default, {
    files: Object.fromEntries(facts),
    labels: Object.fromEntries(labels),
    ...(noTokenizer !== undefined && { noTokenizer }),
  })
  const { signal } = new AbortController()
  const services: Services = {
    run: async (file, inputs, outputs) => {
      if (engine === undefined) throw new Error('the model has no files')
      return engine.infer(nameOf(names.indexOf(file)), '1', inputs, { outputs })
    },
    call: async (called, input, options) => {
      const fake = Object.hasOwn(fakes, called) ? fakes[called] : undefined
      if (fake === undefined)
        throw new Error(`there is no fake for the model '${called}': open(…, { fakes: { '${called}': (input) => … } })`)
      // The cast: a fake says what it takes, and the code what it sends.
      return fake(input as never, options)
    },
    encode: async (text, { truncate }) => (await tokenizer?.encode(JSON.stringify({ text, truncate }), signal)) ?? new Map(),
    decode: async (ids, { skipSpecialTokens }) => (await tokenizer?.decode(JSON.stringify({ ids, skipSpecialTokens }))) ?? '',
    signal,
    timeLeftMs: () => limits.ms ?? Number.POSITIVE_INFINITY,
    subject: caller,
  }
  const close = async () => engine?.stop()
  await model.setup(services)
  return {
    predict: (input) => model.answer(input, services),
    stream: (input) => model.stream(input, services),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function nameOf(index: number): string {
  return `file-${index}`
}

async function engineOf(paths: readonly string[]): Promise<OwnEngine | undefined> {
  if (paths.length === 0) return undefined
  const files = new Map(paths.map((path, index) => [nameOf(index), path]))
  return createEngine({ files, instances: 1, threads: 1, warn: () => undefined })
}

/** Numbers of the folders of versions, newest first. */
function versionsIn(folder: string): readonly string[] {
  if (!existsSync(folder)) throw new Error(`there is no folder ${basename(folder)}`)
  const numbers = [...new Bun.Glob('*/model.onnx').scanSync({ cwd: folder })].map((path) => path.split('/')[0] ?? '')
  return numbers.filter((number) => /^[1-9]\d{0,8}$/.test(number)).sort((a, b) => Number(b) - Number(a))
}
