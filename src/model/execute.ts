import type { Fault } from '../schema/check.ts'
import type { NamedTensors, TensorSpec } from '../tensor/tensor.ts'
import type { CallOptions, Context, DefinedModel, Outputs } from './definition.ts'
import { math } from './math.ts'
import { ModelTensor, tensorsOf } from './model-tensor.ts'
import { checkValue, closed, type DescribedValue, describeValue, formOf, type ValueForm } from './schema.ts'

/** What is known of one file of a model, once it is loaded. */
export interface FileFacts {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
}

/** What a model is given to compute with. */
export interface ModelFacts {
  /** By the name that the definition gives them. */
  readonly files: Readonly<Record<string, FileFacts>>
  /** By output. */
  readonly labels: Readonly<Record<string, readonly string[]>>
  /** Why there is no tokenizer; absent where there is one. */
  readonly noTokenizer?: string
}

/** How a request reaches what is outside of the functions. */
export interface Services {
  readonly run: (file: string, inputs: NamedTensors, outputs: readonly string[] | undefined) => Promise<NamedTensors>
  readonly call: (model: string, input: unknown, options: CallOptions) => Promise<unknown>
  readonly encode: (text: string | readonly [string, string], options: { readonly truncate: boolean }) => Promise<NamedTensors>
  readonly decode: (ids: readonly number[], options: { readonly skipSpecialTokens: boolean }) => Promise<string>
  readonly signal: AbortSignal
  readonly timeLeftMs: () => number
  readonly subject: string | undefined
}

/** A definition as plain data. */
export interface DescribedModel {
  readonly description: string
  /** Paths by name; absent where the definition names none. */
  readonly files?: Readonly<Record<string, string>>
  readonly calls: readonly string[]
  readonly input: DescribedValue
  readonly output: DescribedValue
  readonly examples: readonly unknown[]
  readonly batch: { readonly rows?: number; readonly delayMs?: number }
  readonly limits: { readonly ms?: number; readonly atOnce?: number }
  /** It yields outputs: `async *predict`. */
  readonly isStream: boolean
  /** Its functions are `before` and `after`, around its only file. */
  readonly isAroundFile: boolean
}

/** An input that its schema rejects. */
export class InputFault extends Error {
  override readonly name = 'InputFault'
  readonly faults: readonly Fault[]

  constructor(faults: readonly Fault[]) {
    super(faults.map(({ path, rule }) => `${path === '' ? 'input' : path}: ${rule}`).join('; '))
    this.faults = faults
  }
}

/** An output that its schema rejects: a bug of the model. */
export class OutputFault extends Error {}

/** A definition as plain data. */
export function describeModel(definition: DefinedModel): DescribedModel {
  const { description = '', files, calls = [], input, output, examples = [], batch = {}, limits = {} } = definition
  return {
    description,
    ...(files !== undefined && { files: { ...files } }),
    calls: [...calls],
    input: describeValue(input, 'input'),
    output: describeValue(output, 'output'),
    // Through JSON: an example is what a client would send.
    examples: JSON.parse(JSON.stringify(examples)),
    batch: { ...batch },
    limits: { ...limits },
    isStream: Object.prototype.toString.call(definition.predict) === '[object AsyncGeneratorFunction]',
    isAroundFile: definition.before !== undefined,
  }
}

/** Names of an input that would change what an object is, where code copies it. */
const PROTOTYPE = '__proto__'

/** A definition with what it computes with: checks inputs and outputs around its functions. */
export class RunnableModel {
  readonly #definition: DefinedModel
  readonly #facts: ModelFacts
  readonly #input: DefinedModel['input']

  constructor(definition: DefinedModel, facts: ModelFacts) {
    this.#definition = definition
    this.#facts = facts
    this.#input = closed(definition.input)
  }

  /** Runs `setup`. */
  async setup(services: Services): Promise<void> {
    const { run, labels, labelsOf } = this.#context(services)
    await this.#definition.setup?.({ run, labels, labelsOf, math })
  }

