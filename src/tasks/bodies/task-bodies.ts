import type { TObject } from '@sinclair/typebox'
import type { TaskCall } from '../call.ts'

/** How the bodies of one task are read and answered. */
export interface TaskBodies {
  /** What `parameters` may hold. */
  readonly parameters: TObject
  /**
   * Computes `input` with `parameters` that match the schema, and gives the JSON of `output`.
   * @throws VestalError BODY_INVALID, and as the operations
   */
  readonly answer: (input: unknown, parameters: Readonly<Record<string, unknown>>, call: TaskCall) => Promise<string>
}
