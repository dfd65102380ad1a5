import { integer, line, listOf, oneOf, path, pathsByName } from '../readers.ts'
import { list, single } from './row.ts'

/** Which models are served, and with what. */
export const MODELS = {
  models: single(path(), {
    default: 'models',
    value: 'FOLDER',
    help: 'Folder with <name>/<version>/model.onnx and <name>/model.toml.',
  }),
  model: list(pathsByName(64), {
    default: new Map<string, string>() as ReadonlyMap<string, string>,
    shownDefault: 'none',
    value: 'NAME=FILE',
    help: 'Single model file to serve under a name. Repeatable.',
  }),
  modelControl: single(oneOf('none', 'explicit', 'poll'), {
    default: 'none' as 'none' | 'explicit' | 'poll',
    value: 'none|explicit|poll',
    help: 'What loads and unloads models after the start: nothing (none), requests (explicit), or changes of the folder (poll).',
  }),
  modelPollSeconds: single(integer(1, 86_400), {
    default: 15,
    value: 'N',
    help: 'Seconds between two checks of the folder, with --model-control poll.',
  }),
  loadModel: list(listOf(line(100), 256), {
    default: ['*'] as readonly string[],
    value: 'NAME',
    help: 'Model to load at the start, * for all, none for none. Repeatable.',
  }),
  modelOverride: single(oneOf('off', 'on'), {
    default: 'off' as 'off' | 'on',
    value: 'off|on',
    help: 'Load requests may bring their own configuration and model files.',
  }),
  strictReadiness: single(oneOf('off', 'on'), {
    default: 'off' as 'off' | 'on',
    value: 'off|on',
    help: 'Readiness requires every model that was not unloaded, and the database and Redis of the settings.',
  }),
  clientToken: single(line(16_384), {
    default: undefined as string | undefined,
    shownDefault: 'one that the local key signs',
    value: 'TOKEN',
    help: 'Token that `vestal models` sends to a running server.',
    isSecret: true,
  }),
}
