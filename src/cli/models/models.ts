import type { Arguments, FlagRow } from '../../config/arguments.ts'
import { SettingsError } from '../../config/load.ts'
import type { Mode } from '../../config/mode.ts'
import type { Settings } from '../../config/settings.ts'
import { readAction } from '../action.ts'
import { checkModel } from './check.ts'
import { listModels } from './list.ts'
import { inspectModel, loadModel, unloadModel } from './manage.ts'
import { writeModelTypes } from './model-types.ts'
import { runModel } from './run.ts'

export const MODELS_FLAGS: readonly FlagRow[] = [
  { name: 'json', help: 'list: print JSON in place of a table.' },
  {
    name: 'url',
    value: 'URL',
    help: 'A server to ask, such as http://127.0.0.1:8000; list, inspect and run work without one too.',
  },
  { name: 'version', value: 'N', help: 'inspect, load, unload, run: only this version.' },
  { name: 'dependents', help: 'unload: the models of a pipeline too.' },
  {
    name: 'input',
    value: 'FILE',
    help: 'run: .txt, .csv, .ndjson, .json or .npy; - is the standard input. For a model of pictures or sound: files, or a folder of them, once for each.',
  },
  { name: 'output', value: 'FILE', help: 'run: .csv, .ndjson, .json or .npy; default the standard output.' },
  { name: 'input-format', value: 'txt|csv|ndjson|json|npy', help: 'run: what the input is; default its ending, or ndjson.' },
  { name: 'output-format', value: 'csv|ndjson|json|npy', help: 'run: what the output is; default its ending, or ndjson.' },
  { name: 'output-name', value: 'NAME', help: 'run: the one output of the model that is written.' },
  { name: 'parameters', value: 'JSON', help: 'run: parameters of the task, such as {"top_k": 1}.' },
  {
    name: 'shape',
    value: 'INPUT=1,128',
    help: 'check: sizes of an input with dimensions of any size, the rows first; once for each input. Default those of a warm-up or example.',
  },
  {
    name: 'rows',
    value: 'N',
    help: 'run: rows of one request, 1 to 10000; default 256, fewer where the model does not take as many together.',
  },
]

/** What may follow `vestal models`. */
export const MODELS_ACTIONS = ['list', 'inspect', 'load', 'unload', 'run', 'check', 'types'] as const
const SYNONYMS = {
  list: ['ls', 'all', 'index'],
  inspect: ['show', 'info', 'get', 'describe', 'metadata', 'status'],
  load: ['add', 'reload', 'enable'],
  unload: ['remove', 'delete', 'rm', 'del', 'disable'],
  run: ['predict', 'infer', 'eval'],
  check: ['test', 'verify', 'validate', 'bench'],
  types: ['typings', 'dts', 'declarations'],
} as const

const ACTIONS = {
  list: listModels,
  inspect: inspectModel,
  load: loadModel,
  unload: unloadModel,
  run: runModel,
  check: checkModel,
  types: writeModelTypes,
} as const satisfies Record<(typeof MODELS_ACTIONS)[number], unknown>

/** `vestal models …`: the models of the folder, or of a running server. */
export async function models(settings: Settings, mode: Mode, args: Arguments): Promise<void> {
  const [word = 'list', name, ...others] = args.words
  const action = readAction('models', word, { actions: MODELS_ACTIONS, synonyms: SYNONYMS })
  const needsName = action !== 'list' && action !== 'types'
  if (needsName && name === undefined) {
    throw new SettingsError([`models ${action}: needs ${action === 'check' ? 'a model file' : 'the name of a model'}`])
  }
  if (others.length > 0 || (!needsName && name !== undefined)) throw new SettingsError([`models ${action}: takes no more words`])
  const request = { settings, mode, args, name: name ?? '' }
  return ACTIONS[action](request)
}
