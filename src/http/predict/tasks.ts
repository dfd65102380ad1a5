import type { TObject } from '@sinclair/typebox'
import { VestalError } from '../../core/errors.ts'
import { faultsIn } from '../../schema/check.ts'
import type { TaskName } from '../../tasks/task.ts'
import { decodeJson } from '../../tensor/exact-json.ts'
import type { TaskBodies, TaskCodec } from './codec.ts'
import { TaskRequest } from './schemas.ts'
import { TEXT_TASKS } from './text-tasks.ts'

const TASK_BODIES: Readonly<Partial<Record<TaskName, TaskBodies>>> = TEXT_TASKS

interface TaskQuestion {
  readonly bodies: TaskBodies
  readonly input: unknown
  readonly parameters: Readonly<Record<string, unknown>>
}

/** A body of a task: `{"input", "parameters"}` is answered with `{"output"}`. */
export const taskBody: TaskCodec<TaskQuestion> = {
  decode({ bytes }, { task: { task } }) {
    const bodies = TASK_BODIES[task]
    if (bodies === undefined) throw new VestalError('UNSUPPORTED', { detail: `The task ${task} has no body of this form` })
    return decodeJson(bytes, {}, (body) => {
      check(TaskRequest, body)
      // The cast: the schema has checked it.
      const { input, parameters = {} } = body as { readonly input: unknown; readonly parameters?: Record<string, unknown> }
      check(bodies.parameters, parameters, 'parameters')
      return { bodies, input, parameters }
    })
  },
  async answer({ bodies, input, parameters }, call) {
    return { json: `{"output":${await bodies.answer(input, parameters, call)}}`, blobs: [] }
  },
}

/** @throws VestalError BODY_INVALID naming each field that is wrong */
function check(schema: TObject, value: unknown, path = ''): void {
  const faults = faultsIn(schema, value, { unknown: 'is not a field of this body', path })
  if (faults.length === 0) return
  throw new VestalError('BODY_INVALID', {
    detail: Object.fromEntries(faults.map(({ path: at, rule }) => [at === '' ? 'body' : at, rule])),
  })
}
