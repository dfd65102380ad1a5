import type { Audit, AuditEventName, Origin } from '../../accounts/audit.ts'
import type { ModelChange } from '../../inference/engine.ts'
import type { ModelLoss } from '../../inference/runner.ts'
import type { Logger } from '../../telemetry/log/logger.ts'

/** Who changes a model, and from where. */
export interface ChangedBy {
  readonly actor: string
  readonly origin?: Origin
}

/** Takes note of a model that was loaded or unloaded, or was to be. */
export type NoteModelChange = (change: ModelChange, by: ChangedBy) => void

const EVENTS: Readonly<Record<ModelChange['action'], Readonly<Record<ModelChange['outcome'], AuditEventName>>>> = {
  load: { done: 'model-loaded', failed: 'model-load-failed', denied: 'model-load-denied' },
  unload: { done: 'model-unloaded', failed: 'model-unload-failed', denied: 'model-unload-denied' },
}
const WORDS: Readonly<Record<ModelChange['outcome'], string>> = { done: 'ed', failed: ' failed', denied: ' denied' }
const REASON_LENGTH_MAX = 300

/** Notes changes of models in the server's log, and in the audit log where there is one. */
export function createModelLog({
  logger,
  audit,
}: {
  readonly logger: Logger | undefined
  readonly audit: Audit | undefined
}): NoteModelChange {
  return ({ model, action, outcome, reason }, by) => {
    const short = reason?.slice(0, REASON_LENGTH_MAX)
    audit?.({ event: EVENTS[action][outcome], ...by, subject: model, ...(short !== undefined && { reason: short }) })
    const text = `model ${action}${WORDS[outcome]}: ${model}${short === undefined ? '' : ` (${short})`}`
    if (outcome === 'done') logger?.info(text, { subject: by.actor })
    else logger?.warn(text, { subject: by.actor })
  }
}

/** Notes worker processes that ended in the audit log; the engine's own line in the server's log says the same. */
export function createLossLog(audit: Audit | undefined): (loss: ModelLoss) => void {
  return ({ key, cause, requestIds }) => {
    const of = requestIds.length === 0 ? '' : ` in a run of ${requestIds.join(', ')}`
    audit?.({ event: 'model-worker-ended', actor: 'server', subject: key, reason: `${cause}${of}`.slice(0, REASON_LENGTH_MAX) })
  }
}
