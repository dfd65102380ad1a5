import type { math } from './math.ts'
import type { ModelTensor, TensorLike } from './model-tensor.ts'
import { formOf, hasInnerPicture, isSchema, type ValueOf, type ValueSchema } from './schema.ts'

/** Tensors by name. */
export type Inputs = Readonly<Record<string, TensorLike>>
export type Outputs = Readonly<Record<string, ModelTensor>>
type Awaitable<T> = T | Promise<T>

declare global {
  /** Models that are served, by name, with what they take and give; `vestal models types` writes it. */
  interface VestalModels {}
}

type InputOf<Name> = Name extends keyof VestalModels
  ? VestalModels[Name] extends { input: infer Input }
    ? Input
    : unknown
  : unknown
// biome-ignore lint/suspicious/noExplicitAny: a model of which nothing is known gives anything, as JSON.parse does
type OutputOf<Name> = Name extends keyof VestalModels ? (VestalModels[Name] extends { output: infer Output } ? Output : any) : any

/** How a served model is asked. */
export interface CallOptions {
  /** The `parameters` of a model with a task, such as `{ top_k: 1 }`; default none. */
  readonly parameters?: Readonly<Record<string, unknown>>
}

/** What the functions of a model can use. */
export interface Context<File extends string = string, Call extends string = string> {
  /**
   * Computes one of the model's files: one request, which shares runs with others that come meanwhile.
   * @throws Error where the inputs do not fit, and CallError where it could not be computed
   */
  readonly run: (file: File, inputs: Inputs, options?: { readonly outputs?: readonly string[] }) => Promise<Outputs>
  /**
   * Asks another served model, with the rights and the time of the caller: what `POST /models/NAME/predict/` answers as `output` to
   * this as `input`, and to the `parameters` of its task; a model of pictures gets a `Picture`. The model must be among `calls`.
   * @throws CallError where it rejects the input or a parameter, or cannot compute it
   */
  readonly call: <const Name extends Call>(model: Name, input: InputOf<Name>, options?: CallOptions) => Promise<OutputOf<Name>>
  /** Aborted when the caller is gone, or the time of the request is over. */
  readonly signal: AbortSignal
  /** Milliseconds that are left. */
  readonly timeLeftMs: () => number
  /** Who asks; its token is not known here. */
  readonly caller: { readonly subject: string | undefined }
  /** Labels of the model's outputs, of `model.toml`, the ONNX file or `config.json`: those of the first output that has some. */
  readonly labels: readonly string[]
  /** Labels by output. */
  readonly labelsOf: (output: string) => readonly string[]
  /** That of the `tokenizer.json` in the model's folder, for the first of its files. */
  readonly tokenizer: {
    /**
     * The inputs of the file for a text, or for two that it reads together: one row. A text that is too long is cut, or rejected
     * where `truncate` is false.
     * @throws Error where the folder has no tokenizer, CallError where the text cannot be encoded
     */
    readonly encode: (text: string | readonly [string, string], options?: { readonly truncate?: boolean }) => Promise<Outputs>
    /** The text of ids. @throws as `encode` */
    readonly decode: (ids: Iterable<number | bigint>, options?: { readonly skipSpecialTokens?: boolean }) => Promise<string>
  }
  readonly math: typeof math
}

/** What `setup` can use: there is no caller yet. */
export type SetupContext<File extends string = string> = Pick<Context<File>, 'run' | 'labels' | 'labelsOf' | 'math'>

/** The part that all forms of a model share. */
interface Common<I extends ValueSchema, O extends ValueSchema, File extends string, Call extends string> {
  /** What it does, for the documentation. */
  readonly description?: string
  /** ONNX files by a name of your choice, as paths inside the model's folder. Default: `model.onnx` of the folder's newest version. */
  readonly files?: Readonly<Record<File, string>>
  /** Served models that `call` may ask. */
  readonly calls?: readonly Call[]
  readonly input: I
  readonly output: O
  /** Inputs for the documentation. Each is computed when the model is loaded: one that fails keeps it from serving. */
  readonly examples?: readonly unknown[]
  /** How requests share runs of the files. */
  readonly batch?: {
    /** Rows of one run; 1 lets none share; default 32. */
    readonly rows?: number
    /** Milliseconds that the first of a batch waits for others; default 0. */
    readonly delayMs?: number
  }
  readonly limits?: {
    /** Milliseconds that a request may take in all; default the server's `timeout`. */
    readonly ms?: number
    /** Requests that are in the functions at once; default 32. */
    readonly atOnce?: number
  }
  /** Runs once in each process before it serves. */
  readonly setup?: (context: SetupContext<File>) => Awaitable<void>
}

/** `before`, the file, `after`. */
export interface AroundFile<Input, Output, C> {
  readonly before: (input: Input, context: C) => Awaitable<Inputs>
  readonly predict?: undefined
  readonly after: (outputs: Outputs, context: C, input: Input) => Awaitable<Output>
}

/** Only `predict`. */
export interface Predict<Input, Output, C> {
  readonly before?: undefined
  readonly predict: (input: Input, context: C) => Awaitable<Output> | AsyncIterable<Output>
  readonly after?: undefined
}

