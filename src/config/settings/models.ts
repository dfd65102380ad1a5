import { availableParallelism } from 'node:os'
import { integer, line, oneOf, pathsByName } from '../readers.ts'
import { list, single } from './row.ts'

const cores = availableParallelism()

/** Which models are served, and with what. */
export const MODELS = {
  models: single(line(4096), {
    default: 'models',
    value: 'FOLDER',
    help: 'Folder with <name>/<version>/model.onnx and <name>/model.toml.',
  }),
  model: list(pathsByName(64), {
    default: new Map<string, string>() as ReadonlyMap<string, string>,
    shownDefault: 'none',
    value: 'NAME=FILE',
    help: 'A single model file to serve under a name; may be given several times.',
  }),
  modelControl: single(oneOf('none', 'explicit'), {
    default: 'none' as 'none' | 'explicit',
    value: 'none|explicit',
    help: 'Who changes what is loaded: nobody, or requests to load and unload.',
  }),
  queueMax: single(integer(1, 100_000), {
    default: 128,
    value: 'N',
    help: 'Predictions of one model that wait or run at once; one more is refused with 503 and Retry-After.',
  }),
  threads: single(integer(1, 1024), {
    default: Math.max(1, cores - 1),
    shownDefault: 'one less than the cores',
    value: 'N',
    help: 'Threads that one prediction may use.',
  }),
}
