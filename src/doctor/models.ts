import { createEngine } from '../inference/create-engine.ts'
import type { Engine } from '../inference/engine.ts'
import { type FoundModel, findModels } from '../inference/repository/scan.ts'
import { taskInWords } from '../tasks/shown-task.ts'
import { type Finding, note, right, type Subject, wrong } from './finding.ts'

const MEND =
  'Mend its folder; docs/reference/models.md says what may be in it, and vestal models check FILE.onnx what the file can do.'

/** The models: each is loaded as the server would, with its checksums and warm-ups, in one worker. */
export async function lookAtModels({ settings }: Subject): Promise<readonly Finding[]> {
  const heard: Finding[] = []
  const options = { modelsDirectory: settings.models, files: settings.model, loadMsMax: settings.loadSecondsMax * 1000 }
  const found = findModels({ ...options, warn: (message) => heard.push(findingOf(message)) })
  const names = new Set(settings.loadModel)
  const wanted = found.filter(({ name }) => names.has('*') || names.has(name))
  for (const name of names) {
    if (name !== '*' && name !== 'none' && !found.some((model) => model.name === name))
      heard.push(
        wrong(`the model ${name} is to be loaded at the start, and is not there`, 'Correct --load-model, or add the model.'),
      )
  }
  if (found.length === 0)
    heard.push(
      wrong(
        `there is no model in ${settings.models}`,
        'Put <name>/<version>/model.onnx there, or name another folder with --models.',
      ),
    )
  if (wanted.length === 0)
    return heard.length > 0 ? heard : [note(`${found.length} models, none of which is loaded at the start`)]
  return [...heard, ...(await loaded(wanted, options))]
}

/** A warning of the repository: what it names has to be changed. */
function findingOf(message: string): Finding {
  return wrong(message, 'Correct the models folder, or name another with --models.')
}

async function loaded(
  wanted: readonly FoundModel[],
  options: { readonly modelsDirectory: string; readonly files: ReadonlyMap<string, string>; readonly loadMsMax: number },
): Promise<readonly Finding[]> {
  const notes: Finding[] = []
  const warn = (message: string) => notes.push(note(message))
  const engine = await createEngine({
    ...options,
    instances: 1,
    threads: 1,
    loadAtStart: new Set(wanted.map(({ name }) => name)),
    warn,
    runtimeText: () => undefined,
  })
  try {
    const findings = wanted.flatMap((model) => findingsOf(model, engine))
    const summed = wanted.filter(({ file }) => file.checksums.size > 0).map(({ name }) => name)
    const checked =
      summed.length === 0
        ? 'no model.toml names checksums'
        : `checksums are right where model.toml names them (${summed.join(', ')})`
    return findings.length > 0
      ? [...findings, ...notes]
      : [right(`${wanted.length} load: ${wanted.map(({ name }) => withTask(name, engine)).join(', ')}; ${checked}`), ...notes]
  } finally {
    await engine.stop()
  }
}

/** A model with what its newest version does beside tensors. */
function withTask(name: string, engine: Engine): string {
  const task = engine.model(name)?.versions.find(({ state }) => state === 'ready')?.task
  return task === undefined ? name : `${name}, ${taskInWords(task)}`
}

function findingsOf({ name, reason, versions }: FoundModel, engine: Engine): readonly Finding[] {
  if (versions.length === 0) return [wrong(`${name}: ${reason ?? 'it has no version'}`, MEND)]
  const states = engine.model(name)?.versions ?? []
  return versions.flatMap(({ version, leftOut }) => {
    const state = states.find((each) => each.version === version)
    if (leftOut !== undefined || state?.state === 'ready') return []
    const why = state?.reason ?? reason ?? 'it is not there'
    return [wrong(`${name}, version ${version}: ${why}`, MEND)]
  })
}
