/** What a task answers to an input, as its JSON: over HTTP, and where a `model.ts` calls a model that has one. */
import type { TObject } from '@sinclair/typebox'
import { VestalError } from '../../core/errors.ts'
import { faultsIn } from '../../schema/check.ts'
import { openApiOf } from '../../schema/open-api.ts'
import type { TaskCall } from '../call.ts'
import type { TaskDescription, TaskName } from '../task.ts'
import { PICTURE_TASKS } from './picture-tasks.ts'
import { SOUND_TASKS } from './sound-tasks.ts'
import type { TaskBodies } from './task-bodies.ts'
import { TEXT_TASKS } from './text-tasks.ts'

const TASK_BODIES: Readonly<Partial<Record<TaskName, TaskBodies>>> = { ...TEXT_TASKS, ...PICTURE_TASKS, ...SOUND_TASKS }

/** What is asked of a task. */
export interface TaskQuestion {
  readonly bodies: TaskBodies
  readonly input: unknown
  readonly parameters: Readonly<Record<string, unknown>>
}

/**
 * What is asked of a task by an input and parameters, whatever stands around them.
 * @throws VestalError UNSUPPORTED, BODY_INVALID
 */
export function taskQuestion({ task }: TaskDescription, input: unknown, parameters: unknown): TaskQuestion {
  const bodies = TASK_BODIES[task]
  if (bodies === undefined) throw new VestalError('UNSUPPORTED', { detail: `The task ${task} has no body of this form` })
  checkBody(bodies.parameters, parameters, 'parameters')
  // The cast: it is an object that the schema has checked.
  return { bodies, input, parameters: parameters as Readonly<Record<string, unknown>> }
}

/** What `parameters` of a task may hold, as the documentation has it. */
export function taskParameters(task: TaskName): Readonly<Record<string, unknown>> {
  const { parameters } = TASK_BODIES[task] ?? {}
  return parameters === undefined ? {} : openApiOf(parameters)
}

/** The JSON of what is asked of a task. @throws VestalError as the operations */
export async function answerTask({ bodies, input, parameters }: TaskQuestion, call: TaskCall): Promise<string> {
  try {
    return await bodies.answer(input, parameters, call)
  } catch (error) {
    throw error instanceof VestalError ? withPaths(error, bodies) : error
  }
}

/** Operations name a parameter by itself; in a body it is one of `parameters`. */
function withPaths(error: VestalError, { parameters: { properties } }: TaskBodies): VestalError {
  const { code, detail, status, headers } = error
  if (typeof detail === 'string' || !Object.keys(detail).some((name) => Object.hasOwn(properties, name))) return error
  const named = Object.entries(detail).map(([name, rule]) => [
    Object.hasOwn(properties, name) ? `parameters.${name}` : name,
    rule,
  ])
  return new VestalError(code, { status, headers, detail: Object.fromEntries(named), cause: error })
}

/** @throws VestalError BODY_INVALID naming each field that is wrong */
export function checkBody(schema: TObject, value: unknown, path = ''): void {
  const faults = faultsIn(schema, value, { unknown: 'is not a field of this body', path })
  if (faults.length === 0) return
  throw new VestalError('BODY_INVALID', {
    detail: Object.fromEntries(faults.map(({ path: at, rule }) => [at === '' ? 'body' : at, rule])),
  })
}
