import { line, listOf, oneOf, path, pathsByName, seconds } from '../readers.ts'
import { list, optional, single } from './row.ts'

/** Which models are served, and with what. */
export const MODELS = {
  models: single(path(), 'models', {
    value: 'FOLDER',
    help: 'Folder with <name>/<version>/model.onnx and <name>/model.toml.',
  }),
  model: list(pathsByName(64), new Map<string, string>(), {
    value: 'NAME=FILE',
    help: 'Single model file to serve under a name. Repeatable.',
  }),
  modelControl: single(oneOf('none', 'explicit', 'poll'), 'none', {
    help: 'What loads and unloads models after the start: nothing (none), requests (explicit), or changes of the folder (poll).',
  }),
  modelPollSeconds: single(seconds(1, 86_400), 15, {
    help: 'Seconds between two checks of the folder, with --model-control poll.',
  }),
  loadModel: list(listOf(line(100), 256), ['*'], {
    value: 'NAME',
    help: 'Model to load at the start, * for all, none for none. Repeatable.',
  }),
  modelOverride: single(oneOf('off', 'on'), 'off', {
    help: 'Load requests may bring their own configuration and model files.',
  }),
  code: single(oneOf('on', 'off'), 'on', {
    help: 'Whether the model.ts of a model is run, in a process of its own; without it such a model is unavailable.',
  }),
  strictReadiness: single(oneOf('off', 'on'), 'off', {
    help: 'Readiness requires every model that was not unloaded, and the database and Redis of the settings.',
  }),
  clientToken: optional(line(16_384), {
    shownDefault: 'one that the local key signs',
    help: 'Token that `vestal models` sends to a running server.',
    isSecret: true,
  }),
}
