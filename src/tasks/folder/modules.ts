/** Reads modules.json: what sentence-transformers computes around a Transformer. */
import { join } from 'node:path'
import type { DenseLayer, Pooling } from '../task.ts'
import type { FolderFiles, JsonValue } from './folder-files.ts'
import { denseLayer } from './safetensors.ts'

/** What a chain of modules computes. */
export interface Modules {
  /** Folder of the Transformer module; empty where it is the model's own. */
  readonly transformer: string
  readonly pooling?: PoolingModule
  readonly dense: readonly DenseLayer[]
  readonly isNormalized: boolean
  /** SPLADE: a masked language model whose scores are pooled to a sparse vector. */
  readonly isSparse: boolean
  /** Where the file says that there is a Normalize module, or that there is none. */
  readonly place: string
}

export interface PoolingModule {
  readonly pooling: readonly Pooling[]
  readonly includesPrompt: boolean
  /** Numbers of a token's vector. */
  readonly size?: number
  readonly place: string
}

const MODULES_MAX = 16
/** In the order in which sentence-transformers concatenates them. */
const FLAGS: readonly (readonly [flag: string, word: string, pooling: Pooling])[] = [
  ['pooling_mode_cls_token', 'cls', 'cls'],
  ['pooling_mode_max_tokens', 'max', 'max'],
  ['pooling_mode_mean_tokens', 'mean', 'mean'],
  ['pooling_mode_mean_sqrt_len_tokens', 'mean_sqrt_len_tokens', 'mean-sqrt'],
  ['pooling_mode_weightedmean_tokens', 'weightedmean', 'weighted-mean'],
  ['pooling_mode_lasttoken', 'lasttoken', 'last'],
]
/** A path in the folder as modules.json has it: plain names. */
const INNER = /^(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(?:\/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,3})?$/

/**
 * The chain of modules; undefined where the folder has no modules.json.
 * @throws Error naming the module that is not computed here
 */
export function readModules(files: FolderFiles): Modules | undefined {
  const json = files.json('modules.json')
  if (json === undefined) return undefined
  const modules = json.items(MODULES_MAX).map((module) => {
    const type = module.get('type')?.text() ?? ''
    const path = module.get('path')?.text() ?? ''
    if (!INNER.test(path)) throw module.fault('has a path that is not one inside the folder')
    return { name: type.split('.').at(-1) ?? '', path, module }
  })
  const [first, second, ...others] = modules
  if (first?.name === 'MLMTransformer' && second?.name === 'SpladePooling' && others.length === 0)
    return { transformer: first.path, dense: [], isNormalized: false, isSparse: true, place: second.module.place }
  if (first?.name !== 'Transformer') throw notComputed(first ?? { name: '', module: json })
  if (second !== undefined && second.name !== 'Pooling') throw notComputed(second)
  const dense: DenseLayer[] = []
  let isNormalized = false
  for (const each of others) {
    if (each.name === 'Dropout') continue
    if (isNormalized || (each.name !== 'Dense' && each.name !== 'Normalize')) throw notComputed(each)
    if (each.name === 'Normalize') isNormalized = true
    else dense.push(denseLayer(files, each.path))
  }
  return {
    transformer: first.path,
    ...(second !== undefined && { pooling: readPooling(files, second.path) }),
    dense,
    isNormalized,
    isSparse: false,
    place: json.place,
  }
}

function notComputed({ name, module }: { readonly name: string; readonly module: JsonValue }): Error {
  return module.fault(
    `is the module ${JSON.stringify(name.slice(0, 64))}, which is not computed here in this place; only Transformer, Pooling, Dense, Dropout and Normalize are, in this order (task = "tensors" in model.toml serves the model's tensors)`,
  )
}

function readPooling(files: FolderFiles, path: string): PoolingModule {
  const name = join(path, 'config.json')
  const json = files.json(name)
  if (json === undefined) throw new Error(`its ${name} is missing, which says how the vectors of tokens are pooled`)
  const mode = json.get('pooling_mode')
  const named = mode === undefined ? undefined : (mode.isList ? mode.items(FLAGS.length) : [mode]).map((each) => each.text())
  const unknown = named?.find((each) => !FLAGS.some(([flag, word]) => each === word || each === flag))
  if (unknown !== undefined)
    throw json.fault(`has the pooling ${JSON.stringify(unknown.slice(0, 64))}, which is not computed here`)
  const pooling = FLAGS.filter(([flag, word]) =>
    named === undefined ? json.get(flag)?.flag() === true : named.includes(word) || named.includes(flag),
  ).map(([, , each]) => each)
  if (pooling.length === 0) throw json.fault('names no pooling that is computed here')
  const size = json.get('word_embedding_dimension')?.whole(1, 1_000_000)
  return { pooling, includesPrompt: json.get('include_prompt')?.flag() ?? true, place: name, ...(size !== undefined && { size }) }
}