  get inputForm(): ValueForm {
    return formOf(this.#definition.input)
  }

  get outputForm(): ValueForm {
    return formOf(this.#definition.output)
  }

  /**
   * Answers one input with one output; what `predict` yields becomes a list.
   * @throws InputFault, OutputFault, and what the functions throw
   */
  async answer(input: unknown, services: Services): Promise<unknown> {
    const outcome = await this.#compute(await this.#checked(input), services)
    if (!isIterable(outcome)) return this.#given(outcome)
    const values: unknown[] = []
    for await (const value of outcome) values.push(await this.#given(value))
    return values
  }

  /**
   * Answers one input with each output as it is yielded; a model that yields nothing gives its only one.
   * @throws InputFault, OutputFault, and what the functions throw
   */
  async *stream(input: unknown, services: Services): AsyncGenerator<unknown, void> {
    const outcome = await this.#compute(await this.#checked(input), services)
    if (!isIterable(outcome)) yield await this.#given(outcome)
    else for await (const value of outcome) yield await this.#given(value)
  }

  async #checked(input: unknown): Promise<unknown> {
    rejectPrototypes(input, '')
    const checked = await checkValue(this.#input, input)
    if (checked.faults !== undefined) throw new InputFault(checked.faults)
    return checked.value
  }

  async #given(value: unknown): Promise<unknown> {
    const checked = await checkValue(this.#definition.output, value)
    if (checked.faults === undefined) return checked.value
    const [{ path, rule } = { path: '', rule: '' }] = checked.faults
    throw new OutputFault(`the output does not match its schema: ${path === '' ? 'it' : `"${path}"`} ${rule}`)
  }

  async #compute(input: unknown, services: Services): Promise<unknown> {
    const definition = this.#definition
    const context = this.#context(services)
    // The casts: the schema has checked the input, and gives what the functions take.
    if (definition.predict !== undefined) return definition.predict(input as never, context)
    const [file = ''] = Object.keys(this.#facts.files)
    const outputs = await context.run(file, await definition.before(input as never, context))
    return definition.after(outputs, context, input as never)
  }

  #context({ run, call, signal, timeLeftMs, subject, ...services }: Services): Context {
    const { files, labels } = this.#facts
    const calls: readonly string[] = this.#definition.calls ?? []
    return {
      async run(file, inputs, options) {
        const facts = Object.hasOwn(files, file) ? files[file] : undefined
        if (facts === undefined)
          throw new Error(`run('${file}'): the model has no such file; it has ${listed(Object.keys(files))}`)
        let tensors: NamedTensors
        try {
          tensors = tensorsOf(inputs, facts.inputs)
        } catch (error) {
          throw new Error(`run('${file}'): ${error instanceof Error ? error.message : String(error)}`)
        }
        return viewsOf(await run(file, tensors, options?.outputs))
      },
      async call(model, input, options = {}) {
        if (!calls.includes(model))
          throw new Error(`call('${model}'): the model is not among "calls", which has ${listed(calls)}`)
        return (await call(model, input, options)) as never
      },
      signal,
      timeLeftMs,
      caller: { subject },
      labels: Object.values(labels)[0] ?? [],
      labelsOf: (output) => (Object.hasOwn(labels, output) ? (labels[output] ?? []) : []),
      tokenizer: this.#tokenizer(services),
      math,
    }
  }

  #tokenizer({ encode, decode }: Pick<Services, 'encode' | 'decode'>): Context['tokenizer'] {
    const { noTokenizer } = this.#facts
    const check = () => {
      if (noTokenizer !== undefined) throw new Error(`tokenizer: the model has none: ${noTokenizer}`)
    }
    return {
      async encode(text, { truncate = true } = {}) {
        check()
        return viewsOf(await encode(text, { truncate }))
      },
      async decode(ids, { skipSpecialTokens = true } = {}) {
        check()
        return decode(Array.from(ids, Number), { skipSpecialTokens })
      },
    }
  }
}

function viewsOf(tensors: NamedTensors): Outputs {
  return Object.fromEntries([...tensors].map(([name, tensor]) => [name, new ModelTensor(tensor)]))
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.map((name) => `'${name}'`).join(', ')
}

function isIterable(value: unknown): value is AsyncIterable<unknown> {
  return typeof value === 'object' && value !== null && Symbol.asyncIterator in value
}

/** Depth of an input that is looked through; JSON of a request is no deeper. */
const DEPTH_MAX = 512

function rejectPrototypes(value: unknown, path: string, depth = 0): void {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value) || value instanceof ModelTensor) return
  if (depth > DEPTH_MAX) throw new InputFault([{ path: path.slice(0, 100), rule: 'is nested too deeply' }])
  for (const key of Object.keys(value)) {
    const place = Array.isArray(value) ? `${path}[${key}]` : path === '' ? key : `${path}.${key}`
    if (key === PROTOTYPE) throw new InputFault([{ path: place.slice(0, 100), rule: 'is a name that is not allowed' }])
    rejectPrototypes((value as Readonly<Record<string, unknown>>)[key], place, depth + 1)
  }
}
