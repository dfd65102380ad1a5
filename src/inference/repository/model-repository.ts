import { VestalError } from '../../core/errors.ts'
import type { NamedTensors } from '../../tensor/tensor.ts'
import type { ControlOptions, InferOptions, KeptModel, LoadOptions, UnloadOptions } from '../engine.ts'
import { PIPELINE_FILE, type PipelineDefinition, type PipelineStep } from '../pipelines/definition.ts'
import type { ModelRunner } from '../runner.ts'
import { pipelineOrder, refreshDependents } from './dependents.ts'
import { isOff, unloadedVersion, withoutRunner } from './describe.ts'
import { type Entry, ModelTable } from './model-table.ts'
import { Overrides, pipelineBrought } from './override.ts'
import { PermissionLookup } from './permission-lookup.ts'
import type { ModelAction } from './permissions.ts'
import { type FoundModel, type FoundVersion, fileNamed, findModel, findModels, type RepositoryOptions } from './scan.ts'
import {
  anything,
  atStart,
  chosen,
  failureOf,
  keyOf,
  leftOut,
  nothingChosen,
  type Require,
  requireAsItIsNow,
  type StartChoice,
  shorten,
  unknownToLoad,
  unknownToUnload,
} from './selection.ts'
import { type ServedVersion, type StartVersionOptions, startVersion } from './served-version.ts'
import { Turns } from './turns.ts'

export interface ModelRepositoryOptions
  extends RepositoryOptions,
    StartChoice,
    Omit<StartVersionOptions, 'pipelineEngine' | 'runnerChanged' | 'stale' | 'signal'> {
  /** How long a version that is listed no more still answers requests that began before; default 10 s. */
  readonly lingerMs?: number
  /** Whether a load request may carry a configuration and files; default false. */
  readonly mayOverride?: boolean
}

/** A model from a request runs in a process of its own: in a shared one it could read and change the data of others. */
function apart(found: FoundModel): FoundModel {
  const { isolation } = found.file.settings
  const warnings = isolation === 'shared' ? ['isolation = "shared" has no effect on a model from a load request'] : []
  return {
    ...found,
    isBrought: true,
    file: { ...found.file, settings: { ...found.file.settings, isolation: 'process' } },
    warnings: [...(found.warnings ?? []), ...warnings],
  }
}

/** Models that are loaded at once. */
const LOADS_MAX = 4
const LINGER_MS = 10_000

/** The models and what computes them. A version is loaded beside the one that serves, and takes its place once it is ready. */
export class ModelRepository {
  readonly #options: ModelRepositoryOptions
  readonly table = new ModelTable()
  readonly #versionOptions: StartVersionOptions
  readonly #turns = new Turns(LOADS_MAX)
  /** Runners that serve no more and finish what they have. */
  readonly #draining = new Set<Promise<void>>()
  readonly #lingering: Lingering
  readonly #overrides = new Overrides()
  readonly #permissions: PermissionLookup
  /** Versions that are loaded again because their files have changed. */
  readonly #renewing = new Set<string>()
  #isStopping = false
  /** Aborted where pending loads are cancelled. */
  readonly #loads = new AbortController()

