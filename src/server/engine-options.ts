import type { SettingName, Settings } from '../config/settings.ts'
import type { EngineOptions } from '../inference/create-engine.ts'
import type { RuntimeText } from '../inference/runtime/runtime-texts.ts'
import type { Logger } from '../telemetry/log/logger.ts'

/** The server listens after this time even while a model is loading. */
const LOAD_WAIT_MS_MAX = 20_000

/** Settings that an engine reads only when it starts. */
export const ENGINE_SETTINGS: readonly SettingName[] = [
  'models',
  'model',
  'loadModel',
  'modelControl',
  'modelPollSeconds',
  'modelOverride',
  'code',
  'instances',
  'isolation',
  'threads',
  'queueMax',
  'requestTimeoutSeconds',
  'runSecondsMax',
  'loadSecondsMax',
  'instanceMemoryBytesMax',
  'syntheticInputs',
  'responseCacheBytesMax',
]

/** The engine's options, in this process or in the engine process. */
export function engineOptions(settings: Settings): EngineOptions {
  const { instances, threads } = settings
  return {
    modelsDirectory: settings.models,
    files: settings.model,
    modelControl: settings.modelControl,
    pollMs: settings.modelPollSeconds * 1000,
    ...(!settings.loadModel.includes('*') && { loadAtStart: new Set(settings.loadModel.filter((name) => name !== 'none')) }),
    isolation: settings.isolation,
    mayOverride: settings.modelOverride === 'on',
    code: settings.code === 'on',
    ...(instances !== undefined && { instances }),
    ...(threads !== undefined && { threads }),
    queueMax: settings.queueMax,
    requestsMax: settings.requestsMax,
    subjectRequestsMax: settings.subjectRequestsMax,
    inputBytesMax: settings.inputBytesMax,
    subjectBytesMax: settings.subjectBytesMax,
    timeoutMs: settings.requestTimeoutSeconds * 1000,
    runMsMax: settings.runSecondsMax * 1000,
    loadMsMax: settings.loadSecondsMax * 1000,
    instanceBytesMax: settings.instanceMemoryBytesMax,
    syntheticInputs: settings.syntheticInputs === 'on',
    waitMsMax: LOAD_WAIT_MS_MAX,
    cacheBytesMax: settings.responseCacheBytesMax,
  }
}

/** Writes messages of ONNX Runtime to the log. */
export function runtimeTextTo(logger: Logger): (text: RuntimeText) => void {
  return ({ during, text, ...of }) =>
    // A model may reject synthetic inputs, which is no fault.
    logger[during === 'trial' ? 'debug' : 'info'](
      during === 'load' ? 'ONNX Runtime did not load a model' : 'ONNX Runtime could not compute',
      { ...of, runtimeText: text },
    )
}
