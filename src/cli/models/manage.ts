import { SettingsError } from '../../config/load.ts'
import type { Settings } from '../../config/settings.ts'
import { CommandError } from '../../core/command-error.ts'
import { didYouMean } from '../../core/nearest.ts'
import { printable, printableLines } from '../../core/printable.ts'
import type { Engine, Model } from '../../inference/engine.ts'
import { type FoundModel, findModel } from '../../inference/repository/scan.ts'
import { shownTask } from '../../tasks/shown-task.ts'
import { shownSpecs } from '../../tensor/shape.ts'
import { withEngine } from './local-engine.ts'
import { type ModelsRequest, serverAt, urlOf } from './server.ts'

/** `vestal models load`: has a running server load a model, or one version of it. */
export async function loadModel(request: ModelsRequest): Promise<void> {
  const server = serverAt(urlOf(request), request, permissionsToChange(request))
  await server.ask(`${pathOf(request)}/load`, { method: 'POST' })
  console.log(`${request.name}: loaded`)
}

/** `vestal models unload`: has a running server unload a model, or one version of it. */
export async function unloadModel(request: ModelsRequest): Promise<void> {
  const server = serverAt(urlOf(request), request, permissionsToChange(request))
  const body = request.args.switches.has('dependents') ? JSON.stringify({ parameters: { unload_dependents: true } }) : ''
  const answer = await server.ask(`${pathOf(request)}/unload`, { method: 'POST', body })
  console.log(`${request.name}: unloaded`)
  for (const { name, reason } of keptIn(answer)) console.log(printable(`${name}: not unloaded; it ${reason}`))
}

/** What an answer to an unload says of members that stay loaded; most answers are empty. */
function keptIn(answer: string): readonly { readonly name: string; readonly reason: string }[] {
  if (answer === '') return []
  const { not_unloaded: kept = [] } = JSON.parse(answer) as { readonly not_unloaded?: ReturnType<typeof keptIn> }
  return kept
}

/**
 * The permissions to load or unload a model, and the models of a pipeline with it: those that the folders here name, since the server's
 * are most often the same, and the default ones.
 */
function permissionsToChange({ name, settings }: ModelsRequest): readonly string[] {
  const permissions = new Set<string>()
  const seen = new Set<string>()
  const add = (model: string) => {
    if (seen.has(model)) return
    seen.add(model)
    permissions.add(`model:${model}:admin`)
    const found = foundHere(model, settings)
    const own = found?.permissions?.admin
    // Nothing here signs for everything because a file cannot be read.
    if (own !== undefined && own !== '*') permissions.add(own)
    for (const step of found?.pipeline?.steps ?? []) add(step.model)
  }
  add(name)
  return [...permissions]
}

function foundHere(name: string, { models: modelsDirectory, model: files }: Settings): FoundModel | undefined {
  try {
    return findModel(name, { modelsDirectory, files, warn: () => undefined })
  } catch {
    // A folder that cannot be read here says nothing of the server's.
    return undefined
  }
}

/** `vestal models inspect`: all that is known of a model, as JSON. */
export async function inspectModel(request: ModelsRequest): Promise<void> {
  const { name, args } = request
  const version = versionOf(request)
  if (!args.values.has('url'))
    return withEngine(request, async (engine) => {
      const model = engine.model(name)
      if (model === undefined) throw unknownModel(engine, name)
      const { labels, versions, ...rest } = model
      if (version !== undefined) rejectUnknown(model, version)
      const isReady = versions.some((each) => each.state === 'ready' && (version === undefined || each.version === version))
      print({
        ...rest,
        labels: Object.fromEntries(labels),
        versions: versions
          .filter((each) => version === undefined || each.version === version)
          .map(({ task, ...each }) => ({ ...each, ...(task && { task: shownTask(task) }), ...shownSpecs(each) })),
        ...(isReady && { configuration: engine.configuration(name, version) }),
      })
    })
  const server = serverAt(urlOf(request), request, [`model:${name}:read`])
  const model = JSON.parse(await server.ask(`/models/${encodeURIComponent(name)}/`)) as object
  const path = `/v2/models/${encodeURIComponent(name)}${version === undefined ? '' : `/versions/${version}`}/config`
  print({ ...model, configuration: JSON.parse(await server.ask(path)) })
}

/** The error for an unknown model, with the most similar name. */
export function unknownModel(engine: Engine, name: string): CommandError {
  const names = engine.models().map((model) => model.name)
  return new CommandError(`${name}: there is no such model${didYouMean(name, names)}`)
}

/** @throws CommandError where the model has no such version */
export function rejectUnknown({ name, versions }: Pick<Model, 'name' | 'versions'>, version: string): void {
  if (versions.some((each) => each.version === version)) return
  const known = versions.length === 0 ? 'none' : versions.map((each) => each.version).join(', ')
  throw new CommandError(`${name}: there is no version ${version}; there is ${known}`)
}

/** The version that `--version` names. */
export function versionOf({ args }: ModelsRequest): string | undefined {
  const version = args.values.get('version')?.at(-1)
  if (version === undefined || /^[1-9]\d{0,8}$/.test(version)) return version
  throw new SettingsError([`--version: must be a whole number from 1 up, got ${JSON.stringify(version.slice(0, 60))}`])
}

function pathOf(request: ModelsRequest): string {
  const version = versionOf(request)
  return `/v2/repository/models/${encodeURIComponent(request.name)}${version === undefined ? '' : `/versions/${version}`}`
}

function print(value: unknown): void {
  console.log(printableLines(JSON.stringify(value, null, 2)))
}
