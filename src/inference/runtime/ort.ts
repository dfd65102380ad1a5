import { statSync } from 'node:fs'
import { dirname } from 'node:path'
import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { DATATYPES, datatypeOfOnnx } from '../../tensor/datatypes.ts'
import { ANY_SHAPE } from '../../tensor/shape.ts'
import type { Tensor, TensorData, TensorSpec } from '../../tensor/tensor.ts'
import { bytesOfTensors } from '../batches.ts'
import type { SessionOptions } from '../messages.ts'
import { externalConstantsOf } from '../onnx/external-data.ts'
import { withTensors } from '../onnx/tensors.ts'
import { withPlainLocale } from '../onnx/text-locale.ts'
import { type ModelValues, valuesOf } from '../onnx/values.ts'
import type { RunTiming } from '../statistics.ts'
import { lacksLocale, notATensor } from './load-reason.ts'
import { runReason } from './run-reason.ts'
import { RuntimeFailure, textOf } from './runtime-failure.ts'
import { ThreadChoice } from './thread-choice.ts'
import { pointerAmongWeights, whyNotLoaded } from './why-not-loaded.ts'

/** A loaded model. */
export interface Session {
  readonly inputs: readonly TensorSpec[]
  readonly outputs: readonly TensorSpec[]
  /** Names of the columns of an output, where the model's own file has them. */
  readonly labels: ReadonlyMap<string, readonly string[]>
  /** The model file as it was loaded. */
  readModel(): Promise<Uint8Array>
  /**
   * Computes on this thread until it is done; inputs in the order of the model's, outputs in that of the names, or of the model's.
   * @throws RuntimeFailure
   */
  run(inputs: readonly Tensor[], names?: readonly string[]): Promise<RunResult>
  /** Gives its memory back; it computes nothing any more. */
  release(): Promise<void>
}

export interface RunResult {
  readonly outputs: readonly Tensor[]
  readonly timing: RunTiming
}

/** Only fatal: the caller gets every error, and the runtime's own lines would hold paths. */
const LOG_SEVERITY_FATAL = 4
const RUN_OPTIONS = { logSeverityLevel: LOG_SEVERITY_FATAL } as const

/**
 * Loads a model file on one session of ONNX Runtime.
 * @throws RuntimeFailure, Error; `failureOf` says what of them is safe to show
 */
export async function loadSession(path: string, options: SessionOptions): Promise<Session> {
  const before = stampOf(path)
  const { session, labels, model } = await createReadable(path, options)
  const { inputs, outputs } = await describe(session, { path, model })
  const inputNames = inputs.map(({ name }) => name)
  const outputNames = outputs.map(({ name }) => name)
  const single = await createSingle({ path, model, stamp: before }, options)
  const choose = single === undefined ? (): Chosen => ({ session }) : createChoice(session, single)
  return {
    inputs,
    outputs,
    labels,
    async release() {
      await single?.release()
      await session.release()
    },
    readModel: async () => model ?? (await Bun.file(path).bytes()),
    async run(tensors, names = outputNames) {
      const begun = Bun.nanoseconds()
      // Without a prototype, since an input may have the name of what one has.
      const feeds: Record<string, OrtTensor> = Object.create(null)
      for (const [index, tensor] of tensors.entries()) feeds[inputNames[index] ?? ''] = toOrt(tensor)
      const chosen = choose(tensors)
      const fed = Bun.nanoseconds()
      let results: InferenceSession.ReturnType
      try {
        results = await chosen.session.run(feeds, names, RUN_OPTIONS)
      } catch (error) {
        throw new RuntimeFailure(runReason(textOf(error)), textOf(error))
      }
      const computed = Bun.nanoseconds()
      chosen.done?.(computed - fed)
      const named = names.map((name) => fromOrt(name, results[name]))
      return { outputs: named, timing: { inputNs: fed - begun, inferNs: computed - fed, outputNs: Bun.nanoseconds() - computed } }
    },
  }
}

