import { strict } from '../../schema/build.ts'
import { classifySounds } from '../audio/classify-sounds.ts'
import { filesOf } from './picture-tasks.ts'
import type { TaskBodies } from './task-bodies.ts'
import { bodiesOf, classification } from './task-parameters.ts'
import { shortScore } from './vector-json.ts'

// The names of parameters are those of Hugging Face's tasks.

const ClassifyParameters = strict({
  ...classification('sound'),
})

/** The bodies of tasks whose input is sound. */
export const SOUND_TASKS = {
  'audio-classify': bodiesOf(ClassifyParameters, async (input, { top_k: topK, function_to_apply: activation }, call) => {
    const { files, isOne } = filesOf(input, 'sound', call)
    const scores = await classifySounds(call, files, { topK, activation })
    const shown = scores.map((labels) => labels.map(({ label, score }) => ({ label, score: shortScore(score) })))
    return JSON.stringify(isOne ? shown[0] : shown)
  }),
} satisfies Readonly<Record<string, TaskBodies>>
