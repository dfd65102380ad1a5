import { line, oneOf, pathsByName } from '../readers.ts'
import { list, single } from './row.ts'

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
}