/** Weights that a worker may have twice. */
const SINGLE_BYTES_MAX = 4 * 1024 * 1024

interface LoadedFile {
  readonly path: string
  /** The model as it was loaded; undefined where that is the file as it is. */
  readonly model: Uint8Array | undefined
  /** Of the file before it was loaded. */
  readonly stamp: string | undefined
}

/**
 * A second session of a small model, of one thread, for runs that are too short for several. Undefined where the first has one thread, the
 * weights are many or in files of their own, or the file is no longer the one that was loaded.
 */
async function createSingle({ path, model, stamp }: LoadedFile, options: SessionOptions): Promise<InferenceSession | undefined> {
  if (options.threads === 1 || stamp === undefined) return undefined
  try {
    const file = Bun.file(path)
    if (file.size > SINGLE_BYTES_MAX || externalConstantsOf(model ?? (await file.bytes())).length > 0) return undefined
    const single = await create(model ?? path, path, { ...options, threads: 1 })
    if (stampOf(path) === stamp) return single
    await single.release()
  } catch {
    // It is in another format, or is being replaced: the session that there is computes everything.
  }
  return undefined
}

/** What differs where a file was replaced or written; undefined where there is none. */
function stampOf(path: string): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat && `${stat.ino} ${stat.size} ${stat.mtimeMs} ${stat.ctimeMs}`
}

/** The session that computes a run, and what is to be called when it is done. */
interface Chosen {
  readonly session: InferenceSession
  readonly done?: (wallNs: number) => void
}

/** Chooses for each run between the session of many threads and that of one, by what runs of its size took. */
function createChoice(many: InferenceSession, single: InferenceSession): (inputs: readonly Tensor[]) => Chosen {
  const choice = new ThreadChoice()
  return (inputs) => {
    const bytes = bytesOfTensors(inputs)
    const width = choice.of(bytes)
    if (width === 'many') return { session: many }
    if (width === 'one') return { session: single, done: (wallNs) => choice.look(bytes, wallNs / 1e6) }
    const { user, system } = process.threadCpuUsage()
    return {
      session: single,
      done() {
        const after = process.threadCpuUsage()
        choice.note(bytes, (after.user + after.system - user - system) / 1000)
      },
    }
  }
}

/** What a session takes and gives; one that cannot be served is released. */
async function describe(
  session: InferenceSession,
  file: { readonly path: string; readonly model: Uint8Array | undefined },
): Promise<Pick<Session, 'inputs' | 'outputs'>> {
  try {
    const values = await valuesOfFile(session, file)
    return {
      inputs: specsOf(session.inputMetadata, 'input', values),
      outputs: specsOf(session.outputMetadata, 'output', values),
    }
  } catch (error) {
    await session.release()
    throw error
  }
}

interface Readable {
  readonly session: InferenceSession
  readonly labels: Session['labels']
  /** The model as it was loaded; undefined where that is the file as it is. */
  readonly model?: Uint8Array
}

/**
 * A session whose outputs can be handed over: where a converter of scikit-learn has put maps or sequences behind the tensors, the
 * tensors are given in their place.
 */
async function createReadable(path: string, options: SessionOptions): Promise<Readable> {
  const loaded = await createAnywhere(path, options)
  if (loaded.session.outputMetadata.every(({ isTensor }) => isTensor)) return loaded
  const changed = withTensors(loaded.model ?? (await Bun.file(path).bytes()))
  if (changed === undefined) return loaded
  await loaded.session.release()
  return { session: await create(changed.model, path, options), ...changed }
}

/** A session of the file, or of what it is with a locale that every machine has, where this one lacks what it asks for. */
async function createAnywhere(path: string, options: SessionOptions): Promise<Readable> {
  const labels = new Map()
  const pointer = await pointerAmongWeights(path)
  if (pointer !== undefined) throw new Error(pointer)
  try {
    return { session: await create(path, path, options), labels }
  } catch (error) {
    const isLocale = error instanceof RuntimeFailure && lacksLocale(error.runtimeText)
    const model = isLocale ? withPlainLocale(await Bun.file(path).bytes()) : undefined
    if (model === undefined) throw error
    return { session: await create(model, path, options), labels, model }
  }
}

