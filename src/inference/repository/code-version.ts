import { resolve } from 'node:path'
import type { CodeCalls } from '../code/calls.ts'
import type { CodeRunner, StartCode } from '../code/code-runner.ts'
import { CODE_DEFAULTS } from '../code/code-settings.ts'
import type { ModelVersion } from '../engine.ts'
import type { ModelCounters } from '../statistics.ts'
import type { FoundModel, FoundVersion } from './scan.ts'

export interface CodeStart {
  /** Starts it; absent where code is off. */
  readonly startCode: StartCode | undefined
  readonly engine: CodeCalls
  readonly counters: ModelCounters
  readonly signal: AbortSignal
  /** Called when it becomes unavailable for now, or available again. */
  readonly changed: () => void
}

/**
 * Starts the `model.ts` of a model.
 * @throws Error with the reason, safe to show
 */
export async function startCodeVersion(
  { name, folder, file, code: found }: FoundModel,
  { version }: FoundVersion,
  { startCode, engine, counters, signal, changed }: CodeStart,
): Promise<{ readonly version: ModelVersion; readonly runner: CodeRunner }> {
  if (startCode === undefined) throw new Error('its model.ts is not run: code is off (--code off)')
  if (folder === undefined || found === undefined) throw new Error('it has no model.ts')
  const settings = file.code ?? CODE_DEFAULTS
  const runner = await startCode({
    ...{ name, version, counters, signal, changed, engine, labels: file.labels, settings: file.settings, code: settings },
    ...(found.file !== undefined && { file: found.file }),
    ...(file.tasks !== undefined && { tasks: file.tasks }),
    folder: resolve(folder),
    entry: resolve(found.entry),
  })
  const { inputs, outputs, batching, description } = runner
  const { input, output, calls, isStream, examples } = description
  const code = {
    description: description.description,
    input,
    output,
    calls,
    ownAuthority: settings.ownAuthority,
    isStream,
    examples,
  }
  const runs = { runs: 'separate', reason: batching.reason } as const
  return { version: { version, state: 'ready', inputs, outputs, batching: runs, code }, runner }
}
