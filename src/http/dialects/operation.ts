import type { TaskCall } from '../../tasks/call.ts'
import type { Target } from '../predict/codec.ts'

/** What decides how bodies are read, beside the dialect. */
export interface DialectSettings {
  /** Whether ids of tokens are accepted in the place of texts. */
  readonly mayBeIds: boolean
}

/** What one route of a dialect does, for any caller and any model. */
export interface Operation<Asked> {
  /**
   * Reads and checks what is asked.
   * @param body what was JSON
   * @throws VestalError BODY_INVALID, INPUT_EMPTY
   */
  readonly read: (body: unknown, settings: DialectSettings) => Asked
  /** Computes it, and gives the answer as JSON text. */
  readonly answer: (asked: Asked, call: TaskCall, target: Target) => Promise<string>
}