async function create(
  model: string | Uint8Array,
  path: string,
  { threads, arena, optimization }: SessionOptions,
): Promise<InferenceSession> {
  // Threads that spin between runs use a core while the server is idle.
  const session = { intra_op: { allow_spinning: '0' } }
  // What was changed is not loaded from its place, and its weights may be in files there.
  const place = typeof model === 'string' ? {} : { model_external_initializers_file_folder_path: dirname(path) }
  try {
    // The cast: the two forms of a model have an overload each.
    return await InferenceSession.create(model as string, {
      intraOpNumThreads: threads,
      executionMode: 'sequential',
      graphOptimizationLevel: optimization,
      enableCpuMemArena: arena,
      logSeverityLevel: LOG_SEVERITY_FATAL,
      extra: { session: { ...session, ...place } },
    })
  } catch (error) {
    const text = textOf(error)
    throw new RuntimeFailure(await whyNotLoaded(text, path), text)
  }
}

function specsOf(
  metadata: readonly InferenceSession.ValueMetadata[],
  kind: 'input' | 'output',
  values: ModelValues | undefined,
): readonly TensorSpec[] {
  return metadata.map((value) => {
    const { name } = value
    const own = values?.[kind].get(name)
    if (!value.isTensor) throw new Error(notATensor(kind, name, own))
    const datatype = datatypeOfOnnx(value.type)
    if (datatype === undefined) {
      throw new Error(
        `the ${kind} '${name}' has the type ${value.type.toUpperCase()}, which cannot be served; cast it inside the model`,
      )
    }
    // What the file does not say, the runtime may have found out.
    if (own === 'tensor of any rank' && value.shape.length === 0) return { name, datatype, shape: ANY_SHAPE }
    const shape = value.shape.map((dimension) => (typeof dimension === 'number' && dimension >= 0 ? dimension : -1))
    return { name, datatype, shape }
  })
}

/** Facts that the runtime does not give about values that are no tensors, or have no dimensions: the file is read only for these. */
async function valuesOfFile(
  { inputMetadata, outputMetadata }: InferenceSession,
  { path, model }: { readonly path: string; readonly model: Uint8Array | undefined },
): Promise<ModelValues | undefined> {
  const isPlain = [...inputMetadata, ...outputMetadata].every((value) => value.isTensor && value.shape.length > 0)
  return isPlain ? undefined : valuesOf(model ?? (await Bun.file(path).bytes()))
}

function toOrt({ datatype, shape, data }: Tensor): OrtTensor {
  if (data instanceof Float16Array) return halfTensor(data, shape)
  // The cast: the datatype says which array it is, in a way that the compiler cannot follow.
  return new OrtTensor(DATATYPES[datatype].onnx as 'float32', data as Float32Array, shape)
}

/** Bun's native interface does not know Float16Array and hands the runtime no bytes; the same bytes as 16-bit integers do arrive. */
function halfTensor({ buffer, byteOffset, length }: Float16Array, shape: readonly number[]): OrtTensor {
  const tensor = new OrtTensor('uint16', new Uint16Array(buffer, byteOffset, length), shape)
  return Object.assign(tensor, { type: 'float16' })
}

function fromOrt(name: string, tensor: OrtTensor | undefined): Tensor {
  const datatype = tensor === undefined ? undefined : datatypeOfOnnx(tensor.type)
  if (tensor === undefined || datatype === undefined) throw new Error(`the output '${name}' is no tensor of a supported type`)
  // The cast: onnxruntime-node gives the array that the type says.
  return { datatype, shape: [...tensor.dims], data: tensor.data as TensorData }
}