/** A model as `model.ts` defines it. */
export type ModelDefinition<
  I extends ValueSchema = ValueSchema,
  O extends ValueSchema = ValueSchema,
  File extends string = string,
  Call extends string = string,
> = Common<I, O, File, Call> &
  (Predict<ValueOf<I>, ValueOf<O>, Context<File, Call>> | AroundFile<ValueOf<I>, ValueOf<O>, Context<File, Call>>)

/** By which a definition is known, also where it was made by another copy of this module. */
const BRAND = Symbol.for('vestal.model.definition')

/** A definition that was checked. */
export type DefinedModel = ModelDefinition & { readonly [BRAND]: true }

const KEYS = new Set([
  'description',
  'files',
  'calls',
  'input',
  'output',
  'examples',
  'batch',
  'limits',
  'setup',
  'before',
  'predict',
  'after',
])
const FILES_MAX = 16
const CALLS_MAX = 32
const EXAMPLES_MAX = 32

/**
 * Defines a model: the default export of `models/<name>/model.ts`.
 *
 * @example
 * export default model({
 *   input: t.Object({ age: t.Integer({ minimum: 18 }) }),
 *   output: t.String(),
 *   predict: ({ age }) => (age > 60 ? 'senior' : 'adult'),
 * })
 *
 * @throws TypeError naming the key and the rule
 */
export function model<
  const I extends ValueSchema,
  const O extends ValueSchema,
  const File extends string = string,
  const Call extends string = string,
>(definition: ModelDefinition<I, O, File, Call>): ModelDefinition<I, O, File, Call> {
  checkDefinition(definition)
  return Object.freeze({ ...definition, [BRAND]: true })
}

/** Says whether something was made by `model`. */
export function isDefinedModel(value: unknown): value is DefinedModel {
  return typeof value === 'object' && value !== null && BRAND in value
}

function checkDefinition(definition: object): void {
  const own = definition as Readonly<Record<string, unknown>>
  const other = Object.keys(own).find((key) => !KEYS.has(key))
  if (other !== undefined) throw fault(other, 'is not a key that is known')
  for (const key of ['input', 'output']) checkSchema(key, own[key])
  const { predict, before, after, files = {}, calls = [], examples = [] } = own
  for (const [key, value] of Object.entries({ predict, before, after, setup: own.setup }))
    if (value !== undefined && typeof value !== 'function') throw fault(key, 'must be a function')
  const isAround = before !== undefined && after !== undefined
  if ((predict !== undefined) === isAround || (predict !== undefined && (before ?? after) !== undefined))
    throw fault('predict', 'must be there, or both of "before" and "after"')
  if (typeof files !== 'object' || files === null || Object.keys(files).length > FILES_MAX)
    throw fault('files', `must be an object of at most ${FILES_MAX} paths`)
  for (const [name, path] of Object.entries(files))
    if (typeof path !== 'string' || path === '') throw fault(`files.${name}`, 'must be a path')
  const isNames =
    Array.isArray(calls) && calls.length <= CALLS_MAX && calls.every((name) => typeof name === 'string' && name !== '')
  if (!isNames || new Set(calls).size !== calls.length)
    throw fault('calls', `must be a list of at most ${CALLS_MAX} different names of models`)
  if (!Array.isArray(examples) || examples.length > EXAMPLES_MAX)
    throw fault('examples', `must be a list of at most ${EXAMPLES_MAX} inputs`)
  if (examples.length > 0 && isSchema(own.input) && formOf(own.input) === 'image')
    throw fault('examples', 'must be absent where the input is a picture')
  checkNumbers('batch', own.batch, { rows: [1, 65_536, true], delayMs: [0, 10_000, false] })
  checkNumbers('limits', own.limits, { ms: [1, 86_400_000, true], atOnce: [1, 1024, true] })
}

function checkSchema(key: string, schema: unknown): void {
  if (!isSchema(schema)) throw fault(key, 'must be a schema: t.Object({…}), text(), image(), tensor(…), or a Standard Schema')
  if (hasInnerPicture(schema) || (key === 'output' && formOf(schema) === 'image'))
    throw fault(key, 'has an image() where none can be: it is a whole input')
}

type Bounds = Readonly<Record<string, readonly [min: number, max: number, isWhole: boolean]>>

function checkNumbers(key: string, value: unknown, bounds: Bounds): void {
  if (value === undefined) return
  if (typeof value !== 'object' || value === null) throw fault(key, 'must be an object')
  for (const [name, each] of Object.entries(value)) {
    const [min, max, isWhole] = bounds[name] ?? []
    if (min === undefined || max === undefined) throw fault(`${key}.${name}`, 'is not a key that is known')
    const isRight = typeof each === 'number' && each >= min && each <= max && (isWhole !== true || Number.isInteger(each))
    if (each !== undefined && !isRight)
      throw fault(`${key}.${name}`, `must be a ${isWhole === true ? 'whole ' : ''}number from ${min} to ${max}`)
  }
}

function fault(key: string, rule: string): TypeError {
  return new TypeError(`model({ ${key} }): "${key}" ${rule}`)
}
