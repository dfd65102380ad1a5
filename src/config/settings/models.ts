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
    help: 'A single model file to serve under a name; may be given several times.',
  }),
  modelControl: single(oneOf('none', 'explicit', 'poll'), {
    default: 'none' as 'none' | 'explicit' | 'poll',
    value: 'none|explicit|poll',
    help: 'Who changes what is loaded: nobody, requests to load and unload, or what changes in the folder.',
  }),
  modelPollSeconds: single(integer(1, 86_400), {
    default: 15,
    value: 'N',
    help: 'With --model-control poll: seconds between two looks at the folder.',
  }),
  loadModel: list(listOf(line(100), 256), {
    default: ['*'] as readonly string[],
    value: 'NAME',
    help: 'A model to load at the start, * for all or none for none; may be given several times.',
  }),
  modelOverride: single(oneOf('off', 'on'), {
    default: 'off' as 'off' | 'on',
    value: 'off|on',
    help: 'Whether a request to load may bring a configuration and model files of its own.',
  }),
  strictReadiness: single(oneOf('off', 'on'), {
    default: 'off' as 'off' | 'on',
    value: 'off|on',
    help: 'Whether the server is ready only while every model is that was not taken off, and the database and the Redis of the settings can be used.',
  }),
  clientToken: single(line(16_384), {
    default: undefined as string | undefined,
    shownDefault: 'one that the local key signs',
    value: 'TOKEN',
    help: 'Token with which `vestal models` asks a running server.',
    isSecret: true,
  }),
}