  constructor(options: ModelRepositoryOptions) {
    this.#options = options
    const pipelineEngine: StartVersionOptions['pipelineEngine'] = {
      model: (name) => this.table.model(name),
      pipeline: (name) => this.table.get(name)?.found.pipeline,
      askedBy: (name) => this.table.askedBy(name),
      infer: (name, version, inputs, asked) => this.infer(name, version, inputs, asked),
    }
    this.#versionOptions = {
      ...options,
      pipelineEngine,
      signal: this.#loads.signal,
      runnerChanged: (name) => {
        this.table.refresh(name)
        this.#refreshDependents(name)
      },
      stale: (model, version) => void this.#renew(model, version),
    }
    this.#permissions = new PermissionLookup(options, (name) => this.table.model(name)?.permissions)
    this.#lingering = new Lingering(options.lingerMs ?? LINGER_MS, (runner) => this.#drain(runner))
  }

  get isStopping(): boolean {
    return this.#isStopping
  }

  /** Finds and loads every model; what cannot be loaded is there as unavailable, with its reason. */
  async start(): Promise<void> {
    this.#permissions.look()
    const found = findModels(this.#options)
    for (const model of found) this.table.put(model, new Map())
    const wanted = atStart(found, this.#options)
    const loadOne = (model: FoundModel) =>
      this.#turns.take(model.name, async () => {
        if (!this.#isStopping) await this.#replace(model, chosen(model), true)
      })
    await Promise.all(wanted.filter(({ pipeline }) => pipeline === undefined).map(loadOne))
    for (const pipeline of pipelineOrder(wanted)) await loadOne(pipeline)
  }

  /**
   * Computes with that version.
   * @throws VestalError MODEL_UNKNOWN, MODEL_UNAVAILABLE, and what the runner throws
   */
  infer(name: string, version: string, inputs: NamedTensors, options: InferOptions): Promise<NamedTensors> {
    const served = this.table.get(name)?.versions.get(version)
    const runner = served?.runner ?? this.#lingering.get(keyOf(name, version))
    if (runner === undefined) throw new VestalError(served === undefined ? 'MODEL_UNKNOWN' : 'MODEL_UNAVAILABLE')
    return runner.run(inputs, options)
  }

  /** The permission that an action requires: to change a model it is what its folder says now, else what it said when it was loaded. */
  permission(name: string, action: ModelAction): string {
    return this.#permissions.of(name, action)
  }

  /**
   * Loads or reloads a model from its folder, or from what the request carries.
   * @throws VestalError MODEL_UNKNOWN, MODEL_LOAD_FAILED, UNSUPPORTED, BODY_INVALID, SERVER_STOPPING, PERMISSION_MISSING
   */
  async load(name: string, options: LoadOptions = {}): Promise<void> {
    const { version, config, files, may = anything } = options
    const isOverride = config !== undefined || (files?.size ?? 0) > 0
    const require = (permission: () => string, why: string) =>
      requireAsItIsNow(may, permission, `loading '${shorten(name)}' ${why}`)
    const requireOwn = () => require(() => this.permission(name, 'admin'), '')
    const isAllowed = requireOwn()
    // Loads and unloads that are asked for one after the other keep their order: nothing waits that need not.
    if (isAllowed instanceof Promise) await isAllowed
    if (isOverride && this.#options.mayOverride !== true) {
      throw new VestalError('UNSUPPORTED', {
        detail: `failed to load '${name.slice(0, 100)}': a configuration or files in the request are not allowed (model_override)`,
      })
    }
    const pipeline = isOverride ? pipelineBrought(name, options, this.#options) : findModel(name, this.#options)?.pipeline
    // Others' loads and unloads keep their order: only a pipeline waits before it takes its turn.
    if (pipeline !== undefined) {
      await this.#grantsOf(pipeline, isOverride, require)
      await this.#loadMembers(name, this.#membersToLoad(name, pipeline.steps), options)
    }
    await this.#turns.take(name, async () => {
      if (this.#isStopping) throw new VestalError('SERVER_STOPPING')
      // Again: the folder may have changed since, and the request's files count only with the folder's own permissions.
      await requireOwn()
      const own = isOverride ? this.#overrides.find(name, options, this.#options) : findModel(name, this.#options)
      if (own === undefined) throw unknownToLoad(name, { why: fileNamed(name, this.#options) })
      const found = {
        ...(isOverride ? apart(own) : own),
        ...(isOverride && { permissions: this.#permissions.now(name) }),
        ...(await this.#grantsOf(own.pipeline, isOverride, require)),
      }
      const wanted = version === undefined ? chosen(found) : found.versions.filter((candidate) => candidate.version === version)
      if (version !== undefined && wanted.length === 0) throw unknownToLoad(name, { version })
      if (wanted.length === 0 && found.reason === undefined) throw nothingChosen(name, found)
      const reason = (await this.#replace(found, wanted, version === undefined)) ?? this.#troubleOfCode(found)
      this.#sweep(name)
      if (reason === undefined) return
      if (this.#isStopping) throw new VestalError('SERVER_STOPPING')
      throw new VestalError('MODEL_LOAD_FAILED', { detail: reason })
    })
  }

  /** Loads a version again whose files have changed, because it has lost a worker. Files of a load request cannot be read again. */
  async #renew({ name, isBrought }: FoundModel, version: string): Promise<void> {
    const key = keyOf(name, version)
    const isServed = this.table.get(name)?.versions.get(version)?.runner !== undefined
    if (isBrought === true || !isServed || this.#renewing.has(key) || this.#isStopping) return
    this.#renewing.add(key)
    this.#options.warn(`${key}: its files have changed since it was loaded; it is loaded again`)
    try {
      await this.load(name, { version })
    } catch (error) {
      if (!this.#isStopping) this.#options.warn(`${key}: ${error instanceof Error ? error.message : String(error)}`)
    } finally {
      this.#renewing.delete(key)
    }
  }

  /** The permissions that a pipeline from a request needs: to predict with each of its steps, which the caller must have. */
  async #grantsOf(
    pipeline: PipelineDefinition | undefined,
    isOverride: boolean,
    require: Require,
  ): Promise<Pick<FoundModel, 'granted'>> {
    if (!isOverride || pipeline === undefined || pipeline.file === PIPELINE_FILE) return {}
    const granted = new Set<string>()
    for (const { model } of pipeline.steps) {
      granted.add(await require(() => this.permission(model, 'predict'), `lets it ask '${shorten(model)}', which `))
    }
    return { granted }
  }

  /** The models of a pipeline that are not ready, those that others are made of first. */
  #membersToLoad(name: string, steps: readonly PipelineStep[], seen = new Set([name])): readonly string[] {
    return steps.flatMap(({ model }) => {
      const isReady = this.table.model(model)?.versions.some(({ state }) => state === 'ready') === true
      if (isReady || seen.has(model)) return []
      const found = findModel(model, this.#options)
      seen.add(model)
      return found === undefined ? [] : [...this.#membersToLoad(model, found.pipeline?.steps ?? [], seen), model]
    })
  }

  /** Loads the models that a pipeline needs; none of them where the caller may not load one. */
  async #loadMembers(name: string, members: readonly string[], { may = anything, changed }: ControlOptions): Promise<void> {
    const requireOf = (member: string) =>
      requireAsItIsNow(may, () => this.permission(member, 'admin'), `loading '${name}' also loads '${member}', which `)
    for (const member of members) await requireOf(member)
    for (const model of members) {
      await this.#turns.take(model, async () => {
        await requireOf(model)
        const found = findModel(model, this.#options)
        if (found === undefined || this.#isStopping) return
        const reason = await this.#replace(found, chosen(found), true)
        const because = `'${name}' is made of it`
        if (reason === undefined) changed?.({ model, action: 'load', outcome: 'done', reason: because })
        else changed?.({ model, action: 'load', outcome: 'failed', reason: `${because}; ${reason}` })
      })
    }
  }

  /** Unloads a model whose files are gone. */
  async remove(name: string): Promise<void> {
    await this.unload(name)
    this.table.delete(name)
    this.#refreshDependents(name)
  }

  /**
   * Unloads a model or one of its versions; in-flight requests finish. Gives the members of a pipeline that it leaves loaded because
   * the caller may not unload them.
   * @throws VestalError MODEL_UNKNOWN, PERMISSION_MISSING
   */
  async unload(name: string, options: UnloadOptions = {}): Promise<readonly KeptModel[]> {
    const { version, dependents = false, may = anything } = options
    const members = dependents ? (this.table.get(name)?.found.pipeline?.steps ?? []) : []
    await this.#turns.take(name, async () => {
      await requireAsItIsNow(may, () => this.permission(name, 'admin'), `unloading '${shorten(name)}' `)
      const entry = this.table.get(name)
      // A model whose folder came after the start has nothing to unload, as for a script that unloads before it loads.
      if (entry === undefined && version === undefined && findModel(name, this.#options) !== undefined) return
      if (entry === undefined) throw unknownToUnload(name)
      if (version !== undefined && !entry.versions.has(version)) throw unknownToUnload(name, version)
      const versions = new Map(entry.versions)
      for (const [number, { runner }] of entry.versions) {
        if (version !== undefined && number !== version) continue
        versions.set(number, { version: unloadedVersion(number, runner === undefined ? 'unavailable' : 'unloading') })
        if (runner !== undefined) this.#drain(runner, () => this.#unloaded(name, number))
        this.#lingering.end(keyOf(name, number))
      }
      this.table.put(entry.found, versions)
      this.#refreshDependents(name)
      this.#sweep(name)
    })
    return this.#unloadMembers(name, new Set(members.map(({ model }) => model)), options)
  }

  async #unloadMembers(
    name: string,
    members: ReadonlySet<string>,
    { may = anything, changed }: ControlOptions,
  ): Promise<readonly KeptModel[]> {
    const kept: KeptModel[] = []
    for (const model of members) {
      const change = { model, action: 'unload' } as const
      if (this.table.model(model)?.versions.every(isOff) !== false) continue
      const permission = this.permission(model, 'admin')
      if (await may(permission)) {
        await this.unload(model)
        changed?.({ ...change, outcome: 'done', reason: `with '${name}', which is made of it` })
      } else {
        kept.push({ name: model, permission })
        changed?.({ ...change, outcome: 'denied', reason: `'${name}' is made of it; requires the permission ${permission}` })
      }
    }
    return kept
  }

  /** Rejects new requests, finishes pending ones, and ends all workers. */
  async stop(): Promise<void> {
    this.#isStopping = true
    this.#loads.abort()
    await this.#stopModels()
    await this.#turns.settled()
    // A pending load may have stored its result meanwhile.
    await this.#stopModels()
    this.#lingering.endAll()
    await Promise.all(this.#draining)
    this.#overrides.removeAll()
  }

  /** Pipelines first, those that are made of others before these: the steps that they have still to run need them. */
  async #stopModels(): Promise<void> {
    const entries = this.table.entries()
    for (const { name } of pipelineOrder(entries.map(({ found }) => found)).toReversed())
      await this.#stopModel(this.table.get(name))
    await Promise.all(entries.filter(({ found }) => found.pipeline === undefined).map((entry) => this.#stopModel(entry)))
  }

  async #stopModel(entry: Entry | undefined): Promise<void> {
    await Promise.all([...(entry?.versions.values() ?? [])].map(({ runner }) => runner?.stop()))
  }

  /**
   * Loads versions beside the serving ones and switches to them; returns why that failed. A failure leaves what served as it
   * was; where nothing served, the versions that could be loaded serve.
   */
  async #replace(found: FoundModel, wanted: readonly FoundVersion[], isWhole: boolean): Promise<string | undefined> {
    const { found: old = found, versions: before = new Map<string, ServedVersion>() } = this.table.get(found.name) ?? {}
    // Who may ask is what the folder says, before anything is loaded and whatever comes of it. Where it gives no answer, it is as before.
    const known = { ...old, ...(found.permissions && { permissions: found.permissions }) }
    const loading = wanted.filter(({ version }) => before.get(version)?.runner === undefined)
    this.table.put(known, [
      ...before,
      ...loading.map(({ version }) => [version, { version: withoutRunner(version, 'loading') }] as const),
    ])
    if (known.permissions?.predict !== old.permissions?.predict) this.#refreshDependents(found.name)
    for (const warning of [...(found.config?.warnings ?? []), ...(found.warnings ?? [])])
      this.#options.warn(`${found.name}: ${warning}`)
    const isServed = [...before.values()].some(({ runner }) => runner !== undefined)
    const started = await Promise.all(
      wanted.map(async (version) => {
        const each = await startVersion(found, version, this.#versionOptions)
        // What calls a model that is not there takes the place of nothing.
        const trouble = isServed && found.code !== undefined ? each.runner?.trouble?.() : undefined
        if (trouble === undefined || each.runner === undefined) return each
        this.#drain(each.runner)
        return { version: withoutRunner(version.version, 'unavailable', trouble) }
      }),
    )
    const faults = started
      .filter(({ runner }) => runner === undefined)
      .map(({ version: { version, reason = '' } }) => [version, reason] as const)
    const reason = failureOf(found, faults)
    const isKept = reason !== undefined && [...before.values()].some(({ runner }) => runner !== undefined)
    if (isKept) {
      for (const { runner } of started) if (runner !== undefined) this.#drain(runner)
      const failed = started.filter(
        ({ version: { version }, runner }) => runner === undefined && before.get(version)?.runner === undefined,
      )
      this.table.put(known, [...before, ...failed.map((each) => [each.version.version, each] as const)])
      return reason
    }
    const next = new Map(isWhole ? leftOut(found) : before)
    for (const each of started) next.set(each.version.version, each)
    this.table.put(found, next)
    this.#retire(found.name, before, next)
    this.#refreshDependents(found.name)
    return reason
  }

  /** Why a `model.ts` cannot serve although it was loaded: what it calls does not. */
  #troubleOfCode({ name, code }: FoundModel): string | undefined {
    const runners = [...(this.table.get(name)?.versions.values() ?? [])]
    const trouble =
      code === undefined ? undefined : runners.map(({ runner }) => runner?.trouble?.()).find((each) => each !== undefined)
    return trouble === undefined ? undefined : `failed to load '${name}': ${trouble}`
  }

  #refreshDependents(name: string): void {
    refreshDependents(name, {
      table: this.table,
      engine: this.#versionOptions.pipelineEngine,
      drain: (runner) => this.#drain(runner),
    })
  }

  #sweep(name: string): void {
    const versions = this.table.get(name)?.versions.values() ?? []
    this.#overrides.sweep(name, new Set([...versions].flatMap(({ folder }) => folder ?? [])))
  }

  /** Versions that another took the place of end; one that is listed no more still answers requests that began before. */
  #retire(name: string, before: ReadonlyMap<string, ServedVersion>, next: ReadonlyMap<string, ServedVersion>): void {
    for (const [version, { runner }] of before) {
      const now = next.get(version)?.runner
      if (runner === undefined || runner === now) continue
      if (now !== undefined) this.#drain(runner)
      else this.#lingering.add(keyOf(name, version), runner)
    }
  }

  #drain(runner: ModelRunner, done: () => void = () => undefined): void {
    const end = runner.stop().finally(() => {
      this.#draining.delete(end)
      done()
    })
    this.#draining.add(end)
  }

  #unloaded(name: string, version: string): void {
    const entry = this.table.get(name)
    if (entry?.versions.get(version)?.version.state !== 'unloading') return
    this.table.put(entry.found, new Map(entry.versions).set(version, { version: unloadedVersion(version, 'unavailable') }))
  }
}

/** Runners that are listed no more and still answer for a while: a request may have been read against them before. */
class Lingering {
  readonly #runners = new Map<string, { readonly runner: ModelRunner; readonly timer: ReturnType<typeof setTimeout> }>()
  readonly #forMs: number
  readonly #drain: (runner: ModelRunner) => void

  constructor(forMs: number, drain: (runner: ModelRunner) => void) {
    this.#forMs = forMs
    this.#drain = drain
  }

  get(key: string): ModelRunner | undefined {
    return this.#runners.get(key)?.runner
  }

  add(key: string, runner: ModelRunner): void {
    this.end(key)
    const timer = setTimeout(() => this.end(key), this.#forMs)
    timer.unref()
    this.#runners.set(key, { runner, timer })
  }

  /** Ends one of them now. */
  end(key: string): void {
    const found = this.#runners.get(key)
    if (found === undefined) return
    clearTimeout(found.timer)
    this.#runners.delete(key)
    this.#drain(found.runner)
  }

  endAll(): void {
    for (const key of [...this.#runners.keys()]) this.end(key)
  }
}
