import { VestalError } from '../../core/errors.ts'
import { TRITON_TEXTS } from '../../tensor/triton-texts.ts'
import type { ControlOptions } from '../engine.ts'
import { withoutRunner } from './describe.ts'
import type { FoundModel, FoundVersion } from './scan.ts'
import type { ServedVersion } from './served-version.ts'

export interface StartChoice {
  /** Models that are loaded at the start; all of them when absent. */
  readonly loadAtStart?: ReadonlySet<string>
  /** Of these, models that are not. */
  readonly notAtStart?: ReadonlySet<string>
}

/** The models that are loaded at the start: all, or the named ones; a missing one is reported. */
export function atStart(
  found: readonly FoundModel[],
  { loadAtStart, notAtStart, warn }: StartChoice & { readonly warn: (message: string) => void },
): readonly FoundModel[] {
  const mayLoad = (name: string) => notAtStart?.has(name) !== true
  if (loadAtStart === undefined) return found.filter(({ name }) => mayLoad(name))
  const gone = [...loadAtStart].filter(mayLoad).filter((name) => !found.some((model) => model.name === name))
  for (const name of gone) warn(`the model ${name} is to be loaded at the start, and is not there`)
  return found.filter(({ name }) => loadAtStart.has(name) && mayLoad(name))
}

/** What a whole load loads. */
export function chosen({ versions }: FoundModel): readonly FoundVersion[] {
  return versions.filter(({ leftOut }) => leftOut === undefined)
}

/** The versions that the policy leaves out, as they are listed. */
export function leftOut({ versions }: FoundModel): readonly (readonly [string, ServedVersion])[] {
  return versions.flatMap(({ version, leftOut: reason }) =>
    reason === undefined
      ? []
      : [[version, { version: { ...withoutRunner(version, 'unavailable', reason), offBy: 'policy' } }] as const],
  )
}

/** Name of a version in messages and maps. */
export function keyOf(name: string, version: string): string {
  return `${name}/${version}`
}

/** The error of a model whose version policy names none of the versions that are there. */
export function nothingChosen(name: string, { versions }: FoundModel): VestalError {
  const there = versions.map(({ version }) => version).join(', ')
  return new VestalError('MODEL_LOAD_FAILED', {
    detail: `${TRITON_TEXTS.noVersion(name)}: its version policy names none of ${there}`,
  })
}

/** Why a load failed; undefined where it did not. */
export function failureOf(
  { name, reason }: FoundModel,
  faults: readonly (readonly [version: string, reason: string])[],
): string | undefined {
  if (reason !== undefined) return `${TRITON_TEXTS.notPolled(name)}: ${reason}`
  return faults.length === 0 ? undefined : TRITON_TEXTS.loadFailed(name, faults)
}

/** Passes where the caller has a permission, and gives it; `why` begins the sentence that says what it is required for. */
export type Require = (permission: () => string, why: string) => string | Promise<string>

/** What a caller without limits may: the server itself, or a program that uses the engine. */
export const anything = (): boolean => true

/**
 * Passes where the caller has a permission, and gives it; at once where the answer is there at once. Where it takes a while and the
 * permission becomes another meanwhile, it is asked for that one.
 * @throws VestalError PERMISSION_MISSING, naming what asks for the permission
 */
export function requireAsItIsNow(
  may: NonNullable<ControlOptions['may']>,
  permission: () => string,
  why: string,
): string | Promise<string> {
  const asked = permission()
  const granted = (has: boolean): string => {
    if (has) return asked
    throw new VestalError('PERMISSION_MISSING', {
      detail: `Insufficient permissions: ${why.trimEnd()} requires the permission ${asked}`,
      reason: `needs ${asked}`,
    })
  }
  const has = may(asked)
  if (typeof has === 'boolean') return granted(has)
  return has.then((later) => {
    granted(later)
    return permission() === asked ? asked : requireAsItIsNow(may, permission, why)
  })
}

/** A name that came with a request, no longer than a model's may be. */
export function shorten(name: string): string {
  return name.slice(0, 100)
}

/** The error of a model, or a version of it, that is to be loaded and is not there. */
export function unknownToLoad(
  name: string,
  { version, why }: { readonly version?: string; readonly why?: string | undefined } = {},
): VestalError {
  return unknown(TRITON_TEXTS.notPolled(shorten(name)), version, why)
}

/** The error for unloading a model, or a version of it, that does not exist. */
export function unknownToUnload(name: string, version?: string): VestalError {
  return unknown(`failed to unload '${shorten(name)}'`, version)
}

function unknown(failure: string, version: string | undefined, why = 'no such model'): VestalError {
  const what = version === undefined ? why : `no version ${version.slice(0, 20)}`
  return new VestalError('MODEL_UNKNOWN', { detail: `${failure}: ${what}` })
}
