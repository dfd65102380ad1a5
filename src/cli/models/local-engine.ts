import type { Settings } from '../../config/settings.ts'
import { createEngine } from '../../inference/create-engine.ts'
import type { Engine } from '../../inference/engine.ts'
import type { RuntimeText } from '../../inference/runtime/runtime-texts.ts'
import type { ModelsRequest } from './server.ts'

/** Shows what ONNX Runtime itself says, with its source files, to who asks for all there is: `log_level` is debug. */
export function tellRuntimeText({ logLevel }: Pick<Settings, 'logLevel'>): (text: RuntimeText) => void {
  return ({ model, version, text }) => {
    if (logLevel === 'debug') console.error(`${model}/${version}: ONNX Runtime says: ${text}`)
  }
}

/** Hands over an engine of this process with the models of the settings, of which it loads the one that is asked for, and what it needs. */
export async function withEngine(request: ModelsRequest, work: (engine: Engine) => Promise<void>): Promise<void> {
  const { settings, name } = request
  const engine = await createEngine({
    modelsDirectory: settings.models,
    files: settings.model,
    instances: settings.instances ?? 1,
    ...(settings.threads !== undefined && { threads: settings.threads }),
    loadMsMax: settings.loadSecondsMax * 1000,
    code: settings.code === 'on',
    modelControl: 'explicit',
    loadAtStart: new Set(),
    warn: (message) => console.error(`warning: ${message}`),
    runtimeText: tellRuntimeText(settings),
  })
  try {
    // A model that cannot be loaded is listed as unavailable; the caller reports it.
    if (engine.model(name) !== undefined) await engine.load(name).catch(() => undefined)
    await work(engine)
  } finally {
    await engine.stop()
  }
}
